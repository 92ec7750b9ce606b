/**
 * A real guest in QEMU, its two places, two daemons and both proxies, in one directory, for many moves there and back.
 *
 * Between the source's commit and the guest's first step at the other place the rig holds the destination's `cont` and
 * lets cmp compare both images; that time is kept apart from the pause. `end` ends whatever names the directory.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { promisify } from 'node:util';
import type { IncomingAnswer, MigrateAnswer, MigrationStatus } from '@pageferry/protocol';
import { Daemon, endProcessesNaming, eventually } from '@pageferry/scripts/harness';
import type { IncomingRequest, MigrateRequest } from '@pageferry/scripts/harness';
import {
  GuestPair,
  nextLine,
  pauseBetween,
  reportOf,
  type CommandSight,
  type GuestOptions,
  type PlaceName,
} from '@pageferry/scripts/qemu';
import { Hold } from '../hold.ts';
import { Proxy } from '../proxy.ts';
import { endAtExit } from '../rig.ts';

const run = promisify(execFile);
const MIB = 2 ** 20;
/** Of each daemon's log, that a failed wait quotes. */
const LAST_LINES = 20;
const OTHER_DISK_BYTES = 32 * MIB;

/** Commands of the destination's configuration, by name; those that differ are at either place. */
export const OTHER_MACHINE = 'other-machine';
export const OTHER_DISK = 'other-disk';

/** What a guest is unless a test says otherwise. */
export const SMALL_GUEST: GuestOptions = {
  memoryBytes: 256 * MIB,
  patternMib: 128,
  ratePerSecond: 2000,
  isDocs: false,
  isDisk: true,
};

/** A guest without KVM leaves little to the daemons on two cores: what is slow has not failed. */
const PATIENCE = { 'hello-timeout': 60_000, 'ping-timeout': 60_000 } as const;

/** What came of one move. */
export interface Move {
  readonly status: MigrationStatus;
  /** cmp's word on both images while `cont` was held: `identical`, or what differs. */
  readonly verdict: string;
  /** From the last number at the old place to the next at the new one, without what the comparison took, milliseconds. */
  readonly pauseMs: number;
  readonly comparisonMs: number;
}

export class QemuRig {
  readonly directory: string;
  readonly pair: GuestPair;
  readonly source: Daemon;
  readonly destination: Daemon;
  readonly proxy: Proxy;
  /** Where the guest is, as far as the tests have moved it. */
  place: PlaceName = 'a';
  readonly #undo: () => void;
  readonly #passed: CommandSight[] = [];
  readonly #holds: { readonly sight: CommandSight; readonly hold: Hold }[] = [];
  #comparison: { readonly verdict: string; readonly ms: number } | undefined;

  private constructor(directory: string, pair: GuestPair, proxy: Proxy, undo: () => void) {
    this.#undo = undo;
    this.directory = directory;
    this.pair = pair;
    this.proxy = proxy;
    pair.beforeCommand = (sight) => this.#before(sight);
    const common = { directory, imageRoot: directory, qmpRoot: directory } as const;
    this.source = new Daemon({ ...common, side: 'source' });
    this.destination = new Daemon({ ...common, side: 'destination', guestCommands: commandsOf(pair) });
  }

  /**
   * Everything is there, the guest is at a and has filled its memory and disk. `ground` makes what the directory needs
   * before anything is in it; what it answers undoes that when nothing runs any more.
   */
  static async start(
    guest: GuestOptions = SMALL_GUEST,
    ground: (directory: string) => () => void = () => () => undefined,
  ): Promise<QemuRig> {
    const directory = mkdtempSync('/dev/shm/pageferry-qemu-');
    const undo = ground(directory);
    endAtExit(directory, undo);
    try {
      const pair = await GuestPair.make(directory, guest);
      const rig = new QemuRig(directory, pair, await Proxy.listen(), undo);
      await Promise.all([rig.source.start(), rig.destination.start()]);
      await pair.boot('a');
      return rig;
    } catch (error) {
      await endProcessesNaming(directory);
      undo();
      rmSync(directory, { recursive: true });
      throw error;
    }
  }

  get other(): PlaceName {
    return this.place === 'a' ? 'b' : 'a';
  }

  /** Holds the next such command on its way to the QEMU at that place. */
  holdCommand(place: PlaceName, command: string): Hold {
    const hold = new Hold(`the command ${command} at ${place}`);
    this.#holds.push({ sight: { place, command }, hold });
    return hold;
  }

  /** Resolves when what is held has come; says where both sides are if it does not. */
  async reach(hold: Hold): Promise<void> {
    try {
      await hold.arrived;
    } catch (cause) {
      const [source, destination] = await Promise.all([
        this.source.api.status(),
        this.destination.api.status(),
      ]);
      const lines = [...this.source.lines.slice(-LAST_LINES), ...this.destination.lines.slice(-LAST_LINES)];
      throw new Error(`${String(cause)}\n${JSON.stringify({ source, destination })}\n${lines.join('\n')}`, {
        cause,
      });
    }
  }

  /** Resolves when such a command has gone on to the QEMU at the other place, in this migration. */
  async passed(command: string): Promise<void> {
    const { other } = this;
    await eventually(`the command ${command} at ${other}`, () =>
      this.#passed.some((sight) => sight.place === other && sight.command === command) ? true : undefined,
    );
  }

