// A directory of its own below /dev/shm for images, state and logs, and everything that must be undone at the end.
// Invariant: what was registered is undone in reverse order, once, whether the run ends well, throws or is interrupted.
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { endProcessesNaming } from './processes.ts';

/** Memory-backed on every Linux; what a guest's RAM image lives on. */
const TMPFS = '/dev/shm';
const MIB = 2 ** 20;

type Undo = () => unknown;

export class Workspace {
  readonly path: string;
  readonly #undo: Undo[] = [];
  #closing: Promise<void> | undefined;

  /** Throws, in words for a person, if there is not enough room for `neededBytes` of images. */
  constructor(name: string, neededBytes: number) {
    requireSpace(neededBytes);
    this.path = mkdtempSync(join(TMPFS, `pageferry-${name}-`));
    this.#undo.push(() => rmSync(this.path, { recursive: true, force: true }));
    // Guests at the destination outlive their daemon.
    this.#undo.push(() => endProcessesNaming(this.path));
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** To be done at the end, before what was registered earlier. */
  onClose(undo: Undo): void {
    this.#undo.push(undo);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Undoes everything when the user interrupts the process, and ends it. */
  closeOnSignals(): void {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const)
      process.once(signal, () => {
        process.stderr.write('\ninterrupted; cleaning up\n');
        void this.close().finally(() => process.exit(code));
      });
  }

  async #close(): Promise<void> {
    for (const undo of this.#undo.splice(0).reverse()) {
      try {
        await undo();
      } catch (error) {
        // The other undos must be done nevertheless.
        process.stderr.write(`cleaning up: ${String(error)}\n`);
      }
    }
  }
}

function requireSpace(neededBytes: number): void {
  const { bavail, bsize } = statfsSync(TMPFS);
  const freeBytes = bavail * bsize;
  if (freeBytes >= neededBytes) return;
  throw new Error(
    `${TMPFS} has ${inMib(freeBytes)} free, ${inMib(neededBytes)} are needed: choose a smaller --size, ` +
      `or enlarge it (mount -o remount,size=..., or --shm-size for a container)`,
  );
}

function inMib(bytes: number): string {
  return `${Math.ceil(bytes / MIB)} MiB`;
}
