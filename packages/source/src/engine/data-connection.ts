/**
 * A stream's data connection, seen from the source: made and accepted, then frames out, answers of the digest
 * exchange in.
 *
 * Nothing is sent before the destination's engine has accepted the stream. One question is open at a time; pages that
 * were sent before it are applied before it is answered, because they travel on the same connection.
 */
import {
  checkDataAccept,
  checkEpoch,
  checkExpected,
  DATA_LIMITS_AT_SOURCE,
  decodeDigestAnswer,
  DIGEST_EXCHANGE,
  encodeDataHello,
  encodeDigestRequest,
  encodeFrame,
  encodePreamble,
  FRAME_PAYLOAD_MAX_BYTES,
  FRAME_TYPE,
  type DigestRange,
  type FrameHeader,
} from '@pageferry/protocol/wire';
import { DATA_STALL_TIMEOUT_MS, FrameSocket } from '@pageferry/transport';
import type { StreamPlan } from './messages.ts';
import type { DigestSource } from './reconcile.ts';

type DigestFrame = typeof FRAME_TYPE.extentRoots | typeof FRAME_TYPE.pageDigests;

interface Question {
  readonly type: DigestFrame;
  readonly range: DigestRange;
  readonly answered: (digests: Uint8Array) => void;
}

export interface DataConnectionEvents {
  /** The stream's proof is on its way; the answer takes the destination's daemon and engine some milliseconds. */
  readonly asked: () => void;
  /** Whatever ends the connection. */
  readonly failed: (error: Error) => void;
}

export class DataConnection implements DigestSource {
  readonly #plan: StreamPlan;
  readonly #accepted: () => void;
  readonly #reply = new Uint8Array(FRAME_PAYLOAD_MAX_BYTES);
  readonly #socket: FrameSocket;
  #isAccepted = false;
  #question: Question | undefined;

  private constructor(plan: StreamPlan, accepted: () => void, { asked, failed }: DataConnectionEvents) {
    const { host, port, sessionId, sessionKey, epoch, stream, streamCount } = plan;
    this.#plan = plan;
    this.#accepted = accepted;
    this.#socket = FrameSocket.connect(
      { host, port },
      {
        limits: () => DATA_LIMITS_AT_SOURCE,
        place: () => this.#reply,
        received: (header, payload) => this.#received(header, payload),
        ended: failed,
      },
      () => {
        this.#socket.endWhenStalled(DATA_STALL_TIMEOUT_MS);
        this.#socket.send(encodePreamble({ kind: 'data', sessionId }));
        const payload = encodeDataHello({ sessionKey, sessionId, epoch }, { stream, streamCount });
        this.#socket.send(encodeFrame({ type: FRAME_TYPE.dataHello, epoch, aux: 0, payload }));
        this.#socket.step(asked);
      },
    );
  }

  /** Resolves once the destination's engine accepted this stream. */
  static async open(plan: StreamPlan, events: DataConnectionEvents): Promise<DataConnection> {
    return new Promise((resolve) => {
      const connection: DataConnection = new DataConnection(plan, () => resolve(connection), events);
    });
  }

  /** Sends a frame; it belongs to the socket until `done`. */
  send(frame: Uint8Array, done?: () => void): void {
    this.#socket.send(frame, done);
  }

  async extentRoots(range: DigestRange): Promise<Uint8Array> {
    return this.#ask(FRAME_TYPE.extentRoots, range);
  }

  async pageDigests(range: DigestRange): Promise<Uint8Array> {
    return this.#ask(FRAME_TYPE.pageDigests, range);
  }

  async #ask(type: DigestFrame, range: DigestRange): Promise<Uint8Array> {
    return new Promise((answered) => {
      this.#question = { type, range, answered };
      const { epoch } = this.#plan;
      const payload = encodeDigestRequest(range);
      this.#socket.send(encodeFrame({ type, epoch, aux: DIGEST_EXCHANGE.request, payload }));
    });
  }

  #received(header: FrameHeader, payload: Uint8Array): void {
    checkEpoch(header, this.#plan.epoch);
    if (!this.#isAccepted) {
      checkExpected(header.type, FRAME_TYPE.dataAccept, 'frame type before the stream was accepted');
      checkDataAccept(payload, this.#plan.stream);
      this.#isAccepted = true;
      this.#accepted();
      return;
    }
    const question = this.#question;
    this.#question = undefined;
    if (question === undefined) throw new Error(`frame type ${header.type} that nothing was asked for`);
    checkExpected(header.type, question.type, 'frame type of the answer');
    checkExpected(header.aux, DIGEST_EXCHANGE.answer, 'aux of the answer');
    question.answered(Uint8Array.from(decodeDigestAnswer(payload, question.range).digests));
  }
}
