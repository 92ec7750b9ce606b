/** A migration's guest as the dirty tracker sees it: how it is stopped for a moment, and what it may write unseen. */
import type { SourceGuest } from '@pageferry/protocol';
import type { Ownership } from './ownership.ts';
import type { Setup } from './setup.ts';
import type { TrackedGuest } from './tracking.ts';

export function trackedGuest({ body, guest, images }: Setup, ownership: Ownership): TrackedGuest {
  return {
    images: images.blocks.map(({ image }) => image),
    reasons: async () => unseenWrites(body.guest),
    pulse: async (work) => (guest.type === 'none' ? work() : ownership.pulse(await guest.runState(), work)),
  };
}

/** Why a guest of this kind may write to its memory in a way that sets no soft-dirty bit, in words. */
function unseenWrites(guest: SourceGuest): readonly string[] {
  switch (guest.type) {
    case 'process':
      // A page that is written, discarded and read again is there and has no bit: nobody else can know.
      return guest['discards-memory']
        ? [
            'the process may discard its own memory and read it again ("discards-memory": false says that it does not)',
          ]
        : [];
    case 'none':
      return ['there was no guest to be stopped for the clear'];
    case 'qemu':
      return [
        'whether devices of this QEMU (balloon, virtio-mem, VFIO, vdpa) write unseen is not looked into',
      ];
  }
}
