/** Opens a daemon's journal, waiting a little for a guard that is just finishing with it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { HandoverError } from '@pageferry/handover';

const LOCK_WAIT_MS = 15_000;
const POLL_MS = 50;

/** @throws HandoverError `journal-locked` when another daemon holds it, and whatever `open` throws. */
export async function openJournal<J>(open: () => J): Promise<J> {
  const deadlineMs = performance.now() + LOCK_WAIT_MS;
  for (;;) {
    try {
      return open();
    } catch (error) {
      const isLocked = error instanceof HandoverError && error.fault.code === 'journal-locked';
      if (!isLocked || performance.now() > deadlineMs) throw error;
    }
    await sleep(POLL_MS);
  }
}
