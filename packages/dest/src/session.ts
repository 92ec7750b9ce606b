/**
 * The destination's end of control connections: from a preamble to a hello that can be judged.
 *
 * Until its hello is accepted a peer is a stranger: one message, bounded in size and time, and what it gets is a
 * reject with the reason. Versions are looked at before the rest of hello, which a newer source may write
 * differently.
 */
import { toWire } from '@pageferry/management';
import {
  decodeOfferedVersions,
  decodeSourceMessage,
  encodeDestinationMessage,
  selectVersion,
  SUPPORTED_VERSIONS,
  type DestinationMessage,
  type Hello,
  type ProblemDetails,
  type SourceMessage,
} from '@pageferry/protocol';
import { ControlLink, TransportError, type Arrival } from '@pageferry/transport';
import { problemOf } from '@pageferry/management';

export type FromSource = Exclude<SourceMessage, { type: 'ping' | 'pong' | 'hello' }>;
export type DestinationLink = ControlLink<
  Exclude<SourceMessage, { type: 'ping' | 'pong' }>,
  DestinationMessage
>;

export interface SessionHandler {
  /** A hello of a version that both speak. The link is accepted or rejected by it. */
  hello(link: DestinationLink, hello: Hello, epoch: number, version: number): void;
  /** A piece of device state after an accepted hello, valid until the return. */
  deviceState(link: DestinationLink, payload: Uint8Array, epoch: number): void;
  /** Messages after an accepted hello. */
  message(link: DestinationLink, message: FromSource, epoch: number): void;
  /** The end of a link, before hello or after. */
  lost(link: DestinationLink, error: Error): void;
}

/** Takes a control connection; it is closed by itself if no hello comes in time. */
export function takeControl(arrival: Arrival, helloTimeoutMs: number, handler: SessionHandler): void {
  let version: number | undefined;
  const decode = (payload: Uint8Array): SourceMessage => {
    version ??= chosenVersion(payload);
    return decodeSourceMessage(payload);
  };
  const chosenVersion = (payload: Uint8Array): number => {
    try {
      return selectVersion(decodeOfferedVersions(payload));
    } catch (error) {
      clearTimeout(timer);
      reject(link, 1, problemOf(error));
      handler.lost(link, error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  };
  let hasHello = false;
  const link: DestinationLink = new ControlLink(
    { encode: encodeDestinationMessage, decode },
    {
      message: (message, epoch) => {
        if (hasHello && message.type !== 'hello') {
          handler.message(link, message, epoch);
          return;
        }
        if (hasHello || message.type !== 'hello') throw new Error(`${message.type} in the place of hello`);
        clearTimeout(timer);
        hasHello = true;
        handler.hello(link, message, epoch, version ?? 0);
      },
      deviceState: (payload, epoch) => handler.deviceState(link, payload, epoch),
      lost: (error) => {
        clearTimeout(timer);
        handler.lost(link, error);
      },
    },
    (frames) => arrival.take(frames),
  );
  const timer = setTimeout(() => {
    link.close();
    handler.lost(
      link,
      new TransportError({ code: 'TIMED_OUT', waitingFor: 'hello', milliseconds: helloTimeoutMs }),
    );
  }, helloTimeoutMs);
}

/** Refuses a hello with its reason and closes the link once that is sent. */
export function reject(link: DestinationLink, epoch: number, problem: ProblemDetails): void {
  link.send(
    { type: 'reject', problem: toWire(problem, 'destination'), versions: [...SUPPORTED_VERSIONS] },
    epoch,
  );
  link.close();
}
