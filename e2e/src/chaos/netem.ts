/**
 * A loopback device that delays, reorders, doubles and loses packets (tc-netem(8)), for everybody on this machine. Needs
 * root, tc and the module sch_netem.
 */
import { spawnSync } from 'node:child_process';

const DEVICE = 'lo';
const DISTURBANCE = ['delay', '15ms', '10ms', 'loss', '3%', 'duplicate', '1%', 'reorder', '10%'];

export class Netem {
  #isOn = false;

  /** Undefined where this machine has none. */
  static find(): Netem | undefined {
    const netem = new Netem();
    const isThere = tc('add', ['delay', '0ms']);
    if (isThere) tc('del', []);
    return isThere ? netem : undefined;
  }

  start(): void {
    this.#isOn = tc('add', DISTURBANCE);
    if (!this.#isOn) throw new Error('tc could not be told to disturb the loopback device');
  }

  /** Idempotent. */
  stop(): void {
    if (this.#isOn) tc('del', []);
    this.#isOn = false;
  }
}

function tc(verb: 'add' | 'del', netem: readonly string[]): boolean {
  const words = ['qdisc', verb, 'dev', DEVICE, 'root', 'netem', ...netem];
  return spawnSync('tc', words, { stdio: 'ignore' }).status === 0;
}
