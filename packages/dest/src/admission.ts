/**
 * Who may open a control connection of an incoming migration: the token's bearer begins the session, and whoever proves
 * the session's key goes on with it in a newer epoch, or asks about its handover. Everybody else gets a reject.
 *
 * Invariant: a guest of an older epoch is dead, and its engine has ended, before images are opened for a newer one.
 */
import { randomBytes } from 'node:crypto';
import {
  beginDestination,
  judgeHello,
  type DestinationStep,
  type HelloEpochs,
  type Session,
} from '@pageferry/handover';
import { problemOf } from '@pageferry/management';
import {
  checkProof,
  helloProof,
  ProblemError,
  type Hello,
  type HelloResolve,
  type HelloResume,
  type HelloStart,
  type TcpAddress,
} from '@pageferry/protocol';
import { endProcess, type EngineProcess } from '@pageferry/transport';
import { checkGuest, checkToken, type TokenUse } from './hello-check.ts';
import { journaledSession, type Armed, type IncomingContext } from './incoming-context.ts';
import type { IncomingAttempt } from './incoming-attempt.ts';
import { IncomingSession, type SessionFacts } from './incoming-session.ts';
import { openAttempt, type AttemptPlan } from './open-attempt.ts';
import { reject, type DestinationLink, type FromSource } from './session.ts';
import type { SettledAnswer } from './settled-answers.ts';
import { answerSettled, welcomeSettled } from './settled-link.ts';

export interface AdmissionOptions {
  /** Absent where the journal has too little of it to go on. */
  readonly armed: Armed | undefined;
  readonly context: IncomingContext;
  readonly token: string;
  /** Where the listener is; undefined once it is closed. */
  readonly address: () => TcpAddress | undefined;
  readonly cacheCeilingBytes: () => number;
}

export class Admission {
  session: IncomingSession | undefined;
  readonly #options: AdmissionOptions;
  #isAccepting = false;
  /** Sources that ask about an earlier session or epoch, and what became of it. */
  readonly #asking = new Map<DestinationLink, SettledAnswer>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Goes on with a handover that an earlier life of the daemon began; an attempt that was receiving pages is over. */
  async recover(journaled: Session, first: DestinationStep): Promise<void> {
    this.session = new IncomingSession({
      ...this.#options.context,
      facts: {
        sessionId: Buffer.from(journaled.sessionId, 'hex'),
        sessionKey: Buffer.from(journaled.sessionKey, 'hex'),
        isResumable: journaled.isResumable ?? false,
      },
      first,
      attempt: undefined,
      endEngine: () => endProcess(journaled.engine),
    });
    await this.session.begin();
    await this.session.fail(
      new ProblemError('engine-died', 'the destination daemon was restarted', { peer: 'destination' }),
    );
  }

  /** A hello of a version that both speak. */
  async hello(link: DestinationLink, hello: Hello, epoch: number, version: number): Promise<void> {
    try {
      if (hello.purpose === 'start') await this.#start(link, hello, version);
      else if (hello.purpose === 'resume') await this.#resume(link, hello, version);
      else await this.#resolve(link, hello, version);
    } catch (error) {
      this.#options.context.logger.warn({ err: error }, 'hello rejected');
      reject(link, epoch, problemOf(error, { peer: 'destination' }));
    }
  }

  /** What a source says after its hello. */
  message(link: DestinationLink, message: FromSource, epoch: number): void {
    const settled = this.#asking.get(link);
    if (settled === undefined) void this.session?.words.message(link, message, epoch);
    else answerSettled(link, settled);
  }

  lost(link: DestinationLink, error: Error): void {
    this.#asking.delete(link);
    void this.session?.lost(link, error);
  }

