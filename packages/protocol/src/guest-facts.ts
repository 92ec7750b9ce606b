/**
 * What must be the same about the guest on both sides, a fact a line: `machine pc-q35-7.2`, `memory pc.ram 1073741824`.
 *
 * hello has as many lines as fit, and the digest of all of them: that they differ always shows, and where they differ
 * shows unless it is beyond what fits. What the facts are is the guest's business (package guest), not the protocol's.
 */
import { createHash } from 'node:crypto';
import { GUEST_FACTS_MAX, GUEST_FACTS_MAX_BYTES, SHORT_TEXT_MAX_CHARACTERS } from './limits.ts';

/** As hello has them. */
export interface OfferedFacts {
  /** Sorted. */
  readonly lines: readonly string[];
  /** SHA-256 of all lines, cut ones included, each ended by a line feed. */
  readonly sha256: Uint8Array;
}

/** Differences that an error names on each side. */
const NAMED_MAX = 8;

/** What fits into a hello. Longer lines are cut; which ones are left out is decided by their order alone. */
export function offerFacts(facts: readonly string[]): OfferedFacts {
  const lines: string[] = [];
  let lengthBytes = 0;
  for (const fact of facts.toSorted()) {
    const line = fact.slice(0, SHORT_TEXT_MAX_CHARACTERS);
    lengthBytes += Buffer.byteLength(line);
    if (lines.length === GUEST_FACTS_MAX || lengthBytes > GUEST_FACTS_MAX_BYTES) break;
    lines.push(line);
  }
  return { lines, sha256: digestOf(facts) };
}

/** How the source's facts differ from ours, in words; undefined where they are the same. */
export function differenceOfFacts(theirs: OfferedFacts, facts: readonly string[]): string | undefined {
  if (Buffer.compare(theirs.sha256, digestOf(facts)) === 0) return undefined;
  const ours = offerFacts(facts).lines;
  const sides = [
    named('only at the source', missingFrom(ours, theirs.lines)),
    named('only at the destination', missingFrom(theirs.lines, ours)),
  ].filter((side) => side !== '');
  return sides.length > 0 ? sides.join('; ') : 'beyond the facts that are listed in hello';
}

function missingFrom(these: readonly string[], those: readonly string[]): string[] {
  const known = new Set(these);
  return those.filter((line) => !known.has(line));
}

function named(side: string, lines: readonly string[]): string {
  if (lines.length === 0) return '';
  const more = lines.length > NAMED_MAX ? `, and ${lines.length - NAMED_MAX} more` : '';
  return `${side}: ${lines.slice(0, NAMED_MAX).join(', ')}${more}`;
}

function digestOf(facts: readonly string[]): Uint8Array {
  const hash = createHash('sha256');
  for (const fact of facts.toSorted()) hash.update(`${fact}\n`);
  return Uint8Array.from(hash.digest());
}
