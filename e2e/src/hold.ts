/** A message that the proxy holds back: when it has come, and what becomes of it. */
import type { ControlMessage } from '@pageferry/protocol';
import { guarded } from '@pageferry/scripts/harness';

/** What can be held: control messages by their type, and frames of data connections. */
export type MessageName =
  ControlMessage['type'] | 'data-hello' | 'data-accept' | 'pages' | 'stream-round-end';

/** Which message: by its name, and where that is not enough by its round, or by what went through before it. */
export interface Place {
  readonly name: MessageName;
  readonly round?: number;
  /** Bytes of page frames that went through before. */
  readonly afterBytes?: number;
}

export class Hold {
  readonly #name: string;
  readonly #arrival: Promise<void>;
  #arrive: () => void = () => undefined;
  #hasArrived = false;
  #end: (goesOn: boolean) => void = () => undefined;
  /** Resolves with whether the message goes on. */
  readonly ended: Promise<boolean>;

  constructor(name: string) {
    this.#name = name;
    this.#arrival = new Promise((resolve) => {
      this.#arrive = resolve;
    });
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Resolves when the message is at the proxy. */
  get arrived(): Promise<void> {
    return guarded(`the message ${this.#name} at the proxy`, this.#arrival);
  }

  /** Whether it is, or was, at the proxy. */
  get hasArrived(): boolean {
    return this.#hasArrived;
  }

  /** Lets it go on, and what waited behind it. */
  release(): void {
    this.#end(true);
  }

  /** Drops it; what waited behind it goes on. */
  discard(): void {
    this.#end(false);
  }

  /** The proxy's word that the message came. */
  arrive(): void {
    this.#hasArrived = true;
    this.#arrive();
  }
}
