/**
 * Two daemons and the proxy between them for many migrations, each of another guest: the destination's one guest
 * command is a script that every run writes anew. Daemons that were killed are started again on the same state.
 * Files of all runs are below one directory, which `end` removes with everything that names it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  commandLineOf,
  Daemon,
  endProcessesNaming,
  eventually,
  processesNaming,
} from '@pageferry/scripts/harness';
import { Proxy } from './proxy.ts';
import { endAtExit, GUEST_COMMAND } from './rig.ts';
import { guardPids } from './whereabouts.ts';
import { Netem } from './chaos/netem.ts';
import { SmallFileSystem } from './chaos/small-file-system.ts';

export type Side = 'source' | 'destination';

const ENGINE_PROGRAM = '/dist/src/engine/main.js';

export interface DaemonPairOptions {
  /** With a small file system, where this user may mount one. */
  readonly isMounting?: boolean;
  /** With netem on the loopback device. */
  readonly isDisturbing?: boolean;
}

export class DaemonPair {
  readonly directory: string;
  readonly source: Daemon;
  readonly destination: Daemon;
  readonly proxy: Proxy;
  /** Undefined where nobody asked for it, or this user may not mount. */
  readonly smallFileSystem: SmallFileSystem | undefined;
  /** Undefined where nobody asked for it, or this machine has none. */
  readonly netem: Netem | undefined;
  readonly #scriptPath: string;
  /** Of all lives. */
  readonly #daemonPids = new Set<number>();

  private constructor(
    directory: string,
    proxy: Proxy,
    { isMounting, isDisturbing }: Required<DaemonPairOptions>,
  ) {
    this.directory = directory;
    this.proxy = proxy;
    this.#scriptPath = join(directory, 'guest.sh');
    const common = { directory, imageRoot: directory, logLevel: 'info' } as const;
    this.source = new Daemon({ ...common, side: 'source' });
    // The shell does not look at the words behind its script; they name what it becomes.
    const command = ['/bin/sh', this.#scriptPath, '--instance', 'destination'];
    this.destination = new Daemon({
      ...common,
      side: 'destination',
      guestCommands: { [GUEST_COMMAND]: command },
    });
    this.netem = isDisturbing ? Netem.find() : undefined;
    this.smallFileSystem = isMounting ? SmallFileSystem.mount(join(directory, 'small')) : undefined;
  }

  static async start({
    isMounting = false,
    isDisturbing = false,
  }: DaemonPairOptions = {}): Promise<DaemonPair> {
    const directory = mkdtempSync('/dev/shm/pageferry-chaos-');
    const pair = new DaemonPair(directory, await Proxy.listen(), { isMounting, isDisturbing });
    endAtExit(directory, () => {
      pair.netem?.stop();
      pair.smallFileSystem?.unmount();
    });
    try {
      await pair.startWhatIsDown(['source', 'destination']);
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

  /** Starts the daemons that were killed, in this order. */
  async startWhatIsDown(
    order: readonly Side[],
    between: () => Promise<unknown> = async () => undefined,
  ): Promise<void> {
    const down = order.filter((side) => !this[side].isRunning);
    for (const [index, side] of down.entries()) {
      if (index > 0) await between();
      await this[side].start();
      this.#daemonPids.add(this[side].pid);
    }
  }

  /** Engines of a daemon that lives: the one at work, and the one that waits. */
  enginePids(side: Side): readonly number[] {
    return this.#engines()
      .filter(({ daemon }) => daemon === this[side].pid)
      .map(({ pid }) => pid);
  }

  /** Resolves when every engine and guard belongs to a daemon that lives, and none has more than the one that waits. */
  async untilNothingIsLeftBehind(): Promise<void> {
    await eventually(
      'the end of engines and guards',
      () => (this.#findLeftBehind().length === 0 ? true : undefined),
      () => this.#findLeftBehind().join(', '),
    );
  }

  async end(): Promise<void> {
    await this.source.stop();
    await this.destination.stop();
    await this.proxy.close();
    await endProcessesNaming(this.directory);
    this.netem?.stop();
    this.smallFileSystem?.unmount();
    rmSync(this.directory, { recursive: true });
  }

  #findLeftBehind(): readonly string[] {
    const living = new Set([this.source.pid, this.destination.pid]);
    const seen = new Set<number>();
    const surplus = this.#engines().filter(({ daemon }) => {
      const isFirst = living.has(daemon) && !seen.has(daemon);
      seen.add(daemon);
      return !isFirst;
    });
    const guards = guardPids(this);
    return [
      ...surplus.map(({ pid, daemon }) => `engine ${pid} of daemon ${daemon}`),
      ...(guards.length > 1 ? [`guards ${guards.join(', ')}`] : []),
    ];
  }

  /** An engine's first argument is its daemon. */
  #engines(): readonly { readonly pid: number; readonly daemon: number }[] {
    return processesNaming(ENGINE_PROGRAM)
      .map((pid) => ({ pid, daemon: Number(commandLineOf(pid)[2]) }))
      .filter(({ daemon }) => this.#daemonPids.has(daemon));
  }
}
