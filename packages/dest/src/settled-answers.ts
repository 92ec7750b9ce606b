/**
 * What became of earlier sessions, for a source that has not heard it: each answer is a fact that stays true,
 * whatever was armed since, also after a restart.
 *
 * The journal has the newest session only; before another one takes its place, what it came to is written here. A
 * few are enough: a source that asks later than that many migrations is told that its session is not known.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { DestinationRecord, Entry } from '@pageferry/handover';
import { z } from 'zod';

const KEPT_COUNT = 16;

const answer = z.strictObject({
  /** 16 bytes, hexadecimal. */
  sessionId: z.string(),
  sessionKey: z.string(),
  epoch: z.int(),
  phase: z.enum(['running', 'refused', 'aborted']),
  reason: z.string().optional(),
});

export type SettledAnswer = z.output<typeof answer>;

export class SettledAnswers {
  readonly #path: string;
  #answers: readonly SettledAnswer[];

  /** `path`: a file in the state directory. @throws the system's errors, and zod's for a file that is not ours */
  constructor(path: string) {
    this.#path = path;
    this.#answers = read(path);
  }

  /** Keeps what a journal's newest entry came to, if it came to an end. Atomic: the old file or the new one. */
  remember(entry: Entry<DestinationRecord> | null): void {
    if (entry === null) return;
    const { session, handover } = entry;
    const { phase, epoch } = handover;
    if (phase !== 'running' && phase !== 'refused' && phase !== 'aborted') return;
    const { sessionId, sessionKey } = session;
    const reason = 'reason' in handover ? { reason: handover.reason } : {};
    const others = this.#answers.filter((known) => known.sessionId !== sessionId);
    const answers = [...others, { sessionId, sessionKey, epoch, phase, ...reason }].slice(-KEPT_COUNT);
    writeFileSync(`${this.#path}.new`, JSON.stringify(answers), { mode: 0o600 });
    renameSync(`${this.#path}.new`, this.#path);
    this.#answers = answers;
  }

  find(sessionId: Uint8Array): SettledAnswer | undefined {
    const hex = Buffer.from(sessionId).toString('hex');
    return this.#answers.find((known) => known.sessionId === hex);
  }
}

function read(path: string): readonly SettledAnswer[] {
  try {
    return z.array(answer).parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}
