/** A migration's guest as the dirty tracker sees it: how it is stopped for a moment, and what it may write unseen. */
import type { Ownership } from './ownership.ts';
import type { Setup } from './setup.ts';
import type { TrackedGuest } from './tracking.ts';

export function trackedGuest({ guest, images }: Setup, ownership: Ownership): TrackedGuest {
  return {
    images: images.blocks.map(({ image }) => image),
    reasons: () => guest.unseenWrites(),
    pulse: async (work) => (guest.type === 'none' ? work() : ownership.pulse(await guest.runState(), work)),
  };
}
