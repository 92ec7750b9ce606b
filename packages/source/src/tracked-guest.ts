/** A migration's guest as the dirty tracker sees it: how it is stopped for a moment, and what it may write unseen. */
import type { SourceGuest } from '@pageferry/protocol';
import type { Ownership } from './ownership.ts';
import type { Setup } from './setup.ts';
import type { TrackedGuest } from './tracking.ts';

export function trackedGuest({ body, guest, images }: Setup, ownership: Ownership): TrackedGuest {
  return {
    images: images.blocks.map(({ image }) => image),
    reasons: async () => [...(await guest.unseenWrites()), ...notExcluded(body.guest)],
    pulse: async (work) => (guest.type === 'none' ? work() : ownership.pulse(await guest.runState(), work)),
  };
}

/** What only the operator can know. A page that is written, discarded and read again is there and has no bit. */
function notExcluded(guest: SourceGuest): readonly string[] {
  if (guest.type !== 'process' || !guest['discards-memory']) return [];
  return [
    'the process may discard its own memory and read it again ("discards-memory": false says that it does not)',
  ];
}
