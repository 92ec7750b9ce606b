/**
 * The source's images, made ready: opened, locked, and seen to belong to the guest that is named.
 *
 * Nothing is changed here. What is open stays the same file whatever happens to its name, because the engine
 * is given these descriptors.
 */
import { fstatSync } from 'node:fs';
import { findMappings, lockImage, openImage, type Image, type ImageLock } from '@pageferry/memory';
import { ProblemError, type SourceBlock, type Warning } from '@pageferry/protocol';
import { system } from '@pageferry/transport';

/** stat counts in these, whatever the file system's blocks are. */
const BYTES_PER_STAT_BLOCK = 512;

export interface ImagePolicy {
  readonly imageRoot: string;
  /** Mappings that cannot be read are an error rather than a warning. */
  readonly isStrict: boolean;
}

export interface OpenBlock {
  readonly id: string;
  readonly image: Image;
  readonly lock: ImageLock;
}

export class SourceImages {
  readonly blocks: readonly OpenBlock[];
  readonly warnings: readonly Warning[];

  private constructor(blocks: readonly OpenBlock[], warnings: readonly Warning[]) {
    this.blocks = blocks;
    this.warnings = warnings;
  }

  /**
   * Opens and locks every block's image. `guestPid`: the process that must map them shared, if there is one.
   * @throws MemoryError, ProblemError (image-mapped, mappings-not-visible, guest-unavailable)
   */
  static async open(
    requested: readonly SourceBlock[],
    guestPid: number | undefined,
    policy: ImagePolicy,
  ): Promise<SourceImages> {
    const blocks: OpenBlock[] = [];
    const warnings: Warning[] = [];
    try {
      for (const { id, path } of requested) {
        const image = openImage({ path, imageRoot: policy.imageRoot, writable: false });
        const lock = lockOrClose(image);
        blocks.push({ id, image, lock });
        warnings.push(...(await checkMappings(image, guestPid, policy)));
      }
      return new SourceImages(blocks, warnings);
    } catch (error) {
      closeAll(blocks);
      throw error;
    }
  }

  get sizeBytes(): number {
    return this.blocks.reduce((sum, { image }) => sum + image.sizeBytes, 0);
  }

  /** What the files take up, which is what a scan has to read. */
  get allocatedBytes(): number {
    return this.blocks.reduce((sum, { image }) => sum + fstatSync(image.fd).blocks * BYTES_PER_STAT_BLOCK, 0);
  }

  /** Images, then locks: what the engine is given. */
  get files(): number[] {
    return [...this.blocks.map(({ image }) => image.fd), ...this.blocks.map(({ lock }) => lock.fd)];
  }

  close(): void {
    closeAll(this.blocks);
  }
}

function lockOrClose(image: Image): ImageLock {
  try {
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

async function checkMappings(
  image: Image,
  guestPid: number | undefined,
  policy: ImagePolicy,
): Promise<Warning[]> {
  const { mappers, unreadableCount } = await findMappings(image);
  const isVisible = unreadableCount === 0;
  if (!isVisible && policy.isStrict) {
    throw new ProblemError(
      'mappings-not-visible',
      `the mappings of ${unreadableCount} processes cannot be read`,
      {
        hint: 'Run the daemon as a user that may read /proc/PID/maps, or without --strict-mappings.',
      },
    );
  }
  const warnings: Warning[] = isVisible
    ? []
    : [
        {
          name: 'mappings-not-visible',
          detail: `the mappings of ${unreadableCount} processes cannot be read`,
        },
      ];
  const isPrivate = mappers.some(({ pid, isShared }) => pid === guestPid && !isShared);
  if (isPrivate) {
    throw new ProblemError(
      'guest-unavailable',
      `process ${guestPid} maps ${image.path} privately: its writes never reach the file`,
      {
        hint: 'Start the guest with a shared mapping (memory-backend-file,share=on).',
      },
    );
  }
  const others = mappers.filter(
    ({ pid, isWritable, isShared }) => pid !== guestPid && isWritable && isShared,
  );
  if (guestPid !== undefined && others.length > 0) {
    const pids = others.map(({ pid }) => pid).join(', ');
    warnings.push({
      name: 'other-writers',
      detail: `${image.path} is also mapped writable by ${pids}: pausing the guest does not stop them`,
    });
  }
  return warnings;
}
