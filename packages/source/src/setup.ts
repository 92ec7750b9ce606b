/**
 * Everything that a migration needs before its first page: guest and images checked, the destination's consent,
 * an engine with its streams connected, a guard, a journal entry. Whatever fails undoes what was done before it.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { guestFromSpec, type Guest } from '@pageferry/guest';
import { beginSource, type Guard, type Journal, type Session, type SourceRecord } from '@pageferry/handover';
import type { ImageSet } from '@pageferry/memory';
import {
  DIGEST_SECRET_SIZE_BYTES,
  formatTcpAddress,
  isLoopbackHost,
  PAGE_SIZE_BYTES,
  parseTcpAddress,
  ProblemError,
  SUPPORTED_VERSIONS,
  type HelloStart,
  type MigrateBody,
  type TcpAddress,
  type Warning,
  sessionIdOf,
} from '@pageferry/protocol';
import { namedProcess, type EngineProcess } from '@pageferry/transport';
import type { Logger } from 'pino';
import type { Counters } from './engine/counters.ts';
import type { EnginePlan } from './engine/messages.ts';
import { guestPorts } from './guest-ports.ts';
import { openSourceImages } from './images.ts';
import { Ownership } from './ownership.ts';
import { PageEngine, type EngineReady } from './page-engine.ts';
import {
  openSession,
  type FromDestination,
  type LinkTimes,
  type SessionKey,
  type SourceLink,
} from './session.ts';
import type { Settings } from './settings.ts';

const FIRST_EPOCH = 1;

/** What the daemon provides. */
export interface SetupContext {
  readonly logger: Logger;
  /** The journal, once no earlier handover writes to it any more: what that one still owes its peer is kept. */
  readonly takeJournal: () => Promise<Journal<SourceRecord>>;
  /** Processes that are started and idle. */
  readonly takeGuard: () => Guard;
  readonly takeEngine: () => EngineProcess;
  readonly imageRoot: string;
  readonly isStrict: boolean;
  readonly allowsPlainTcp: boolean;
}

/** Where things go that happen while the migration runs. */
export interface SetupEvents {
  readonly signal: AbortSignal;
  readonly onMessage: (message: FromDestination, epoch: number) => void;
  readonly onLinkLost: (error: Error) => void;
  readonly onFailure: (error: Error) => void;
  readonly onProgress: (counters: Counters, rssAnonBytes: number) => void;
}

/** A migration that can begin. */
export interface Setup {
  readonly epoch: number;
  readonly guest: Guest;
  /** Nobody writes, as far as we know: no guest (and none that the operator pauses later), or one that is paused. */
  readonly isGuestStopped: boolean;
  readonly images: ImageSet;
  readonly link: SourceLink;
  readonly engine: PageEngine;
  readonly ownership: Ownership;
  /** One timed write of the journal, milliseconds. */
  readonly journalMs: number;
  readonly warnings: readonly Warning[];
  /** Lets images, guard and an idle link go; the engine is ended before. */
  close(): void;
}

export async function setUp(
  id: string,
  body: MigrateBody,
  settings: Settings,
  context: SetupContext,
  events: SetupEvents,
): Promise<Setup> {
  const undo: (() => unknown)[] = [];
  try {
    const address = checkedAddress(body.uri, context.allowsPlainTcp);
    const guest = await checkedGuest(body);
    const pid = body.guest.type === 'process' ? body.guest.pid : undefined;
    const { images, warnings: mappingWarnings } = await openSourceImages(body.blocks, pid, context);
    undo.push(() => images.close());
    const engine = new PageEngine({ process: context.takeEngine(), files: images.files, ...events });
    undo.push(() => engine.kill());
    const times = linkTimes(settings.parameters);
    const secret = randomBytes(DIGEST_SECRET_SIZE_BYTES);
    const hello = helloOf(id, body, settings, images, secret);
    const handler = { message: events.onMessage, lost: events.onLinkLost };
    const { link, welcome } = await openSession(address, hello, times, handler, events.signal);
    undo.push(() => link.close());
    settings.cacheCeilingBytes = welcome.xbzrleCacheCeilingBytes;
    const session = { sessionId: hello.sessionId, sessionKey: welcome.sessionKey, epoch: FIRST_EPOCH };
    const plan = { ...address, ...session, secret, ...enginePlan(settings, images) };
    const connecting = engine.connect(plan, settings.parameters['max-bandwidth']);
    const ready = await Promise.race([connecting, rejected(events.signal)]);
    const guard = context.takeGuard();
    undo.push(() => guard.stop());
    guard.watch((reason) =>
      events.onFailure(new ProblemError('internal', `the guard process ended: ${reason}`)),
    );
    const journal = await context.takeJournal();
    journal.useSession(journaledSession(session, address, images, guest, engine));
    const ownership = new Ownership({
      first: beginSource(FIRST_EPOCH),
      address,
      session,
      times,
      ports: { journal, guard, guest: guestPorts(guest), endEngine: () => engine.kill() },
      logger: context.logger,
      onChange: () => undefined,
    });
    const journalStartMs = performance.now();
    await ownership.begin(link);
    const journalMs = performance.now() - journalStartMs;
    const close = (): void => {
      images.close();
      void guard.stop();
      ownership.releaseLink();
    };
    const warnings = [...mappingWarnings, ...scanWarnings(ready, images, settings)];
    const isOperatorsGuest = body.guest.type === 'none' && body.capabilities['pause-before-switchover'];
    const isGuestStopped =
      body.guest.type === 'none' ? !isOperatorsGuest : (await guest.runState()) === 'paused';
    return {
      epoch: FIRST_EPOCH,
      guest,
      isGuestStopped,
      images,
      link,
      engine,
      ownership,
      journalMs,
      warnings,
      close,
    };
  } catch (error) {
    for (const step of undo.toReversed()) await step();
    throw error;
  }
}

