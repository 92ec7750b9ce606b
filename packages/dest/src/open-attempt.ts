/**
 * What an attempt at the destination needs before pages come: its images, locked, the guest that will run in them, alike
 * the source's, and the engine that writes. Whatever fails ends the engine and lets the rest go.
 *
 * Where the request names the images, they are made and opened before a command starts a guest that maps them;
 * otherwise the guest says what its memory is.
 */
import type { IncomingGuest } from '@pageferry/guest';
import type { ImageSet } from '@pageferry/memory';
import { ProblemError, type DestinationBlock, type HelloResume, type HelloStart } from '@pageferry/protocol';
import type { EngineProcess } from '@pageferry/transport';
import { checkFacts } from './hello-check.ts';
import { checkGuestBlocks, openDestinationImages } from './images.ts';
import type { Armed, IncomingContext } from './incoming-context.ts';
import { IncomingAttempt } from './incoming-attempt.ts';
import type { SessionFacts } from './incoming-session.ts';
import { Receiving } from './receiving.ts';

export interface AttemptPlan {
  readonly hello: HelloStart | HelloResume;
  readonly armed: Armed;
  readonly facts: SessionFacts;
  /** The images hold an older copy, or what an earlier attempt left. */
  readonly hasBase: boolean;
  /** An engine that is started and idle. */
  readonly process: EngineProcess;
  readonly context: IncomingContext;
  /** Nobody wants the migration any more. */
  readonly isGivenUp: () => boolean;
  readonly failed: (receiving: Receiving, error: Error) => void;
}

/** @throws MemoryError, GuestError, ProblemError (hello-rejected, unknown-block, guest-unavailable, not-armed, …) */
export async function openAttempt(plan: AttemptPlan): Promise<IncomingAttempt> {
  const { hello, armed, facts, hasBase, process } = plan;
  const guest = armed.makeGuest();
  let images: ImageSet | undefined;
  try {
    const { blocks } = armed.body;
    if (blocks !== undefined && isStartedHere(armed)) {
      images = await openImages(plan, blocks, undefined);
      await openGuest(plan, guest);
    } else {
      const guestPid = await openGuest(plan, guest);
      images = await openImages(plan, blocks ?? (await blocksOf(guest)), guestPid);
    }
    checkGuestBlocks(images, await guest.blocks());
    // A guest may have taken minutes to start.
    checkWanted(plan);
    const onFailure = (error: Error): void => plan.failed(receiving, error);
    const { sessionKey } = facts;
    const receiving: Receiving = new Receiving({ hello, images, sessionKey, hasBase, process, onFailure });
    return new IncomingAttempt(receiving, guest, hello.guestType);
  } catch (error) {
    images?.close();
    await process.kill();
    await guest.close();
    plan.context.opened.forget();
    throw error;
  }
}

/** `guestPid`: the guest that waits for its state, which maps them already. */
async function openImages(
  plan: AttemptPlan,
  blocks: readonly DestinationBlock[],
  guestPid: number | undefined,
): Promise<ImageSet> {
  const { hostBootId, policy } = plan.context;
  const images = await openDestinationImages(blocks, plan.hello, hostBootId, { ...policy, guestPid });
  try {
    checkWanted(plan);
    return images;
  } catch (error) {
    images.close();
    throw error;
  }
}

/** @throws ProblemError not-armed */
function checkWanted({ isGivenUp }: AttemptPlan): void {
  if (isGivenUp())
    throw new ProblemError('not-armed', 'The migration was given up meanwhile', { peer: 'destination' });
}

/** Resolves with the pid of a guest that exists now. */
async function openGuest({ hello, context }: AttemptPlan, guest: IncomingGuest): Promise<number | undefined> {
  const identity = await guest.open((command) => context.opened.keepLaunched(command));
  context.opened.keep(identity);
  checkFacts(hello, await guest.facts());
  return identity !== null && 'pid' in identity ? identity.pid : undefined;
}

/** Whether a command starts the guest, before it has memory. */
function isStartedHere({ body: { guest } }: Armed): boolean {
  return guest.type === 'qemu' && guest.command !== undefined;
}

/** What a guest says itself that its memory is. @throws ProblemError guest-unavailable */
async function blocksOf(guest: IncomingGuest): Promise<DestinationBlock[]> {
  const blocks = await guest.blocks();
  if (blocks !== null && blocks.length > 0)
    return blocks.map(({ id, path }) => ({ id, path, create: false }));
  throw new ProblemError('guest-unavailable', 'The guest has no memory on shared files', {
    peer: 'destination',
  });
}
