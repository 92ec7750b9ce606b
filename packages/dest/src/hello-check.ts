/** Whether a hello may begin the armed migration. Pure: what is wrong comes back as an error for the source's caller. */
import { createHash, timingSafeEqual } from 'node:crypto';
import {
  differenceOfFacts,
  offerFacts,
  PAGE_SIZE_BYTES,
  ProblemError,
  type HelloResume,
  type HelloStart,
  type IncomingBody,
} from '@pageferry/protocol';

/** What became of the one-time token: nobody has come with it, its migration goes on, or has ended. */
export type TokenUse = 'unused' | 'in-use' | 'ended';

const tokenHints: Readonly<Record<TokenUse, string>> = {
  unused: 'The token is in the answer of the POST /incoming that armed it, which is still in effect.',
  'in-use': 'The destination takes no other migration until this one has ended.',
  ended: 'Arm the destination again: POST /incoming.',
};

/** @throws ProblemError token-refused, migration-running, not-armed */
export function checkToken(hello: HelloStart, token: string, use: TokenUse): void {
  // Digests are compared, so that neither length nor the first wrong byte shows in the time taken.
  if (!timingSafeEqual(digest(hello.token), digest(token))) {
    throw new ProblemError('token-refused', 'The token is not the one that POST /incoming gave', {
      peer: 'destination',
      hint: tokenHints[use],
    });
  }
  if (use === 'unused') return;
  throw new ProblemError(use === 'ended' ? 'not-armed' : 'migration-running', 'The token was used already', {
    peer: 'destination',
    hint: tokenHints[use],
  });
}

/** Whether the source's guest is the one that is armed for. @throws ProblemError hello-rejected */
export function checkGuest(hello: HelloStart | HelloResume, body: IncomingBody): void {
  if (hello.pageSize !== PAGE_SIZE_BYTES) {
    throw refused(`the source has pages of ${hello.pageSize} bytes, the destination of ${PAGE_SIZE_BYTES}`);
  }
  if (hello.guestType !== body.guest.type) {
    throw refused(
      `the source has a guest of type ${hello.guestType}, the destination is armed for ${body.guest.type}`,
    );
  }
  const { uuid } = body.guest;
  if (uuid !== undefined && uuid.toLowerCase() !== hello.guestUuid?.toLowerCase()) {
    throw refused(
      `the source has the guest ${hello.guestUuid ?? '(without a UUID)'}, the destination is armed for ${uuid}`,
    );
  }
}

/** Whether the guests are alike. @throws ProblemError hello-rejected */
export function checkFacts(hello: HelloStart | HelloResume, facts: readonly string[]): void {
  const difference = differenceOfFacts(hello.guestFacts ?? offerFacts([]), facts);
  if (difference === undefined) return;
  throw new ProblemError('hello-rejected', `The guests are not alike. ${difference}`, {
    peer: 'destination',
    hint: "Start the destination's guest with the machine, memory, devices and disks of the source's.",
  });
}

function refused(detail: string): ProblemError {
  return new ProblemError('hello-rejected', detail, { peer: 'destination' });
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
