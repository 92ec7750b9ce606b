/** A guest as the source's handover acts on it, in the daemon, after its restart, and in the guard. */
import { GuestError, type Guest } from '@pageferry/guest';
import type { SourcePorts } from '@pageferry/handover';

export function guestPorts(guest: Guest): SourcePorts['guest'] {
  return {
    pause: () => guest.pause(),
    resume: () => resumeGuest(guest),
  };
}

/**
 * `gone`: the guest has ended by itself, there is nothing to resume. What it is controlled by is let go, since nothing
 * may follow.
 */
export async function resumeGuest(guest: Guest): Promise<'resumed' | 'gone'> {
  try {
    await guest.resume();
    await guest.close();
    return 'resumed';
  } catch (error) {
    if (error instanceof GuestError && ['ended', 'recycled', 'no-such-process'].includes(error.fault.code))
      return 'gone';
    throw error;
  }
}
