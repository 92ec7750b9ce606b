/**
 * Waiting in scripts and end-to-end tests: for an event or by polling, each under one guard against hanging. Nothing sleeps for
 * a fixed time, and nothing is asserted about how long something took.
 */
import { setTimeout as pause } from 'node:timers/promises';

/** How many times longer everything may take, where a machine is known to be slow: an emulated one. */
export const PATIENCE = Number(process.env['PAGEFERRY_TEST_PATIENCE'] ?? '1');
/** A wait that is longer than this has failed. */
export const GUARD_MS = 60_000 * PATIENCE;
const POLL_MS = 5 * PATIENCE;

/** The promise's outcome, or an error that names what was waited for. */
export async function guarded<T>(what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${GUARD_MS} ms for ${what}`)), GUARD_MS);
  });
  try {
    return await Promise.race([work, expired]);
  } finally {
    clearTimeout(timer);
  }
}

/** Looks again and again until there is something. `explain` is added to the error if that never happens. */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  explain: () => string = () => '',
): Promise<T> {
  const deadlineMs = performance.now() + GUARD_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadlineMs) throw new Error(`waited ${GUARD_MS} ms for ${what} ${explain()}`);
    await pause(POLL_MS);
  }
}
