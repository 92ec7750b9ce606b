/** A migration's guest as the dirty tracker sees it: how it is stopped for a moment, and what it may write unseen. */
import type { Ownership } from './ownership.ts';
import type { Setup } from './setup.ts';
import type { TrackedGuest } from './tracking.ts';

export function trackedGuest({ body, guest, images }: Setup, ownership: Ownership): TrackedGuest {
  // The operator's word counts where nobody but the guest itself can know.
  const isVouchedFor = body.guest.type === 'process' && !body.guest['discards-memory'];
  return {
    images: images.blocks.map(({ image }) => image),
    reasons: async () => (isVouchedFor ? [] : guest.unseenWrites()),
    pulse: async (work) => (guest.type === 'none' ? work() : ownership.pulse(await guest.runState(), work)),
  };
}
