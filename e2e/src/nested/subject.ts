/** The handle of a process that maps an image and does what it is told (subject-main.ts). */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { z } from 'zod';
import { Pagemap, WRITTEN } from '@pageferry/memory';
import { guarded, programPath } from '@pageferry/scripts/harness';

const PROGRAM = programPath('e2e/dist/src/nested/subject-main.js');
const PAGE_BYTES = 4096;

/** Pages `first` to `first + count - 1`; the first bytes of each become `value` where it is written. */
export const subjectOrder = z.object({
  deed: z.enum(['write', 'read', 'drop', 'punch', 'call', 'fork']),
  first: z.int(),
  count: z.int(),
  value: z.int(),
});
export type SubjectOrder = z.output<typeof subjectOrder>;

export class Subject {
  readonly pid: number;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #address: number;
  readonly #lines: AsyncIterator<string>;

  private constructor(
    child: ChildProcessByStdio<Writable, Readable, null>,
    pid: number,
    address: number,
    lines: AsyncIterator<string>,
  ) {
    this.#child = child;
    this.pid = pid;
    this.#address = address;
    this.#lines = lines;
  }

  /** In a session of its own, as a guest that a daemon may stop. `mayFork`: a child of it has the mapping too. */
  static async start(imagePath: string, { mayFork }: { readonly mayFork: boolean }): Promise<Subject> {
    const args = [PROGRAM, imagePath, ...(mayFork ? ['may-fork'] : [])];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const { value }: { value?: unknown } = await guarded('the mapping', lines.next());
    const address = Number(String(value).replace('mapped ', ''));
    if (child.pid === undefined || !Number.isFinite(address)) throw new Error(`no mapping: ${String(value)}`);
    return new Subject(child, child.pid, address, lines);
  }

  /** Resolves when it is done. */
  async order(order: SubjectOrder): Promise<void> {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
    const { value }: { value?: unknown } = await guarded(`the deed ${order.deed}`, this.#lines.next());
    if (value !== 'done') throw new Error(`${order.deed} failed: ${String(value)}`);
  }

  /** How many of these pages have their soft-dirty bit set. */
  writtenCount(first: number, count: number): number {
    const flags = new Uint8Array(count);
    const pagemap = new Pagemap(this.pid);
    try {
      pagemap.addFlags(this.#address + first * PAGE_BYTES, count, flags, 0);
    } finally {
      pagemap.close();
    }
    return flags.filter((flag) => (flag & WRITTEN) !== 0).length;
  }

  async end(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await guarded('the end of the subject', ended);
  }
}
