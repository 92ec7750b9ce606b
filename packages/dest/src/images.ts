/**
 * The destination's images: checked when the migration is armed, opened and locked when the source is accepted.
 *
 * Nothing is ever written into a file that another process maps, or into the very file that is read. A file that
 * we make is of the source's exact size; one that exists must have it; none is ever deleted.
 */
import { lstatSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GuestBlock } from '@pageferry/guest';
import {
  checkPlace,
  describeUnreadable,
  findMappings,
  MemoryError,
  ImageSet,
  lockImage,
  openImage,
  unreadableHint,
  type Image,
} from '@pageferry/memory';
import {
  ProblemError,
  problemName,
  type DestinationBlock,
  type HelloResume,
  type HelloStart,
  type Warning,
} from '@pageferry/protocol';
import { system } from '@pageferry/transport';

export interface ImagePolicy {
  readonly imageRoot: string;
  /** Mappings that cannot be read are an error rather than a warning. */
  readonly isStrict: boolean;
}

/** A source's engine gives an image back a moment after its migration was completed: 50 ms a GiB. */
const RELEASE_WAIT_MS = 1000;
const RELEASE_POLL_MS = 20;

/**
 * Checks the images of an armed migration without keeping anything open. What is locked or mapped gets a moment: a guest
 * that has just left this host may come back at once.
 * @throws MemoryError, ProblemError (image-missing, image-exists, image-mapped, mappings-not-visible)
 */
export async function checkImages(
  blocks: readonly DestinationBlock[],
  policy: ImagePolicy,
  guestPid?: number,
): Promise<Warning[]> {
  const deadlineMs = performance.now() + RELEASE_WAIT_MS;
  for (;;) {
    try {
      return await checkNow(blocks, policy, guestPid);
    } catch (error) {
      if (!isInUse(error) || performance.now() >= deadlineMs) throw error;
      await sleep(RELEASE_POLL_MS);
    }
  }
}

function isInUse(error: unknown): boolean {
  return (
    (error instanceof MemoryError && error.fault.code === 'locked') ||
    (error instanceof ProblemError && problemName(error.problem.type) === 'image-mapped')
  );
}

async function checkNow(
  blocks: readonly DestinationBlock[],
  policy: ImagePolicy,
  guestPid: number | undefined,
): Promise<Warning[]> {
  const warnings: Warning[] = [];
  for (const block of blocks) {
    if (block.create) {
      checkPlace({ path: block.path, imageRoot: policy.imageRoot });
      checkAbsent(block.path);
      continue;
    }
    const image = openExisting(block.path, policy);
    try {
      lockImage({ image, calls: system }).release();
      warnings.push(...(await checkUnmapped(image, policy, guestPid)));
    } finally {
      image.close();
    }
  }
  return warnings;
}

function openExisting(path: string, { imageRoot }: ImagePolicy): Image {
  try {
    return openImage({ path, imageRoot, writable: true });
  } catch (error) {
    if (!(error instanceof MemoryError) || error.fault.code !== 'missing') throw error;
    throw new ProblemError('image-missing', error.message, {
      peer: 'destination',
      hint: 'Check the path; with "create": true in the block the file is made.',
      cause: error,
    });
  }
}

/**
 * Opens and locks what the source's hello names, in its order, which is the wire's.
 * @throws MemoryError, ProblemError (unknown-block, same-image, image-mapped, image-exists)
 */
export async function openDestinationImages(
  armed: readonly DestinationBlock[],
  hello: Pick<HelloStart | HelloResume, 'blocks' | 'imageIdentities'>,
  hostBootId: string,
  { imageRoot, isStrict, guestPid }: ImagePolicy & { readonly guestPid?: number | undefined },
): Promise<ImageSet> {
  checkNames(armed, hello.blocks);
  const images = new ImageSet(system);
  try {
    for (const [index, { id, sizeBytes: expectedSizeBytes }] of hello.blocks.entries()) {
      const block = armed.find((candidate) => candidate.id === id);
      if (block === undefined) continue;
      const { path, create } = block;
      if (create) checkAbsent(path);
      const options = { path, imageRoot, writable: true, expectedSizeBytes, create };
      // Whose file it is comes before the lock: on its own image the source holds it already.
      const theirs = hello.imageIdentities?.[index];
      const image = images.open(id, options, (opened) => checkOtherFile(opened, theirs, hostBootId));
      await checkUnmapped(image, { imageRoot, isStrict }, guestPid);
    }
    return images;
  } catch (error) {
    images.close();
    throw error;
  }
}

/** A guest that knows its memory must have it in these very files. `null`: it does not. @throws ProblemError unknown-block */
export function checkGuestBlocks({ blocks }: ImageSet, theirs: readonly GuestBlock[] | null): void {
  if (theirs === null) return;
  const received = named(
    blocks.map(({ id, image }) => ({ id, path: image.path, sizeBytes: image.sizeBytes })),
  );
  const mapped = named(theirs);
  if (JSON.stringify(received) === JSON.stringify(mapped)) return;
  const detail = `The guest has ${mapped.join(', ') || 'no memory on shared files'}; pages are received for ${received.join(', ')}`;
  throw new ProblemError('unknown-block', detail, { peer: 'destination' });
}

function named(blocks: readonly GuestBlock[]): string[] {
  return blocks.map(({ id, path, sizeBytes }) => `${id} (${sizeBytes} bytes) in ${path}`).toSorted();
}

function checkAbsent(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  throw new ProblemError('image-exists', `${path} exists, and "create" was asked for`, {
    peer: 'destination',
    hint: 'Remove the file, or leave "create" out to overwrite its content.',
  });
}

function checkNames(armed: readonly DestinationBlock[], offered: HelloStart['blocks']): void {
  const ours = armed.map(({ id }) => id).toSorted();
  const theirs = offered.map(({ id }) => id).toSorted();
  if (JSON.stringify(ours) === JSON.stringify(theirs)) return;
  throw new ProblemError(
    'unknown-block',
    `The source has the blocks ${theirs.join(', ')}, the destination ${ours.join(', ')}`,
    {
      peer: 'destination',
    },
  );
}

function checkOtherFile(
  image: Image,
  theirs: NonNullable<HelloStart['imageIdentities']>[number] | undefined,
  hostBootId: string,
): void {
  const isSame =
    theirs?.hostBootId === hostBootId && theirs.device === image.device && theirs.inode === image.inode;
  if (isSame)
    throw new ProblemError('same-image', `${image.path} is the source's own image`, { peer: 'destination' });
}

/** Writing under a running process would change its memory: nobody may map the image but the guest that waits. */
async function checkUnmapped(
  image: Image,
  policy: ImagePolicy,
  guestPid: number | undefined,
): Promise<Warning[]> {
  const { mappers: all, unreadable } = await findMappings(image);
  const mappers = all.filter(({ pid }) => pid !== guestPid);
  if (mappers.length > 0) {
    const pids = mappers.map(({ pid }) => pid).join(', ');
    throw new ProblemError('image-mapped', `${image.path} is mapped by process ${pids}`, {
      peer: 'destination',
      hint: 'End that process, or receive into another file.',
    });
  }
  if (unreadable.length === 0) return [];
  const detail = describeUnreadable(unreadable, image.path);
  if (policy.isStrict) {
    throw new ProblemError('mappings-not-visible', detail, {
      peer: 'destination',
      hint: unreadableHint(),
    });
  }
  return [{ name: 'mappings-not-visible', detail }];
}
