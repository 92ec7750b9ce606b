/**
 * One attempt of a migration, an epoch of its session: the destination's consent, an engine with its streams connected,
 * a guard. The first one begins the session and its handover; the others go on with both, and assume nothing of what
 * the attempt before them had sent. Whatever fails undoes what was done before it, but never the epoch.
 */
import { performance } from 'node:perf_hooks';
import { beginSource, reasonOf, type Guard, type Journal, type SourceRecord } from '@pageferry/handover';
import {
  ProblemError,
  sessionIdOf,
  SUPPORTED_VERSIONS,
  type AbortOutcome,
  type HelloStart,
} from '@pageferry/protocol';
import type { EngineProcess } from '@pageferry/transport';
import type { Logger } from 'pino';
import { attemptHello, enginePlan, journaledSession } from './attempt-facts.ts';
import type { Counters } from './engine/counters.ts';
import type { ScanProbe } from './engine/probe.ts';
import { guestPorts } from './guest-ports.ts';
import { Cancelled } from './migration-errors.ts';
import { Ownership } from './ownership.ts';
import { PageEngine } from './page-engine.ts';
import type { RequestFile } from './request-file.ts';
import {
  helloBase,
  openSession,
  resumeSession,
  type FromDestination,
  type SessionKey,
  type SourceLink,
} from './session.ts';
import type { Setup } from './setup.ts';

const FIRST_EPOCH = 1;

/** What the daemon provides. */
export interface AttemptContext {
  readonly logger: Logger;
  readonly journal: Journal<SourceRecord>;
  /** Keeps what a restarted daemon needs to go on. */
  readonly requests: RequestFile;
  /** Resolves once no earlier handover writes to the journal any more: what that one still owes its peer is kept. */
  readonly releaseJournal: () => Promise<void>;
  /** Processes that are started and idle. */
  readonly takeGuard: () => Guard;
  readonly takeEngine: () => EngineProcess;
}

/** Where things go that happen while the attempt lasts. */
export interface AttemptEvents {
  readonly signal: AbortSignal;
  readonly onMessage: (message: FromDestination, epoch: number) => void;
  readonly onLinkLost: (error: Error) => void;
  readonly onFailure: (error: Error) => void;
  readonly onProgress: (counters: Counters, rssAnonBytes: number) => void;
}

/** An attempt that can send rounds. */
export interface Attempt {
  readonly epoch: number;
  readonly link: SourceLink;
  readonly engine: PageEngine;
  /** The destination holds something already: what, the digest exchange tells. */
  readonly hasBase: boolean;
  readonly probe: ScanProbe;
  readonly guard: Guard;
  /** One timed write of the journal, milliseconds. */
  readonly journalMs: number;
}

/** What outlives attempts: how the session is proven, and its handover. */
export interface Held {
  readonly session: SessionKey;
  readonly ownership: Ownership;
  /** The guard of the attempt that lasts. */
  readonly guard: GuardHolder;
}

/** The handover's guard is whichever the current attempt has; with none there is nothing to release. */
export class GuardHolder {
  current: Guard | undefined;

  async arm(): Promise<void> {
    if (this.current === undefined) throw new Error('no guard was started');
    await this.current.arm();
  }

  async release(): Promise<void> {
    await this.current?.release();
  }
}

/** Begins the session: hello with the token, then the journal's first step. */
export async function beginAttempts(
  setup: Setup,
  context: AttemptContext,
  events: AttemptEvents,
): Promise<{ readonly attempt: Attempt; readonly held: Held }> {
  const { body, settings, address, times } = setup;
  return undone(async (undo) => {
    const engine = engineOf(setup, context, events);
    undo.push(() => engine.kill());
    const hello: HelloStart = {
      ...attemptHello(setup),
      type: 'hello',
      purpose: 'start',
      versions: [...SUPPORTED_VERSIONS],
      sessionId: sessionIdOf(setup.id),
      epoch: FIRST_EPOCH,
      token: body.token,
      isResumable: settings.parameters['reconnect-limit'] > 0,
    };
    const handler = { message: events.onMessage, lost: events.onLinkLost };
    const { link, welcome } = await openSession(address, hello, times, handler, events.signal);
    // Nobody else would tell the destination that this source does not come back.
    undo.push((error) => {
      link.send({ type: 'abort', outcome: outcomeOf(error), reason: reasonOf(error) }, FIRST_EPOCH);
      link.close();
    });
    settings.cacheCeilingBytes = welcome.xbzrleCacheCeilingBytes;
    const session = { sessionId: hello.sessionId, sessionKey: welcome.sessionKey };
    const probe = await connect(setup, engine, session, hello, events.signal);
    const guard = guardOf(context, events);
    undo.push(() => guard.stop());
    await context.releaseJournal();
    if (hello.isResumable) keepRequest(setup, session, context);
    context.journal.useSession(journaledSession(session, setup, engine));
    const holder = new GuardHolder();
    holder.current = guard;
    const ownership = new Ownership({
      first: beginSource(FIRST_EPOCH),
      address,
      session,
      times,
      ports: {
        journal: context.journal,
        guard: holder,
        guest: guestPorts(setup.guest),
        endEngine: () => engine.kill(),
      },
      logger: context.logger,
    });
    const journalStartMs = performance.now();
    await ownership.begin(link);
    const journalMs = performance.now() - journalStartMs;
    const { hasBase } = welcome;
    const attempt = { epoch: FIRST_EPOCH, link, engine, hasBase, probe, guard, journalMs };
    return { attempt, held: { session, ownership, guard: holder } };
  });
}

