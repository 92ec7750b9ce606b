// Pages for the tests: the golden table's, and random ones that are the same in every run.
import { readFileSync } from 'node:fs';
import { PAGE_SIZE } from '../src/constants.ts';

type Vector = {
  readonly name: string;
  readonly seed: number;
  readonly edits: readonly (readonly [offset: number, length: number])[];
  readonly result: number | 'unchanged' | 'overflow';
  readonly encoded?: string;
};

export type VectorPages = Vector & { readonly oldPage: Uint8Array; readonly newPage: Uint8Array };

/** The golden table: what QEMU's own encoder makes of these pages. */
export function readVectors(): VectorPages[] {
  const file = new URL('../../test/vectors/xbzrle.json', import.meta.url);
  const vectors: readonly Vector[] = JSON.parse(readFileSync(file, 'utf8'));
  return vectors.map((vector) => {
    const oldPage = randomPage(vector.seed);
    return Object.assign(vector, { oldPage, newPage: edited(oldPage, vector.edits) });
  });
}

/** A page of xorshift32 bytes from `seed`; 0 is a page of zeros. */
export function randomPage(seed: number): Uint8Array {
  const page = new Uint8Array(PAGE_SIZE);
  fillRandom(page, seed);
  return page;
}

export function fillRandom(bytes: Uint8Array, seed: number): void {
  if (seed === 0) return;
  let state = seed;
  for (let i = 0; i < bytes.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state & 255;
  }
}

/** A copy of the page with the bytes of some ranges changed. */
export function edited(page: Uint8Array, edits: readonly (readonly [number, number])[]): Uint8Array {
  const copy = page.slice();
  for (const [offset, length] of edits)
    for (let i = offset; i < offset + length; i++) copy[i] = (copy[i] ?? 0) ^ 0x5a;
  return copy;
}

export function randomSecret(seed: number): Uint8Array {
  const secret = new Uint8Array(192);
  fillRandom(secret, seed);
  return secret;
}

export function randomPages(seed: number, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => randomPage(seed + i));
}
