/**
 * One direction of one proxied connection: cuts it into frames, holds what is to be held, passes the rest on in order.
 * A frame is passed on whole or not at all.
 */
import type { Socket } from 'node:net';
import {
  CONTROL_LIMITS,
  DATA_LIMITS_AT_DESTINATION,
  DATA_LIMITS_AT_SOURCE,
  DATA_LIMITS_BEFORE_ACCEPT,
  decodeDestinationMessage,
  decodeSourceMessage,
  FRAME_TYPE,
  FrameSplitter,
  type ConnectionKind,
  type Frame,
  type FrameLimits,
} from '@pageferry/protocol';
import type { Hold, MessageName } from './hold.ts';

/** A frame as the proxy knows it. */
export interface Sight {
  readonly name: MessageName;
  readonly round: number | undefined;
  /** A hello's. */
  readonly purpose: string | undefined;
}

/** What goes on of a frame. */
export interface Passage {
  readonly bytes: Uint8Array;
  /** Whether the connection ends with it. */
  readonly isLast: boolean;
}

/** What the proxy does to frames. */
export interface FrameRule {
  /** Whether this message is to be held. */
  holdFor(sight: Sight): Hold | undefined;
  /** The frame as it goes on, when it may. `sight` of a frame without a name is undefined. */
  change(frame: Frame, sight: Sight | undefined): Promise<Passage>;
  /** Resolves when more may be read after so many bytes. */
  pace(byteCount: number): Promise<void>;
}

type Sender = 'source' | 'destination';

const DATA_LIMITS: Readonly<Record<Sender, FrameLimits>> = {
  source: { ...DATA_LIMITS_BEFORE_ACCEPT, ...DATA_LIMITS_AT_DESTINATION },
  destination: DATA_LIMITS_AT_SOURCE,
};

const NAMED_FRAMES: ReadonlyMap<number, MessageName> = new Map([
  [FRAME_TYPE.pages, 'pages'],
  [FRAME_TYPE.streamRoundEnd, 'stream-round-end'],
  [FRAME_TYPE.dataHello, 'data-hello'],
  [FRAME_TYPE.dataAccept, 'data-accept'],
]);

export class Relay {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #sender: Sender;
  readonly #rule: FrameRule;
  readonly #isControl: boolean;
  readonly #splitter: FrameSplitter;
  /** Frames behind a held message; undefined while none is held. */
  #waiting: Frame[] | undefined;
  #flushed: Promise<void> = Promise.resolve();

  constructor(from: Socket, to: Socket, kind: ConnectionKind, sender: Sender, rule: FrameRule) {
    this.#from = from;
    this.#to = to;
    this.#sender = sender;
    this.#rule = rule;
    this.#isControl = kind === 'control';
    this.#splitter = new FrameSplitter(this.#isControl ? CONTROL_LIMITS : DATA_LIMITS[sender]);
  }

  /** Runs until a side closes; then the other side is closed too. */
  start(): void {
    this.#from.once('close', () => this.#to.destroy());
    void this.#run().catch(() => this.#destroy());
  }

  async #run(): Promise<void> {
    for await (const chunk of this.#from.iterator({ destroyOnReturn: false })) {
      if (!(chunk instanceof Uint8Array)) throw new TypeError('a socket gives bytes');
      const frames: Frame[] = [];
      this.#splitter.push(chunk, (frame) => frames.push(frame));
      for (const frame of frames) await this.#take(frame);
      await this.#rule.pace(chunk.length);
    }
    await this.#flushed;
    this.#to.end();
  }

  async #take(frame: Frame): Promise<void> {
    const sight = this.#sightOf(frame);
    if (sight?.name === 'ping' || sight?.name === 'pong') return this.#pass(frame, sight);
    if (this.#waiting !== undefined) {
      this.#waiting.push(frame);
      return undefined;
    }
    const hold = sight === undefined ? undefined : this.#rule.holdFor(sight);
    if (hold === undefined) return this.#pass(frame, sight);
    this.#waiting = [];
    this.#flushed = this.#flush(frame, hold, this.#waiting).catch(() => this.#destroy());
    return undefined;
  }

  /** Waits for the word on the held message, then passes on what waited behind it, of which more may be held. */
  async #flush(held: Frame, hold: Hold, waiting: Frame[]): Promise<void> {
    await this.#passHeld(held, this.#sightOf(held), hold);
    for (let frame = waiting.shift(); frame !== undefined; frame = waiting.shift()) {
      const sight = this.#sightOf(frame);
      await this.#passHeld(frame, sight, sight === undefined ? undefined : this.#rule.holdFor(sight));
    }
    this.#waiting = undefined;
  }

  async #passHeld(frame: Frame, sight: Sight | undefined, hold: Hold | undefined): Promise<void> {
    hold?.arrive();
    if ((await hold?.ended) !== false) await this.#pass(frame, sight);
  }

  async #pass(frame: Frame, sight: Sight | undefined): Promise<void> {
    const { bytes, isLast } = await this.#rule.change(frame, sight);
    if (this.#to.destroyed || this.#to.writableEnded) return;
    if (isLast) this.#to.end(bytes, () => this.#destroy());
    else if (!this.#to.write(bytes)) await untilDrained(this.#to);
  }

  #destroy(): void {
    this.#from.destroy();
    this.#to.destroy();
  }

  #sightOf({ type, aux, payload }: Frame): Sight | undefined {
    const name = NAMED_FRAMES.get(type);
    if (name !== undefined) return { name, round: aux, purpose: undefined };
    if (!this.#isControl || type !== FRAME_TYPE.control) return undefined;
    const message =
      this.#sender === 'source' ? decodeSourceMessage(payload) : decodeDestinationMessage(payload);
    return {
      name: message.type,
      round: 'round' in message ? message.round : undefined,
      purpose: message.type === 'hello' ? message.purpose : undefined,
    };
  }
}

/** A peer that is gone counts as drained: what is written to it is lost, as on a network. */
async function untilDrained(socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}
