// The monitors that this process is connected to. A QEMU's monitor serves one client at a time, and more than one object
// here may speak of the same guest (the armed one, and one made from the journal's identity): they share the connection.
// Invariant: at most one connection a path, open while somebody uses or holds it.
import type { GuestHost } from './guest.ts';
import { connectQmp, type QmpClient } from './qmp-client.ts';
import { QMP_TIMES, type QmpTimes } from './qmp-times.ts';

interface Shared {
  open: QmpClient | null;
  connecting: Promise<QmpClient> | null;
  userCount: number;
}

export class Monitors {
  readonly times: QmpTimes;
  readonly #host: GuestHost;
  readonly #shared = new Map<string, Shared>();

  constructor(host: GuestHost, times: QmpTimes = QMP_TIMES) {
    this.#host = host;
    this.times = times;
  }

  /** Keeps the connection, once it is made, from now on; returns what lets go of it. */
  hold(path: string): () => void {
    const shared = this.#enter(path);
    let isHeld = true;
    return () => {
      if (isHeld) this.#leave(path, shared);
      isHeld = false;
    };
  }

  /** Works on the one connection, which is made anew where it was lost. @throws GuestError, as `connectQmp` */
  async use<T>(path: string, work: (client: QmpClient) => Promise<T>): Promise<T> {
    const shared = this.#enter(path);
    try {
      return await work(await this.#connected(path, shared));
    } finally {
      this.#leave(path, shared);
    }
  }

  async #connected(path: string, shared: Shared): Promise<QmpClient> {
    if (shared.open?.isOpen === true) return shared.open;
    shared.connecting ??= connectQmp(path, { host: this.#host, times: this.times });
    try {
      shared.open = await shared.connecting;
      return shared.open;
    } finally {
      shared.connecting = null;
    }
  }

  #enter(path: string): Shared {
    const shared = this.#shared.get(path) ?? { open: null, connecting: null, userCount: 0 };
    this.#shared.set(path, shared);
    shared.userCount += 1;
    return shared;
  }

  #leave(path: string, shared: Shared): void {
    shared.userCount -= 1;
    if (shared.userCount > 0) return;
    this.#shared.delete(path);
    shared.open?.close();
  }
}
