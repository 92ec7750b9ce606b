/**
 * The source's images, made ready: opened, locked, and seen to belong to the guest that is named.
 *
 * Nothing is changed here. What is open stays the same file whatever happens to its name, because the engine
 * is given these descriptors.
 */
import type { Guest } from '@pageferry/guest';
import {
  describeUnreadable,
  findMappings,
  ImageSet,
  unreadableHint,
  usesFile,
  type Image,
  type Mapper,
} from '@pageferry/memory';
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

/** Who writes into the images, as far as is known. */
export interface ImageGuest {
  readonly type: Guest['type'];
  /** The process that must map them shared, if there is one. */
  readonly pid?: number | undefined;
  /** Without a guest: the operator pauses whoever writes, in pre-switchover. */
  readonly isOperators: boolean;
}

/**
 * Opens and locks every block's image. `proc`: where procfs is.
 * @throws MemoryError, ProblemError (mappings-not-visible, guest-unavailable)
 */
export async function openSourceImages(
  requested: readonly SourceBlock[],
  guest: ImageGuest,
  policy: ImagePolicy,
  { proc = '/proc' } = {},
): Promise<SourceImages> {
  const images = new ImageSet(system);
  const warnings: Warning[] = [];
  try {
    for (const { id, path } of requested) {
      const image = images.open(id, { path, imageRoot: policy.imageRoot, writable: false });
      warnings.push(...(await checkMappings(image, guest, policy, proc)));
    }
    return { images, warnings };
  } catch (error) {
    images.close();
    throw error;
  }
}

async function checkMappings(
  image: Image,
  guest: ImageGuest,
  policy: ImagePolicy,
  proc: string,
): Promise<Warning[]> {
  const { mappers, unreadable } = await findMappings(image, { proc });
  const isPrivate = mappers.some(({ pid, isShared }) => pid === guest.pid && !isShared);
  if (isPrivate) {
    throw new ProblemError(
      'guest-unavailable',
      `process ${guest.pid} maps ${image.path} privately: its writes never reach the file`,
      {
        hint: 'Start the guest with a shared mapping (memory-backend-file,share=on).',
      },
    );
  }
  return [
    ...unseen(image.path, unreadable, policy),
    ...otherWriters(image.path, mappers, guest),
    ...(await guestWithoutImage(image, guest, proc)),
  ];
}

/** @throws ProblemError mappings-not-visible */
function unseen(path: string, unreadable: readonly number[], { isStrict }: ImagePolicy): Warning[] {
  if (unreadable.length === 0) return [];
  const detail = describeUnreadable(unreadable, path);
  if (isStrict) throw new ProblemError('mappings-not-visible', detail, { hint: unreadableHint() });
  return [{ name: 'mappings-not-visible', detail }];
}

/** Whoever else maps the image writable goes on after the pause, and what it writes then is not moved. */
function otherWriters(path: string, mappers: readonly Mapper[], guest: ImageGuest): Warning[] {
  const others = mappers.filter(
    ({ pid, isWritable, isShared }) => pid !== guest.pid && isWritable && isShared,
  );
  if (others.length === 0 || guest.isOperators) return [];
  const pids = others.map(({ pid }) => pid).join(', ');
  const detail =
    guest.type === 'none'
      ? `${path} is mapped writable by ${pids}, and with a guest of type none nobody pauses them: ` +
        'what they write meanwhile may be missing at the destination'
      : `${path} is also mapped writable by ${pids}: pausing the guest does not stop them`;
  return [{ name: 'other-writers', detail }];
}

/** Another process would be paused in the guest's place, and what the guest writes after that is not moved. */
async function guestWithoutImage(image: Image, { type, pid }: ImageGuest, proc: string): Promise<Warning[]> {
  // A QEMU says itself which files it maps.
  if (type !== 'process' || pid === undefined || (await usesFile(pid, image, { proc })) !== false) return [];
  const detail = `process ${pid} neither maps ${image.path} nor has it open: is it the guest?`;
  return [{ name: 'guest-without-image', detail }];
}