/** Goes on in a newer epoch, which is on record before the destination hears of it. The attempt before has ended. */
export async function nextAttempt(
  setup: Setup,
  held: Held,
  context: AttemptContext,
  events: AttemptEvents,
): Promise<Attempt> {
  const { settings, address, times } = setup;
  const { session, ownership } = held;
  return undone(async (undo) => {
    const engine = engineOf(setup, context, events);
    undo.push(() => engine.kill());
    context.journal.useSession(journaledSession(session, setup, engine));
    const journalStartMs = performance.now();
    const epochs = await ownership.startEpoch();
    const journalMs = performance.now() - journalStartMs;
    const { epoch } = epochs;
    const hello = {
      ...helloBase(session, epochs, 'resume'),
      ...attemptHello(setup),
      purpose: 'resume',
    } as const;
    const handler = { message: events.onMessage, lost: events.onLinkLost };
    const { link, welcome } = await resumeSession(address, hello, times, handler, events.signal);
    undo.push(() => link.close());
    settings.cacheCeilingBytes = welcome.xbzrleCacheCeilingBytes;
    ownership.attach(link);
    const probe = await connect(setup, engine, session, hello, events.signal);
    const guard = guardOf(context, events);
    held.guard.current = guard;
    return { epoch, link, engine, hasBase: true, probe, guard, journalMs };
  });
}

/** Ends what an attempt holds; the link is the ownership's, which may still need it. */
export async function endAttempt({ engine, guard }: Attempt): Promise<void> {
  await engine.kill();
  await guard.stop();
}

type Undo = (error: unknown) => unknown;

async function undone<T>(work: (undo: Undo[]) => Promise<T>): Promise<T> {
  const undo: Undo[] = [];
  try {
    return await work(undo);
  } catch (error) {
    for (const step of undo.toReversed()) await step(error);
    throw error;
  }
}

function engineOf({ images }: Setup, context: AttemptContext, events: AttemptEvents): PageEngine {
  const { onProgress, onFailure } = events;
  return new PageEngine({ process: context.takeEngine(), files: images.files, onProgress, onFailure });
}

function guardOf(context: AttemptContext, events: AttemptEvents): Guard {
  const guard = context.takeGuard();
  guard.watch((reason) =>
    events.onFailure(new ProblemError('engine-died', `the guard process ended: ${reason}`)),
  );
  return guard;
}

function outcomeOf(error: unknown): AbortOutcome {
  return error instanceof Cancelled ? 'cancelled' : 'failed';
}

/** Before the journal's first step: a session that is in the journal can be gone on with. */
function keepRequest(
  { body, settings: { parameters } }: Setup,
  { sessionId }: SessionKey,
  { requests }: AttemptContext,
): void {
  requests.keep({ sessionId: Buffer.from(sessionId).toString('hex'), body, parameters });
}

async function connect(
  setup: Setup,
  engine: PageEngine,
  session: SessionKey,
  hello: { readonly epoch: number; readonly secret: Uint8Array },
  signal: AbortSignal,
): Promise<ScanProbe> {
  const plan = enginePlan(setup, session, hello);
  const connecting = engine.connect(plan, setup.settings.parameters['max-bandwidth']);
  return (await Promise.race([connecting, rejected(signal)])).probe;
}

async function rejected(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error('cancelled'));
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail);
  });
}
