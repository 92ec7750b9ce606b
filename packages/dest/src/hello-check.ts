/** Whether a hello may begin the armed migration. Pure: what is wrong comes back as an error for the source's caller. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { PAGE_SIZE_BYTES, ProblemError, type HelloStart, type IncomingBody } from '@pageferry/protocol';

/** @throws ProblemError token-refused, hello-rejected */
export function checkHello(hello: HelloStart, body: IncomingBody, token: string): void {
  // Digests are compared, so that neither length nor the first wrong byte shows in the time taken.
  if (!timingSafeEqual(digest(hello.token), digest(token))) {
    throw new ProblemError('token-refused', 'The token is not the one that POST /incoming gave', {
      peer: 'destination',
      hint: 'The token is in the answer of the POST /incoming that armed it, which is still in effect.',
    });
  }
  if (hello.pageSize !== PAGE_SIZE_BYTES) {
    throw refused(`the source has pages of ${hello.pageSize} bytes, the destination of ${PAGE_SIZE_BYTES}`);
  }
  if (hello.guestType !== body.guest.type) {
    throw refused(
      `the source has a guest of type ${hello.guestType}, the destination is armed for ${body.guest.type}`,
    );
  }
}

function refused(detail: string): ProblemError {
  return new ProblemError('hello-rejected', detail, { peer: 'destination' });
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
