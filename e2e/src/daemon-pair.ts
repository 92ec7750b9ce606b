/**
 * Two daemons for many migrations, each of another guest: the destination's one guest command is a script that every
 * run writes anew. Files of all runs are below one directory, which `end` removes with everything that names it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon, endProcessesNaming } from '@pageferry/scripts/harness';
import { endAtExit, GUEST_COMMAND } from './rig.ts';

export class DaemonPair {
  readonly directory: string;
  readonly source: Daemon;
  readonly destination: Daemon;
  readonly #scriptPath: string;

  private constructor(directory: string) {
    this.directory = directory;
    this.#scriptPath = join(directory, 'guest.sh');
    const common = { directory, imageRoot: directory, logLevel: 'info' } as const;
    this.source = new Daemon({ ...common, side: 'source' });
    this.destination = new Daemon({
      ...common,
      side: 'destination',
      guestCommands: { [GUEST_COMMAND]: ['/bin/sh', this.#scriptPath] },
    });
  }

  static async start(): Promise<DaemonPair> {
    const directory = mkdtempSync('/dev/shm/pageferry-random-');
    process.once('exit', () => endAtExit(directory));
    const pair = new DaemonPair(directory);
    try {
      await Promise.all([pair.source.start(), pair.destination.start()]);
      return pair;
    } catch (error) {
      await pair.end();
      throw error;
    }
  }

  /** What the next guest at the destination is. */
  setGuestCommand(command: readonly string[]): void {
    const words = command.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`);
    writeFileSync(this.#scriptPath, `exec ${words.join(' ')}\n`);
  }

  async end(): Promise<void> {
    await this.source.stop();
    await this.destination.stop();
    await endProcessesNaming(this.directory);
    rmSync(this.directory, { recursive: true });
  }
}
