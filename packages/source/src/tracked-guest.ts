/** A migration's guest as the dirty tracker sees it: how it is stopped for a moment, and what it may write unseen. */
import type { Failure } from './failure.ts';
import type { Ownership } from './ownership.ts';
import type { Setup } from './setup.ts';
import type { TrackedGuest } from './tracking.ts';

/** What is asked of a migration's setup. */
export interface Trackable {
  readonly body: Pick<Setup['body'], 'guest'>;
  readonly guest: Pick<Setup['guest'], 'type' | 'runState' | 'unseenWrites'>;
  readonly images: Pick<Setup['images'], 'blocks'>;
}

/** `failure`: of the attempt that it is for. */
export function trackedGuest(
  { body, guest, images }: Trackable,
  ownership: Pick<Ownership, 'pulse'>,
  failure: Failure,
): TrackedGuest {
  // The operator's word counts where nobody but the guest itself can know.
  const isVouchedFor = body.guest.type === 'process' && !body.guest['discards-memory'];
  return {
    images: images.blocks.map(({ image }) => image),
    reasons: async () => (isVouchedFor ? [] : guest.unseenWrites()),
    pulse: async (work) => {
      if (guest.type === 'none') return work();
      const runState = await failure.unlessFailed(guest.runState());
      return ownership.pulse(runState, work);
    },
  };
}
