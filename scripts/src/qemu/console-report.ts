/**
 * What the joined consoles of a guest say: its numbers follow each other without hole and repeat, and nothing but
 * numbers and good verdicts was printed. A guest that ran twice repeats numbers; one that lost time shows a gap.
 */
import { linesOf, type ConsoleLine, type Recording } from './serial-console.ts';

const NUMBER = /^N (\d+)$/;
const GOOD = /^(N \d+|READY|(PATTERN|DOCS|DISK) ok .*)$/;

/** Silence between a number and the next. */
export interface Gap {
  readonly ms: number;
  /** The number before it. */
  readonly after: number;
}

export interface ConsoleReport {
  readonly first: number;
  readonly last: number;
  /** In words; empty if there is neither hole nor repeat nor a line that should not be. */
  readonly problems: readonly string[];
  /** The longest first. */
  readonly gaps: readonly Gap[];
}

/** Of recordings in their order; what was printed before the first number is the firmware's. `sinceMs`: gaps that end later. */
export function reportOf(recordings: readonly Recording[], sinceMs = -Infinity): ConsoleReport {
  const lines = linesOf(recordings);
  const ours = lines.slice(lines.findIndex(({ text }) => NUMBER.test(text)));
  const numbers = ours.flatMap(numbered);
  if (numbers.length === 0) return { first: NaN, last: NaN, problems: ['no number was printed'], gaps: [] };
  const pairs = numbers.slice(1).map((next, index) => [numbers[index] ?? next, next] as const);
  const breaks = pairs
    .filter(([before, next]) => next.number !== before.number + 1)
    .map(([before, next]) => `${next.number} follows ${before.number}`);
  const strange = ours.filter(({ text }) => !GOOD.test(text)).map(({ text }) => `printed: ${text}`);
  const gaps = pairs
    .filter(([, next]) => next.atMs > sinceMs)
    .map(([before, next]) => ({ ms: next.atMs - before.atMs, after: before.number }))
    .sort((a, b) => b.ms - a.ms);
  return {
    first: numbers[0]?.number ?? NaN,
    last: numbers.at(-1)?.number ?? NaN,
    problems: [...breaks, ...strange],
    gaps,
  };
}

/** Silence over a move: from the last number that came whole from the first recording to the next number. */
export function pauseBetween(before: Recording, after: Recording): Gap | undefined {
  const last = linesOf([before]).flatMap(numbered).at(-1);
  const next = linesOf([before, after])
    .flatMap(numbered)
    .find(({ number }) => number === (last?.number ?? NaN) + 1);
  if (last === undefined || next === undefined) return undefined;
  return { ms: next.atMs - last.atMs, after: last.number };
}

function numbered({
  atMs,
  text,
}: ConsoleLine): readonly { readonly atMs: number; readonly number: number }[] {
  const digits = NUMBER.exec(text)?.[1];
  return digits === undefined ? [] : [{ atMs, number: Number(digits) }];
}
