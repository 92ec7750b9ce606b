/**
 * The control connection of a session, either side: messages both ways, and our own pings.
 *
 * A daemon owns it, never an engine: commit, cancel and error do not wait behind page data. The peer counts as
 * dead after `timeoutMs` without a byte from it (TCP alone takes up to two hours); whoever notices closes.
 */
import type { ControlMessage } from '@pageferry/protocol';
import {
  checkEpoch,
  CONTROL_LIMITS,
  CONTROL_LIMITS_BEFORE_HELLO,
  CONTROL_MESSAGE_MAX_BYTES,
  DEVICE_STATE_CHUNK_MAX_BYTES,
  encodeDeviceStatePiece,
  encodeFrame,
  FRAME_TYPE,
  type FrameHeader,
  type FrameLimits,
} from '@pageferry/protocol/wire';
import { TransportError } from './errors.ts';
import type { FrameHandler } from './frame-receiver.ts';
import type { FrameSocket } from './frame-socket.ts';

/** Where nobody takes device state. */
const MESSAGES_ONLY: FrameLimits = { [FRAME_TYPE.control]: CONTROL_MESSAGE_MAX_BYTES };

/** A peer that lets this much pile up does not read: nothing here sends as much at once. */
const QUEUE_MAX_BYTES = 1024 * 1024;

/** Liveness, handled in here. */
type Ping = Extract<ControlMessage, { type: 'ping' | 'pong' }>;

/** How the messages of both directions become bytes; protocol's codec, the right way round for a side. */
export interface ControlCodec<Received, Sent> {
  encode(message: Sent | Ping): Uint8Array;
  /** @throws ProtocolError */
  decode(payload: Uint8Array): Received | Ping;
}

export interface ControlHandler<Received> {
  /** A message other than pings; `epoch` is its frame's. What it throws ends the link. */
  message(message: Received, epoch: number): void;
  /** The link is over, for whatever reason but `close()`. Called once. */
  lost(error: Error): void;
  /** The payload of a device-state frame, valid until the return; without it such a frame ends the link, as does what it throws. */
  deviceState?(payload: Uint8Array, epoch: number): void;
}

/** `Received` is the union of the peer's messages without pings, `Sent` of ours. */
export class ControlLink<Received extends { readonly type: string }, Sent> {
  readonly #codec: ControlCodec<Received, Sent>;
  readonly #handler: ControlHandler<Received>;
  readonly #buffer = new Uint8Array(CONTROL_MESSAGE_MAX_BYTES);
  #frames: FrameSocket | undefined;
  #epoch: number | undefined;
  #limits: FrameLimits = CONTROL_LIMITS_BEFORE_HELLO;
  #lastHeardMs = performance.now();
  #pings: NodeJS.Timeout | undefined;
  #pingSentMs = 0;
  #pingSequence = 0;
  #roundTripMs: number | undefined;

