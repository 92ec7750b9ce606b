/** Answers a source that asks about a session that is over here: the same answer to whatever it says. */
import { helloProof, checkProof, type HelloResolve, type IncomingParameters } from '@pageferry/protocol';
import type { DestinationLink } from './session.ts';
import type { SettledAnswer } from './settled-answers.ts';

/** Welcomes the link. @throws ProtocolError wrong-proof */
export function welcomeSettled(
  link: DestinationLink,
  hello: HelloResolve,
  version: number,
  answer: SettledAnswer,
  parameters: IncomingParameters,
): void {
  const { phase, reason } = answer;
  const sessionKey = Buffer.from(answer.sessionKey, 'hex');
  checkProof(
    hello.proof,
    helloProof('resolve', { sessionKey, sessionId: hello.sessionId, epoch: hello.epoch }),
    'hello',
  );
  link.accept(hello.epoch);
  const why = reason === undefined ? {} : { reason };
  link.send({ type: 'welcome', purpose: 'resolve', version, phase, ...why }, hello.epoch);
  link.startPings(hello.epoch, parameters['ping-interval'], parameters['ping-timeout']);
}

/** Says what the session came to. `epoch`: that of the question; whatever it is, it is over. */
export function answerSettled(link: DestinationLink, { epoch, phase, reason }: SettledAnswer): void {
  if (phase === 'running') link.send({ type: 'running' }, epoch);
  else link.send({ type: phase, reason: reason ?? '' }, epoch);
}