/** The time-outs of a connection, from the parameters of that name. */
export function linkTimes(parameters: Settings['parameters']): LinkTimes {
  return {
    connectTimeoutMs: parameters['connect-timeout'],
    helloTimeoutMs: parameters['hello-timeout'],
    pingIntervalMs: parameters['ping-interval'],
    pingTimeoutMs: parameters['ping-timeout'],
  };
}

function helloOf(
  id: string,
  body: MigrateBody,
  { parameters }: Settings,
  images: ImageSet,
  secret: Uint8Array,
): HelloStart {
  const hostBootId = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  return {
    type: 'hello',
    purpose: 'start',
    versions: [...SUPPORTED_VERSIONS],
    sessionId: sessionIdOf(id),
    epoch: FIRST_EPOCH,
    token: body.token,
    guestType: body.guest.type,
    pageSize: PAGE_SIZE_BYTES,
    blocks: images.blocks.map(({ id: blockId, image }) => ({ id: blockId, sizeBytes: image.sizeBytes })),
    streamCount: parameters['multifd-channels'],
    secret,
    xbzrleCacheSizeBytes: body.capabilities.xbzrle ? parameters['xbzrle-cache-size'] : 0,
    destinationReread: parameters['destination-reread'],
    imageIdentities: images.blocks.map(({ image: { device, inode } }) => ({ hostBootId, device, inode })),
  };
}

function enginePlan(
  { parameters }: Settings,
  images: ImageSet,
): Pick<EnginePlan, 'connectTimeoutMs' | 'streamCount' | 'blockPageCounts' | 'eviction'> {
  return {
    connectTimeoutMs: parameters['connect-timeout'],
    streamCount: parameters['multifd-channels'],
    blockPageCounts: images.blocks.map(({ image }) => image.sizeBytes / PAGE_SIZE_BYTES),
    eviction: parameters['xbzrle-eviction'],
  };
}

/** What a restarted daemon needs to finish the handover. */
function journaledSession(
  session: SessionKey,
  address: TcpAddress,
  images: ImageSet,
  guest: Guest,
  engine: PageEngine,
): Session {
  return {
    sessionId: Buffer.from(session.sessionId).toString('hex'),
    sessionKey: Buffer.from(session.sessionKey).toString('hex'),
    address: formatTcpAddress(address),
    blocks: images.blocks.map(({ id, image }) => ({ id, path: image.path })),
    guest: { ...guest.identity() },
    engine: namedProcess(engine.pid),
  };
}

function checkedAddress(uri: string, allowsPlainTcp: boolean): TcpAddress {
  const address = parseTcpAddress(uri);
  if (address === undefined) throw new ProblemError('invalid-body', `${uri} is not an address`);
  if (!isLoopbackHost(address.host) && !allowsPlainTcp) {
    throw new ProblemError('plain-tcp-refused', `${uri} is beyond this machine and TCP is not encrypted`, {
      hint: 'Start the daemon with --allow-plain-tcp if the network is trusted.',
    });
  }
  return address;
}

async function checkedGuest(body: MigrateBody): Promise<Guest> {
  const guest = guestFromSpec(body.guest);
  const reasons = await guest.preflight();
  if (reasons.length > 0) throw new ProblemError('guest-unavailable', reasons.join('; '));
  return guest;
}

/** A final scan that is longer than the allowed pause is better known before than found out by never converging. */
function scanWarnings({ probe }: EngineReady, images: ImageSet, settings: Settings): Warning[] {
  if (probe.bytes === 0) return [];
  const { 'downtime-limit': limitMs, 'multifd-channels': streamCount } = settings.parameters;
  const scanMs = ((probe.ms / probe.bytes) * images.allocatedBytes) / streamCount;
  if (scanMs <= limitMs) return [];
  const detail =
    `the final scan is expected to take ${scanMs.toFixed(0)} ms, downtime-limit is ${limitMs} ms: ` +
    `raise it, use more multifd-channels, or expect on-no-convergence (${settings.parameters['on-no-convergence']})`;
  return [{ name: 'scan-exceeds-downtime-limit', detail }];
}

async function rejected(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error('cancelled'));
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail);
  });
}
