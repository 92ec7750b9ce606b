/**
 * The destination's images: checked when the migration is armed, opened and locked when the source is accepted.
 *
 * Nothing is ever written into a file that another process maps, or into the very file that is read. A file that
 * we make is of the source's exact size; one that exists must have it; none is ever deleted.
 */
import { lstatSync } from 'node:fs';
import { findMappings, lockImage, openImage, type Image, type ImageLock } from '@pageferry/memory';
import { ProblemError, type DestinationBlock, type HelloStart, type Warning } from '@pageferry/protocol';
import { system } from '@pageferry/transport';

export interface ImagePolicy {
  readonly imageRoot: string;
  /** Mappings that cannot be read are an error rather than a warning. */
  readonly isStrict: boolean;
}

interface OpenBlock {
  readonly id: string;
  readonly image: Image;
  readonly lock: ImageLock;
}

/**
 * Checks the images of an armed migration without keeping anything open.
 * @throws MemoryError, ProblemError (image-exists, image-mapped, mappings-not-visible)
 */
export async function checkImages(
  blocks: readonly DestinationBlock[],
  policy: ImagePolicy,
): Promise<Warning[]> {
  const warnings: Warning[] = [];
  for (const block of blocks) {
    if (block.create) {
      checkAbsent(block.path);
      continue;
    }
    const image = openImage({ path: block.path, imageRoot: policy.imageRoot, writable: true });
    try {
      lockImage({ image, calls: system }).release();
      warnings.push(...(await checkUnmapped(image, policy)));
    } finally {
      image.close();
    }
  }
  return warnings;
}

/** Open, locked images in the order of hello's blocks, which is the wire's order. */
export class DestinationImages {
  readonly blocks: readonly OpenBlock[];

  private constructor(blocks: readonly OpenBlock[]) {
    this.blocks = blocks;
  }

  /**
   * Opens what the source's hello names, in its order.
   * @throws MemoryError, ProblemError (unknown-block, same-image, image-mapped, image-exists)
   */
  static async open(
    armed: readonly DestinationBlock[],
    hello: Pick<HelloStart, 'blocks' | 'imageIdentities'>,
    hostBootId: string,
    policy: ImagePolicy,
  ): Promise<DestinationImages> {
    checkNames(armed, hello.blocks);
    const blocks: OpenBlock[] = [];
    try {
      for (const [index, { id, sizeBytes }] of hello.blocks.entries()) {
        const block = armed.find((candidate) => candidate.id === id);
        if (block === undefined) continue;
        if (block.create) checkAbsent(block.path);
        const { path, create } = block;
        const image = openImage({
          path,
          imageRoot: policy.imageRoot,
          writable: true,
          expectedSizeBytes: sizeBytes,
          create,
        });
        const lock = lockOther(image, hello.imageIdentities?.[index], hostBootId);
        blocks.push({ id, image, lock });
        await checkUnmapped(image, policy);
      }
      return new DestinationImages(blocks);
    } catch (error) {
      closeAll(blocks);
      throw error;
    }
  }

  get sizeBytes(): number {
    return this.blocks.reduce((sum, { image }) => sum + image.sizeBytes, 0);
  }

  /** Images, then locks: what the engine is given. */
  get files(): number[] {
    return [...this.blocks.map(({ image }) => image.fd), ...this.blocks.map(({ lock }) => lock.fd)];
  }

  close(): void {
    closeAll(this.blocks);
  }
}

/** Whose file it is comes before the lock: on its own image the source holds it already. */
function lockOther(
  image: Image,
  theirs: NonNullable<HelloStart['imageIdentities']>[number] | undefined,
  hostBootId: string,
): ImageLock {
  try {
    checkOtherFile(image, theirs, hostBootId);
    return lockImage({ image, calls: system });
  } catch (error) {
    image.close();
    throw error;
  }
}

function closeAll(blocks: readonly OpenBlock[]): void {
  for (const { image, lock } of blocks) {
    lock.release();
    image.close();
  }
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

/** Writing under a running process would change its memory: nobody may map the image yet. */
async function checkUnmapped(image: Image, policy: ImagePolicy): Promise<Warning[]> {
  const { mappers, unreadableCount } = await findMappings(image);
  if (mappers.length > 0) {
    const pids = mappers.map(({ pid }) => pid).join(', ');
    throw new ProblemError('image-mapped', `${image.path} is mapped by process ${pids}`, {
      peer: 'destination',
      hint: 'End that process, or receive into another file.',
    });
  }
  if (unreadableCount === 0) return [];
  const detail = `the mappings of ${unreadableCount} processes cannot be read: one of them may map ${image.path}`;
  if (policy.isStrict) {
    throw new ProblemError('mappings-not-visible', detail, {
      peer: 'destination',
      hint: 'Run the daemon as a user that may read /proc/PID/maps, or without --strict-mappings.',
    });
  }
  return [{ name: 'mappings-not-visible', detail }];
}