  async #start(link: DestinationLink, hello: HelloStart, version: number): Promise<void> {
    const { token, cacheCeilingBytes } = this.#options;
    const armed = this.#armed();
    checkToken(hello, token, this.#tokenUse);
    checkGuest(hello, armed.body);
    await this.#accepting(link, hello.epoch, async () => {
      const { sessionId, isResumable } = hello;
      const facts = { sessionId, sessionKey: randomBytes(16), isResumable };
      const hasBase = armed.body.base;
      const process = this.#options.context.takeEngine();
      const attempt = await this.#attempt({ hello, armed, facts, hasBase, process });
      const session = await this.#begin(hello.epoch, facts, armed, attempt);
      await session.attach(link, {
        type: 'welcome',
        purpose: 'start',
        version,
        sessionKey: facts.sessionKey,
        hasBase,
        xbzrleCacheCeilingBytes: cacheCeilingBytes(),
      });
    });
  }

  async #begin(
    epoch: number,
    facts: SessionFacts,
    armed: Armed,
    attempt: IncomingAttempt,
  ): Promise<IncomingSession> {
    const { context, address } = this.#options;
    const { engine } = attempt.receiving;
    try {
      context.journal.useSession(journaledSession(facts, address(), armed, engine.pid));
      const session = new IncomingSession({
        ...context,
        facts,
        first: beginDestination(epoch),
        attempt,
        endEngine: () => engine.kill(),
      });
      this.session = session;
      await session.begin();
      const { state } = session;
      if (state.phase === 'aborted')
        throw new ProblemError('journal-failed', state.reason, { peer: 'destination' });
      return session;
    } catch (error) {
      this.session = undefined;
      await this.#discard(attempt);
      throw error;
    }
  }

  /** An attempt that no session has taken: its engine ends, images and guest are let go. */
  async #discard({ receiving, guest }: IncomingAttempt): Promise<void> {
    const { opened, logger } = this.#options.context;
    await receiving.end();
    try {
      await guest.close();
      opened.forget();
    } catch (error) {
      logger.error({ err: error }, 'a guest that was opened for a migration may be left');
    }
  }

  /** A source goes on with its session in a newer epoch: what is in the files already is not sent again. */
  async #resume(link: DestinationLink, hello: HelloResume, version: number): Promise<void> {
    const { context, cacheCeilingBytes } = this.#options;
    const session = this.#known(hello);
    if (session === undefined || session.isGivenUp) throw unknownSession();
    checkProof(hello.proof, helloProof('resume', { ...session.facts, epoch: hello.epoch }), 'hello');
    const epochs = epochsOf(hello);
    if (judgeHello(session.state, epochs) !== 'newer')
      throw refused('protocol-violation', `epoch ${hello.epoch} is not a newer one`);
    const armed = this.#armed();
    checkGuest(hello, armed.body);
    await this.#accepting(link, hello.epoch, async () => {
      const process = context.takeEngine();
      try {
        await this.#enterEpoch(session, epochs, armed, process);
        const attempt = await this.#attempt({
          hello,
          armed: withoutCreate(armed),
          facts: session.facts,
          hasBase: true,
          process,
        });
        if (session.isGivenUp || !session.receive(hello.epoch, attempt)) {
          await this.#discard(attempt);
          throw refused('not-armed', 'The attempt was given up meanwhile');
        }
      } catch (error) {
        await process.kill();
        await session.fail(error);
        throw error;
      }
      await session.attach(link, {
        type: 'welcome',
        purpose: 'resume',
        version,
        xbzrleCacheCeilingBytes: cacheCeilingBytes(),
      });
    });
  }

  /** A source that lost its connection asks about, or finishes, a handover. */
  async #resolve(link: DestinationLink, hello: HelloResolve, version: number): Promise<void> {
    const session = this.#known(hello);
    if (session === undefined) {
      const settled = this.#options.context.settled.find(hello.sessionId);
      if (settled === undefined) throw unknownSession();
      this.#answer(link, hello, version, settled);
      return;
    }
    checkProof(hello.proof, helloProof('resolve', { ...session.facts, epoch: hello.epoch }), 'hello');
    const epochs = epochsOf(hello);
    const age = judgeHello(session.state, epochs);
    if (age === 'older') {
      this.#answer(link, hello, version, goneBy(session));
      return;
    }
    // The source gave up an epoch that was never heard of here; the one before ends first.
    if (age === 'newer') await this.#enterEpoch(session, epochs, this.#options.armed, undefined);
    const { state } = session;
    const reason = 'reason' in state ? { reason: state.reason } : {};
    const { phase } = state;
    await session.attach(link, { type: 'welcome', purpose: 'resolve', version, phase, ...reason });
  }

  /** Whatever the source says about a session or an epoch that is over, the answer is the same. */
  #answer(link: DestinationLink, hello: HelloResolve, version: number, settled: SettledAnswer): void {
    const answer = { ...settled, epoch: hello.epoch };
    welcomeSettled(link, hello, version, answer, this.#options.context.parameters);
    this.#asking.set(link, answer);
  }

  /** Ends what the epoch before left, and takes the newer one; `process` is the engine that will write for it. */
  async #enterEpoch(
    session: IncomingSession,
    epochs: HelloEpochs,
    armed: Armed | undefined,
    process: EngineProcess | undefined,
  ): Promise<void> {
    const { context, address } = this.#options;
    await session.endAttempt();
    if (armed !== undefined)
      context.journal.useSession(journaledSession(session.facts, address(), armed, process?.pid));
    if (!(await session.enterEpoch(epochs)))
      throw refused('peer-timeout', 'The attempt before has not ended here yet');
  }

  /** One proven hello at a time gets as far as images, engines and guests; pings say meanwhile that it is not forgotten. */
  async #accepting(link: DestinationLink, epoch: number, work: () => Promise<void>): Promise<void> {
    if (this.#isAccepting) throw refused('peer-timeout', 'Another hello is being considered');
    this.#isAccepting = true;
    const pings = setInterval(() => link.ping(epoch), this.#options.context.parameters['ping-interval']);
    try {
      await work();
    } finally {
      clearInterval(pings);
      this.#isAccepting = false;
    }
  }

  async #attempt(plan: Omit<AttemptPlan, 'context' | 'isGivenUp' | 'failed'>): Promise<IncomingAttempt> {
    return openAttempt({
      ...plan,
      context: this.#options.context,
      isGivenUp: () => this.#options.address() === undefined,
      failed: (receiving, error) => {
        if (this.session?.receiving === receiving) void this.session.fail(error);
      },
    });
  }

  get #tokenUse(): TokenUse {
    if (this.session?.isOver === true) return 'ended';
    return this.session !== undefined || this.#isAccepting ? 'in-use' : 'unused';
  }

  #armed(): Armed {
    const { armed, address } = this.#options;
    if (armed === undefined || address() === undefined)
      throw refused('not-armed', 'No migration is armed here');
    return armed;
  }

  #known(hello: HelloResume | HelloResolve): IncomingSession | undefined {
    const { session } = this;
    return session !== undefined && Buffer.compare(session.facts.sessionId, hello.sessionId) === 0
      ? session
      : undefined;
  }
}

function refused(name: 'not-armed' | 'peer-timeout' | 'protocol-violation', detail: string): ProblemError {
  return new ProblemError(name, detail, { peer: 'destination' });
}

function unknownSession(): ProblemError {
  return new ProblemError('migration-unknown', 'That session is not known here', { peer: 'destination' });
}

function epochsOf({ epoch, abortedEpoch }: HelloResume | HelloResolve): HelloEpochs {
  return { epoch, abortedEpoch: abortedEpoch ?? null };
}

/** An epoch that a newer one has gone past is over, whatever the source says of it. */
function goneBy({ facts, state }: IncomingSession): SettledAnswer {
  return {
    sessionId: Buffer.from(facts.sessionId).toString('hex'),
    sessionKey: Buffer.from(facts.sessionKey).toString('hex'),
    epoch: state.epoch,
    phase: 'aborted',
    reason: 'a newer attempt has taken its place',
  };
}

/** The file that the first attempt made is there now. */
function withoutCreate(armed: Armed): Armed {
  const blocks = armed.body.blocks?.map((block) => ({ ...block, create: false }));
  return { ...armed, body: { ...armed.body, ...(blocks === undefined ? {} : { blocks }) } };
}
