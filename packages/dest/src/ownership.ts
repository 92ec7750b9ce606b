/**
 * Who owns the guest, carried through at the destination: the handover's executor and the control link that its
 * answers travel on.
 *
 * It outlives connections and the daemon: what was prepared waits for the source's commit or abort, whoever
 * connects; after a restart it is made from the journal alone.
 */
import {
  incomingGuestFromIdentity,
  type DeviceState,
  type IncomingGuest,
  type ResumeOrder,
} from '@pageferry/guest';
import {
  boundedReason,
  destinationExecutor,
  type DestinationEvent,
  type DestinationExecutor,
  type DestinationPorts,
  type DestinationState,
  type DestinationStep,
  type GuestIdentity,
  type Report,
} from '@pageferry/handover';
import { system } from '@pageferry/transport';
import type { Logger } from 'pino';
import type { OpenedGuest } from './opened-guest.ts';
import type { DestinationLink } from './session.ts';

/** How long after trouble (a guest that does not start or die) it is tried again. */
const RETRY_MS = 1000;

export interface OwnershipOptions {
  readonly first: DestinationStep;
  readonly journal: DestinationPorts['journal'];
  /** The guest that is not prepared yet; absent after a restart, when identities are all there is. */
  readonly guest: () => IncomingGuest | undefined;
  /** What it loads; null where it has none. */
  readonly deviceState: () => DeviceState | null;
  /** Of a guest that was opened and never prepared. */
  readonly opened: OpenedGuest;
  readonly endEngine: () => Promise<void>;
  readonly logger: Logger;
  /** Every change. */
  readonly onChange: (state: DestinationState) => void;
}

export class Ownership {
  readonly #options: OwnershipOptions;
  readonly #executor: DestinationExecutor;
  /** What is odd about a guest that runs, for the status. */
  note: string | null = null;
  /** How long the guest took to load, milliseconds. */
  loadMs: number | undefined;
  link: DestinationLink | undefined;

  constructor(options: OwnershipOptions) {
    this.#options = options;
    this.#executor = destinationExecutor(options.first, {
      journal: options.journal,
      guest: {
        prepare: () => this.#prepare(),
        start: (identity, order) => this.#start(identity, order),
        destroy: (identity) => this.#destroy(identity),
      },
      endEngine: options.endEngine,
      send: (epoch, message) => this.#send(epoch, message),
      report: (report) => this.#report(report),
    });
  }

  get state(): DestinationState {
    return this.#executor.state;
  }

  async begin(): Promise<void> {
    await this.#executor.begin(this.#options.first.effects);
    this.#options.onChange(this.state);
  }

  /** @throws HandoverError for what the source may not say now; the state is then as it was. */
  async deliver(event: DestinationEvent): Promise<DestinationState> {
    const state = await this.#executor.deliver(event);
    this.#options.onChange(state);
    return state;
  }

  async idle(): Promise<void> {
    await this.#executor.idle();
  }

  async #prepare(): Promise<GuestIdentity> {
    const guest = this.#options.guest();
    if (guest === undefined)
      throw new Error('a guest can only be prepared by the daemon that was armed for it');
    const startMs = performance.now();
    const identity = await guest.prepare(this.#options.deviceState());
    this.loadMs = performance.now() - startMs;
    return { ...identity };
  }

  async #start(identity: GuestIdentity, order: ResumeOrder): ReturnType<DestinationPorts['guest']['start']> {
    const outcome = await this.#named(identity).resume(order);
    if (outcome.outcome === 'running') this.note = outcome.note;
    return outcome;
  }

  async #destroy(identity: GuestIdentity | null): Promise<void> {
    const opened = identity ?? this.#options.opened.find();
    const guest = opened === undefined ? this.#options.guest() : this.#named(opened);
    await guest?.destroy();
    this.#options.opened.forget();
  }

  /** The guest of this attempt; after a restart its identity is all there is. */
  #named(identity: unknown): IncomingGuest {
    return this.#options.guest() ?? incomingGuestFromIdentity(identity, system);
  }

  #send(epoch: number, message: Parameters<DestinationPorts['send']>[1]): void {
    const note = message.type === 'running' && this.note !== null ? { note: boundedReason(this.note) } : {};
    this.link?.send({ ...message, ...note }, epoch);
  }

  #report(report: Report): void {
    const { logger } = this.#options;
    switch (report.outcome) {
      case 'completed':
        logger.info({ note: this.note }, 'the guest is ours');
        break;
      case 'trouble':
        logger.error({ reason: report.reason }, 'trouble in the handover; trying again');
        setTimeout(() => void this.deliver({ type: 'retry' }), RETRY_MS).unref();
        break;
      default:
        logger.warn({ report }, 'handover');
        break;
    }
  }
}