  /** `open` gets the handler of the frames and returns their socket: accepted, or connecting. */
  constructor(
    codec: ControlCodec<Received, Sent>,
    handler: ControlHandler<Received>,
    open: (handler: FrameHandler) => FrameSocket,
  ) {
    this.#codec = codec;
    this.#handler = handler;
    this.#frames = open({
      limits: () => this.#limits,
      place: () => this.#buffer,
      received: (header, payload) => this.#received(header, payload),
      ended: (error) => this.#lost(error),
    });
  }

  /** The last measured time of a ping and its answer, in milliseconds; undefined before the first. */
  get roundTripMs(): number | undefined {
    return this.#roundTripMs;
  }

  /** When the peer's last frame came, by performance.now(); when the link was made, before the first. */
  get lastHeardMs(): number {
    return this.#lastHeardMs;
  }

  /** Whether messages can still be sent. */
  get isOpen(): boolean {
    return this.#frames !== undefined;
  }

  /** From here on only frames of this epoch count, and messages may have their full size: hello was accepted. */
  accept(epoch: number): void {
    this.#epoch = epoch;
    this.#limits = this.#handler.deviceState === undefined ? MESSAGES_ONLY : CONTROL_LIMITS;
  }

  /** Sends a message; dropped when the link is over, which `lost` has told. */
  send(message: Sent | Ping, epoch: number): void {
    if ((this.#frames?.queuedBytes ?? 0) > QUEUE_MAX_BYTES) {
      this.#lost(new TransportError({ code: 'LINK_LOST', reason: 'the peer does not read' }));
    }
    this.#frames?.send(
      encodeFrame({ type: FRAME_TYPE.control, epoch, aux: 0, payload: this.#codec.encode(message) }),
    );
  }

  /**
   * Sends a guest's device state in pieces, each once the one before is with the kernel: messages pass between two.
   * Resolves when the last one is; never when the link ends before that, which `lost` tells.
   */
  async sendDeviceState(state: Uint8Array, epoch: number): Promise<void> {
    for (let offsetBytes = 0; offsetBytes < state.length; offsetBytes += DEVICE_STATE_CHUNK_MAX_BYTES) {
      const piece = state.subarray(offsetBytes, offsetBytes + DEVICE_STATE_CHUNK_MAX_BYTES);
      const payload = encodeDeviceStatePiece({ offsetBytes, totalBytes: state.length, piece });
      const frame = encodeFrame({ type: FRAME_TYPE.deviceState, epoch, aux: 0, payload });
      await new Promise<void>((resolve) => {
        this.#frames?.send(frame, resolve);
      });
    }
  }

  /** Sends bytes that are not a message: the preamble. */
  sendBytes(bytes: Uint8Array): void {
    this.#frames?.send(bytes);
  }

  /** Sends one ping: a sign of life, and a measurement. */
  ping(epoch: number): void {
    this.#pingSequence += 1;
    this.#pingSentMs = performance.now();
    this.send({ type: 'ping', sequence: this.#pingSequence }, epoch);
  }

  /** Begins to ping, and to watch for silence. */
  startPings(epoch: number, intervalMs: number, timeoutMs: number): void {
    this.#lastHeardMs = performance.now();
    const ping = (): void => {
      if (performance.now() - this.#lastHeardMs > timeoutMs) {
        this.#lost(
          new TransportError({
            code: 'TIMED_OUT',
            waitingFor: 'sign of life of the peer',
            milliseconds: timeoutMs,
          }),
        );
        return;
      }
      this.ping(epoch);
    };
    ping();
    this.#pings = setInterval(ping, intervalMs);
    this.#pings.unref();
  }

  /** Sends what is queued and closes, without `lost`. */
  close(): void {
    clearInterval(this.#pings);
    this.#frames?.close();
    this.#frames = undefined;
  }

  #received(header: FrameHeader, payload: Uint8Array): void {
    this.#lastHeardMs = performance.now();
    if (this.#epoch !== undefined) checkEpoch(header, this.#epoch);
    if (header.type === FRAME_TYPE.deviceState) {
      this.#handler.deviceState?.(payload, header.epoch);
      return;
    }
    const message = this.#codec.decode(payload);
    if (isPing(message)) this.#pinged(message, header.epoch);
    else this.#handler.message(message, header.epoch);
  }

  #pinged(message: Ping, epoch: number): void {
    if (message.type === 'ping') this.send({ type: 'pong', sequence: message.sequence }, epoch);
    else if (message.sequence === this.#pingSequence)
      this.#roundTripMs = performance.now() - this.#pingSentMs;
  }

  #lost(error: Error): void {
    if (this.#frames === undefined) return;
    clearInterval(this.#pings);
    this.#frames.destroy();
    this.#frames = undefined;
    this.#handler.lost(error);
  }
}

function isPing(message: { readonly type: string }): message is Ping {
  return message.type === 'ping' || message.type === 'pong';
}
