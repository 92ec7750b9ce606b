/** A guest as the source's handover acts on it, in the daemon, after its restart, and in the guard. */
import { GuestError, type Guest } from '@pageferry/guest';
import type { SourcePorts } from '@pageferry/handover';

export function guestPorts(guest: Guest): SourcePorts['guest'] {
  return {
    pause: () => guest.pause(),
    resume: () => resumeGuest(guest),
  };
}

/** A guest of an earlier life: resumed and let go, since nobody else here holds it. */
export function recoveredGuestPorts(guest: Guest): SourcePorts['guest'] {
  return {
    ...guestPorts(guest),
    resume: async () => {
      try {
        return await resumeGuest(guest);
      } finally {
        await guest.close();
      }
    },
  };
}

/** `gone`: the guest has ended by itself, there is nothing to resume. */
export async function resumeGuest(guest: Guest): Promise<'resumed' | 'gone'> {
  try {
    await guest.resume();
    return 'resumed';
  } catch (error) {
    if (error instanceof GuestError && ['ended', 'recycled', 'no-such-process'].includes(error.fault.code))
      return 'gone';
    throw error;
  }
}
