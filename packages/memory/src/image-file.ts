// Opens the file that backs a RAM block, or says exactly why not.
// Invariant: what is returned is a regular file of a valid size below the image root, and `path` is its resolved
// name. A missing image is made only when asked (O_EXCL and no link followed, so nothing is ever made elsewhere);
// an existing one is never resized, emptied or deleted.

import { closeSync, constants, fstatSync, ftruncateSync, openSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path';
import { sizeProblem } from './block.ts';
import { errnoOf, ioError, MemoryError } from './errors.ts';
import { identityOf, type FileIdentity } from './file-identity.ts';

/** An open image as readers and writers need it; a plain object that can be sent to a worker thread. */
export interface ImageHandle {
  readonly fd: number;
  /** Resolved path, for messages. */
  readonly path: string;
  readonly sizeBytes: number;
}

/** An open image, owned by whoever opened it. */
export interface Image extends ImageHandle, FileIdentity {
  close(): void;
}

/** How to open an image. */
export interface OpenImageOptions {
  readonly path: string;
  /** A directory that the image must be below once all links are resolved; none: anywhere. */
  readonly imageRoot?: string | undefined;
  readonly writable: boolean;
  /** The exact size that an existing image must have, and the size of a new one. */
  readonly expectedSizeBytes?: number | undefined;
  /** Makes a missing image, mode 0600, all holes; needs expectedSizeBytes. */
  readonly create?: boolean | undefined;
}

/**
 * Opens an image.
 * Throws MemoryError: missing, no-directory, not-a-file, locked, outside-root, invalid-size, wrong-size, io.
 */
export function openImage(options: OpenImageOptions): Image {
  const { imageRoot, expectedSizeBytes } = options;
  if (expectedSizeBytes !== undefined) checkSize(options.path, expectedSizeBytes);
  const existing = resolve(options.path);
  const isNew = existing === undefined && options.create === true && expectedSizeBytes !== undefined;
  const path = existing ?? (isNew ? resolveNew(options.path) : undefined);
  if (path === undefined) throw new MemoryError({ code: 'missing', path: options.path });
  if (imageRoot !== undefined) checkBelow(path, imageRoot);
  const fd = isNew ? createFile(path) : openFile(path, options.writable);
  try {
    if (isNew) sizeFile(fd, path, expectedSizeBytes);
    return checkedImage(fd, path, expectedSizeBytes);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * Checks where an image would be made that does not exist yet: below the root, in a directory that exists.
 * Throws MemoryError: outside-root, no-directory, io.
 */
export function checkPlace({ path, imageRoot }: Pick<OpenImageOptions, 'path' | 'imageRoot'>): void {
  const resolved = resolveNew(path);
  if (imageRoot !== undefined) checkBelow(resolved, imageRoot);
}

/** The path with every link resolved, or undefined if nothing is there. */
function resolve(path: string): string | undefined {
  try {
    return realpathSync.native(path);
  } catch (error) {
    // ENOTDIR: on the way there is a file where a directory would have to be.
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
    throw ioError('resolve', path, error);
  }
}

/** The same for a file that does not exist: its directory must. */
function resolveNew(path: string): string {
  const directory = resolve(dirname(path));
  if (directory === undefined || statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new MemoryError({ code: 'no-directory', path, directory: dirname(path) });
  return join(directory, basename(path));
}

function checkBelow(path: string, imageRoot: string): void {
  const root = resolve(imageRoot) ?? imageRoot;
  const inside = relative(root, path);
  const isBelow = inside !== '' && inside !== '..' && !inside.startsWith(`..${sep}`) && !isAbsolute(inside);
  if (!isBelow) throw new MemoryError({ code: 'outside-root', path, imageRoot: root });
}

function openFile(path: string, writable: boolean): number {
  // O_NONBLOCK: opening a FIFO would wait for its other end; regular files ignore it.
  const access = writable ? constants.O_RDWR : constants.O_RDONLY;
  try {
    return openSync(path, access | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') throw new MemoryError({ code: 'missing', path }, { cause: error });
    if (errno === 'EISDIR' || errno === 'ENXIO' || errno === 'ELOOP') {
      throw new MemoryError({ code: 'not-a-file', path }, { cause: error });
    }
    // Somebody holds a lease on it (image-lease.ts): it is being read, and nobody is to write.
    if (errno === 'EAGAIN') throw new MemoryError({ code: 'locked', path }, { cause: error });
    throw ioError('open', path, error);
  }
}

function createFile(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  } catch (error) {
    throw ioError('create', path, error);
  }
}

function sizeFile(fd: number, path: string, sizeBytes: number): void {
  try {
    ftruncateSync(fd, sizeBytes);
  } catch (error) {
    throw ioError('size', path, error);
  }
}

function checkedImage(fd: number, path: string, expectedSizeBytes: number | undefined): Image {
  const stat = fstatSync(fd, { bigint: true });
  if (!stat.isFile()) throw new MemoryError({ code: 'not-a-file', path });
  const sizeBytes = Number(stat.size);
  if (expectedSizeBytes !== undefined && sizeBytes !== expectedSizeBytes) {
    throw new MemoryError({ code: 'wrong-size', path, sizeBytes, expectedSizeBytes });
  }
  checkSize(path, sizeBytes);
  return { fd, path, sizeBytes, ...identityOf(stat), close: () => closeSync(fd) };
}

function checkSize(path: string, sizeBytes: number): void {
  const reason = sizeProblem(sizeBytes);
  if (reason !== undefined) throw new MemoryError({ code: 'invalid-size', path, sizeBytes, reason });
}
