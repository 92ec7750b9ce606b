// An independent reader of page records, written from the format and sharing no code with the kernel.

export type PageRecord = {
  readonly kind: 'zero' | 'normal' | 'xbzrle';
  readonly first: number;
  readonly count: number;
  readonly bytes: Uint8Array;
};

const KINDS = [undefined, 'zero', 'normal', 'xbzrle'] as const;

export function readRecords(records: Uint8Array): PageRecord[] {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  const found: PageRecord[] = [];
  let at = 0;
  while (at < records.length) {
    const first = view.getUint32(at, true);
    const count = view.getUint32(at + 4, true);
    const kind = KINDS[view.getUint8(at + 8)];
    if (kind === undefined) throw new Error(`unknown kind at ${at}`);
    at += 9;
    let length = 0;
    if (kind === 'normal') length = count * 4096;
    if (kind === 'xbzrle') {
      length = view.getUint16(at, true);
      at += 2;
    }
    if (at + length > records.length) throw new Error(`record at ${at} ends outside the frame`);
    found.push({ kind, first, count, bytes: records.slice(at, at + length) });
    at += length;
  }
  return found;
}

/** `kind first+count` of each record, for comparing layouts at a glance. */
export function layoutOf(records: readonly PageRecord[]): string[] {
  return records.map(({ kind, first, count }) => `${kind} ${first}+${count}`);
}
