/**
 * The source's end of a session: how a control connection is opened, for the first time or again.
 *
 * The session id is public and made by the source (it is the migration's id); the key comes in the answer to
 * hello and proves every later connection. Nothing here knows what the messages mean.
 */
import {
  decodeDestinationMessage,
  encodePreamble,
  encodeSourceMessage,
  ProblemError,
  problemName,
  ProtocolError,
  helloProof,
  SUPPORTED_VERSIONS,
  checkChosenVersion,
  type DestinationMessage,
  type Hello,
  type HelloResolve,
  type HelloResume,
  type HelloStart,
  type SourceMessage,
  type TcpAddress,
  type WelcomeResolve,
  type WelcomeResume,
  type WelcomeStart,
  type WireProblem,
} from '@pageferry/protocol';
import type { HelloEpochs } from '@pageferry/handover';
import { ControlLink, FrameSocket, TransportError } from '@pageferry/transport';

export type FromDestination = Exclude<DestinationMessage, { type: 'ping' | 'pong' | 'welcome' | 'reject' }>;
export type SourceLink = ControlLink<Exclude<DestinationMessage, { type: 'ping' | 'pong' }>, SourceMessage>;

export interface LinkHandler {
  message(message: FromDestination, epoch: number): void;
  lost(error: Error): void;
}

/** What opening takes from the parameters, milliseconds. */
export interface LinkTimes {
  readonly connectTimeoutMs: number;
  readonly helloTimeoutMs: number;
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
}

/** What names a session and proves that one belongs to it. */
export interface SessionKey {
  readonly sessionId: Uint8Array;
  readonly sessionKey: Uint8Array;
}

type Welcome = WelcomeStart | WelcomeResume | WelcomeResolve;

const codec = { encode: encodeSourceMessage, decode: decodeDestinationMessage };

/**
 * Begins a migration at an armed destination. @throws ProblemError with the destination's cause if it rejects;
 * TransportError CONNECT_FAILED, TIMED_OUT, LINK_LOST; the signal's reason when it is cancelled.
 */
export async function openSession(
  address: TcpAddress,
  hello: HelloStart,
  times: LinkTimes,
  handler: LinkHandler,
  signal: AbortSignal,
): Promise<{ readonly link: SourceLink; readonly welcome: WelcomeStart }> {
  const { link, welcome } = await open(address, hello, times, handler, signal);
  if (welcome.purpose !== 'start') throw unexpectedWelcome();
  return { link, welcome };
}

/** Goes on with a migration in the newer epoch of `hello`. @throws as openSession */
export async function resumeSession(
  address: TcpAddress,
  hello: HelloResume,
  times: LinkTimes,
  handler: LinkHandler,
  signal: AbortSignal,
): Promise<{ readonly link: SourceLink; readonly welcome: WelcomeResume }> {
  const { link, welcome } = await open(address, hello, times, handler, signal);
  if (welcome.purpose !== 'resume') throw unexpectedWelcome();
  return { link, welcome };
}

/** Connects again to ask about, or finish, a handover. @throws as openSession */
export async function askSession(
  address: TcpAddress,
  session: SessionKey,
  epochs: HelloEpochs,
  times: LinkTimes,
  handler: LinkHandler,
  signal: AbortSignal,
): Promise<{ readonly link: SourceLink; readonly welcome: WelcomeResolve }> {
  const hello: Hello = { ...helloBase(session, epochs, 'resolve'), purpose: 'resolve' };
  const { link, welcome } = await open(address, hello, times, handler, signal);
  if (welcome.purpose !== 'resolve') throw unexpectedWelcome();
  return { link, welcome };
}

/** What every hello after the first begins with. */
export function helloBase(
  session: SessionKey,
  { epoch, abortedEpoch }: HelloEpochs,
  purpose: 'resume' | 'resolve',
): Pick<HelloResolve, 'type' | 'versions' | 'sessionId' | 'epoch' | 'abortedEpoch' | 'proof'> {
  return {
    type: 'hello',
    versions: [...SUPPORTED_VERSIONS],
    sessionId: session.sessionId,
    epoch,
    ...(abortedEpoch === null ? {} : { abortedEpoch }),
    proof: helloProof(purpose, { ...session, epoch }),
  };
}

