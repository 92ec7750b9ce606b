/** A migration's guest as the dirty tracker sees it: how it is stopped for a moment, and what it may write unseen. */
import type { Guest } from '@pageferry/guest';
import type { Ownership } from './ownership.ts';
import type { Setup } from './setup.ts';
import type { TrackedGuest } from './tracking.ts';

export function trackedGuest({ guest, images }: Setup, ownership: Ownership): TrackedGuest {
  return {
    images: images.blocks.map(({ image }) => image),
    reasons: async () => unseenWrites(guest),
    pulse: async (work) => (guest.type === 'none' ? work() : ownership.pulse(await guest.runState(), work)),
  };
}

/** Why a guest of this kind may write to its memory in a way that sets no soft-dirty bit, in words. */
function unseenWrites({ type }: Guest): readonly string[] {
  switch (type) {
    case 'process':
      return [];
    case 'none':
      return ['there was no guest to be stopped for the clear'];
    case 'qemu':
      return [
        'whether devices of this QEMU (balloon, virtio-mem, VFIO, vdpa) write unseen is not looked into',
      ];
  }
}
