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
import type { Receiving } from './receiving.ts';
import type { SettledAnswers } from './settled-answers.ts';

/** What POST /incoming armed; absent after a restart. */
export interface Armed {
  readonly body: IncomingBody;
  readonly guest: IncomingGuest;
  readonly warnings: readonly Warning[];
}

export interface IncomingContext {
  readonly logger: Logger;
  readonly journal: Journal<DestinationRecord>;
  readonly policy: ImagePolicy;
  /** An engine that is started and idle. */
  readonly takeEngine: () => EngineProcess;
  readonly hostBootId: string;
  /** What became of the sessions before this one. */
  readonly settled: SettledAnswers;
  readonly parameters: IncomingParameters;
}

/** What a restarted daemon needs to go on. */
export function journaledSession(
  { sessionId, sessionKey }: Omit<SessionFacts, 'epoch'>,
  address: TcpAddress | undefined,
  armed: Armed,
  { engine, images }: Receiving,
): Session {
  return {
    sessionId: Buffer.from(sessionId).toString('hex'),
    sessionKey: Buffer.from(sessionKey).toString('hex'),
    address: formatTcpAddress(address ?? { host: '', port: 0 }),
    blocks: images.blocks.map(({ id, image }) => ({ id, path: image.path })),
    guest: { ...armed.body.guest },
    engine: namedProcess(engine.pid),
  };
}
