/** What an incoming migration is made from, and what the journal keeps of it. */
import type { IncomingGuest } from '@pageferry/guest';
import type { DestinationRecord, Journal, Session } from '@pageferry/handover';
import {
  formatTcpAddress,
  type IncomingBody,
  type IncomingParameters,
  type TcpAddress,
  type Warning,
} from '@pageferry/protocol';
import { namedProcess, type EngineProcess } from '@pageferry/transport';
import type { Logger } from 'pino';
import type { ImagePolicy } from './images.ts';
import type { SessionFacts } from './incoming-session.ts';
import type { OpenedGuest } from './opened-guest.ts';
import type { SettledAnswers } from './settled-answers.ts';

/** What POST /incoming armed, or what the journal has of it. */
export interface Armed {
  readonly body: IncomingBody;
  /** A guest that is not prepared yet, another one for each attempt. */
  readonly makeGuest: () => IncomingGuest;
  readonly warnings: readonly Warning[];
}

export interface IncomingContext {
  readonly logger: Logger;
  readonly journal: Journal<DestinationRecord>;
  readonly policy: ImagePolicy;
  /** An engine that is started and idle. */
  readonly takeEngine: () => EngineProcess;
  readonly hostBootId: string;
  readonly opened: OpenedGuest;
  /** What became of the sessions before this one. */
  readonly settled: SettledAnswers;
  readonly parameters: IncomingParameters;
}

/** JSON has no undefined. */
function journaledGuest({ guest }: IncomingBody): Session['guest'] {
  return Object.fromEntries(
    Object.entries(guest).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  );
}

/** What a restarted daemon needs to go on. */
export function journaledSession(
  { sessionId, sessionKey, isResumable }: SessionFacts,
  address: TcpAddress | undefined,
  armed: Armed,
  enginePid: number | undefined,
): Session {
  return {
    sessionId: Buffer.from(sessionId).toString('hex'),
    sessionKey: Buffer.from(sessionKey).toString('hex'),
    address: formatTcpAddress(address ?? { host: '', port: 0 }),
    blocks: (armed.body.blocks ?? []).map(({ id, path }) => ({ id, path })),
    guest: journaledGuest(armed.body),
    engine: enginePid === undefined ? null : namedProcess(enginePid),
    isResumable,
  };
}