  /** Arms the destination for the other place; the proxy forwards there. */
  async arm(changes: Partial<IncomingRequest> = {}): Promise<IncomingAnswer> {
    const { other } = this;
    const armed = await this.destination.api.incoming({
      listen: 'tcp:127.0.0.1:0',
      guest: { type: 'qemu', qmp: this.pair.monitor(other).user, command: `at-${other}` },
      parameters: PATIENCE,
      ...changes,
    });
    this.proxy.forwardTo(armed.uri);
    return armed;
  }

  migrateRequest(token: string, changes: Partial<MigrateRequest> = {}): MigrateRequest {
    return {
      uri: this.proxy.uri,
      token,
      guest: { type: 'qemu', qmp: this.pair.monitor(this.place).user, 'on-complete': 'quit' },
      ...changes,
      // A guest that shares its processors with the migration may never converge: it ends in any case.
      parameters: {
        ...PATIENCE,
        'connect-timeout': 60_000,
        'switchover-timeout': 60_000,
        'downtime-limit': 1000,
        'max-rounds': 4,
        'on-no-convergence': 'switchover',
        ...changes.parameters,
      },
    };
  }

  async migrate(
    changes: Partial<MigrateRequest> = {},
    incoming: Partial<IncomingRequest> = {},
  ): Promise<MigrateAnswer> {
    const { token } = await this.arm(incoming);
    this.#comparison = undefined;
    this.#passed.length = 0;
    return this.source.api.migrate(this.migrateRequest(token, changes));
  }

  /** What came of the migration once its guest prints at the other place. Throws if it did not complete. */
  async untilMoved(): Promise<Move> {
    const status = await this.source.api.untilOver();
    if (status.status !== 'completed') throw new Error(`${status.status}: ${status['error-desc']}`);
    await this.arrived();
    const { verdict = 'not compared', ms: comparisonMs = 0 } = this.#comparison ?? {};
    const [before, after] = this.pair.recordings.slice(-2);
    const gap = before === undefined || after === undefined ? undefined : pauseBetween(before, after);
    return { status, verdict, comparisonMs, pauseMs: (gap?.ms ?? NaN) - comparisonMs };
  }

  /** Resolves when the guest prints at the other place, which is its own from now on. */
  async arrived(): Promise<void> {
    this.place = this.other;
    await nextLine(this.pair.consoles[this.place], 'a number', (text) => text.startsWith('N '));
  }

  /**
   * In words what is wrong with a guest that has verified all of its memory and disk again, at its place and nowhere
   * else; empty if nothing is.
   */
  async findStrays(): Promise<readonly string[]> {
    const { other, pair } = this;
    const printedElsewhere = (): number => pair.consoles[other].recordings.at(-1)?.lines.length ?? 0;
    const before = printedElsewhere();
    await pair.untilVerifiedAt(this.place);
    const isSilent = printedElsewhere() === before;
    const pids = pair.qemuPids(this.place);
    return [
      ...(isSilent ? [] : [`the guest at ${other} runs too`]),
      ...(pids.length === 1 ? [] : [`QEMUs at ${this.place}: ${pids.join(', ') || 'none'}`]),
    ];
  }

  /** Resolves when no QEMU is left at the other place. */
  async untilOtherIsGone(): Promise<void> {
    await eventually(`the end of the QEMU at ${this.other}`, () =>
      this.pair.qemuPids(this.other).length === 0 ? true : undefined,
    );
  }

  /** What is wrong with all that the guest has printed so far. */
  findProblems(): readonly string[] {
    return reportOf(this.pair.recordings).problems;
  }

  /** The last number that the guest has printed. */
  get lastNumber(): number {
    return reportOf(this.pair.recordings).last;
  }

  async end(): Promise<void> {
    this.proxy.calm();
    for (const { hold } of this.#holds.splice(0)) hold.release();
    await this.source.stop();
    await this.destination.stop();
    await this.proxy.close();
    await endProcessesNaming(this.directory);
    this.pair.close();
    this.#undo();
    rmSync(this.directory, { recursive: true });
  }

  async #before({ place, command }: CommandSight): Promise<boolean> {
    const index = this.#holds.findIndex(({ sight }) => sight.place === place && sight.command === command);
    const held = index === -1 ? undefined : this.#holds.splice(index, 1)[0]?.hold;
    held?.arrive();
    if ((await held?.ended) === false) return false;
    if (command === 'cont' && place !== this.place) await this.#compare();
    this.#passed.push({ place, command });
    return true;
  }

  async #compare(): Promise<void> {
    const startMs = performance.now();
    const images = [this.pair.image('a'), this.pair.image('b')];
    const verdict = await run('cmp', images).then(
      () => 'identical',
      (error: unknown) => String(error),
    );
    this.#comparison = { verdict, ms: performance.now() - startMs };
  }
}

function commandsOf(pair: GuestPair): Readonly<Record<string, readonly string[]>> {
  return {
    'at-a': pair.command('a', true),
    'at-b': pair.command('b', true),
    [`${OTHER_MACHINE}-a`]: pair.command('a', true, { type: 'q35' }),
    [`${OTHER_MACHINE}-b`]: pair.command('b', true, { type: 'q35' }),
    [`${OTHER_DISK}-a`]: pair.command('a', true, { disk: pair.makeDisk(OTHER_DISK, OTHER_DISK_BYTES) }),
    [`${OTHER_DISK}-b`]: pair.command('b', true, { disk: pair.makeDisk(OTHER_DISK, OTHER_DISK_BYTES) }),
  };
}