async function open(
  address: TcpAddress,
  hello: Hello,
  times: LinkTimes,
  handler: LinkHandler,
  signal: AbortSignal,
): Promise<{ readonly link: SourceLink; readonly welcome: Welcome }> {
  let isConnected = false;
  let hasWelcome = false;
  return new Promise((resolve, reject) => {
    const { connectTimeoutMs, helloTimeoutMs } = times;
    const expire = (waitingFor: string, milliseconds: number) => (): void =>
      fail(new TransportError({ code: 'TIMED_OUT', waitingFor, milliseconds }));
    let timer = setTimeout(expire('connection', connectTimeoutMs), connectTimeoutMs);
    // A destination that starts a guest first pings meanwhile.
    const awaitAnswer = (): void => {
      const leftMs = link.lastHeardMs + helloTimeoutMs - performance.now();
      if (leftMs > 0) timer = setTimeout(awaitAnswer, leftMs);
      else expire('answer to hello', helloTimeoutMs)();
    };
    const cancelled = (): void =>
      fail(signal.reason instanceof Error ? signal.reason : new Error('cancelled'));
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', cancelled);
    };
    const fail = (error: Error): void => {
      settle();
      link.close();
      reject(error);
    };
    const link: SourceLink = new ControlLink(
      codec,
      {
        message: (message, epoch) => {
          if (hasWelcome && (message.type === 'welcome' || message.type === 'reject'))
            throw unexpectedWelcome();
          if (hasWelcome && message.type !== 'welcome' && message.type !== 'reject')
            handler.message(message, epoch);
          else if (message.type === 'reject') fail(rejection(message.problem));
          else if (message.type !== 'welcome') fail(unexpectedWelcome());
          else {
            checkChosenVersion(message.version);
            hasWelcome = true;
            settle();
            link.accept(hello.epoch);
            link.startPings(hello.epoch, times.pingIntervalMs, times.pingTimeoutMs);
            resolve({ link, welcome: message });
          }
        },
        lost: (error) => {
          if (hasWelcome) handler.lost(error);
          else fail(isConnected ? notAnAnswer(error) : unreachable(address, error));
        },
      },
      (frames) =>
        FrameSocket.connect(address, frames, () => {
          isConnected = true;
          clearTimeout(timer);
          timer = setTimeout(awaitAnswer, helloTimeoutMs);
          link.sendBytes(encodePreamble({ kind: 'control', sessionId: hello.sessionId }));
          link.send(hello, hello.epoch);
        }),
    );
    if (signal.aborted) cancelled();
    else signal.addEventListener('abort', cancelled);
  });
}

function unreachable({ host, port }: TcpAddress, error: Error): TransportError {
  const errno = /\b(E[A-Z]+)\b/.exec(error.message)?.[1] ?? error.message;
  return new TransportError({ code: 'CONNECT_FAILED', host, port, errno }, { cause: error });
}

/** What came is no frame of ours: most likely the address is of something else. A destination of another version is one. */
function notAnAnswer(error: Error): Error {
  if (!(error instanceof ProtocolError) || error.fault.code === 'no-common-version') return error;
  return new ProblemError('protocol-violation', error.message, {
    hint: 'Nothing there speaks this protocol. Is it the "uri" that POST /incoming answered, or the port of an API?',
    cause: error,
  });
}

function unexpectedWelcome(): ProblemError {
  return new ProblemError(
    'protocol-violation',
    'The destination did not answer hello with welcome or reject',
  );
}

/** The destination's cause, for the source's caller. */
export function rejection(problem: WireProblem): ProblemError {
  const { type, detail, phase, peer, retryable, hint } = problem;
  return new ProblemError(problemName(type) ?? 'hello-rejected', detail, {
    peer,
    retryable,
    ...(phase === undefined ? {} : { phase }),
    ...(hint === undefined ? {} : { hint }),
  });
}
