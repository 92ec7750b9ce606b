/**
 * The source's images, made ready: opened, locked, and seen to belong to the guest that is named.
 *
 * Nothing is changed here. What is open stays the same file whatever happens to its name, because the engine
 * is given these descriptors.
 */
import { findMappings, ImageSet, type Image } from '@pageferry/memory';
import { ProblemError, type SourceBlock, type Warning } from '@pageferry/protocol';
import { system } from '@pageferry/transport';

export interface ImagePolicy {
  readonly imageRoot: string;
  /** Mappings that cannot be read are an error rather than a warning. */
  readonly isStrict: boolean;
}

/** Open, locked images, and what is odd about who maps them. */
export interface SourceImages {
  readonly images: ImageSet;
  readonly warnings: readonly Warning[];
}

/**
 * Opens and locks every block's image. `guestPid`: the process that must map them shared, if there is one.
 * @throws MemoryError, ProblemError (mappings-not-visible, guest-unavailable)
 */
export async function openSourceImages(
  requested: readonly SourceBlock[],
  guestPid: number | undefined,
  policy: ImagePolicy,
): Promise<SourceImages> {
  const images = new ImageSet(system);
  const warnings: Warning[] = [];
  try {
    for (const { id, path } of requested) {
      const image = images.open(id, { path, imageRoot: policy.imageRoot, writable: false });
      warnings.push(...(await checkMappings(image, guestPid, policy)));
    }
    return { images, warnings };
  } catch (error) {
    images.close();
    throw error;
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
