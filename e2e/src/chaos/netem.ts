/**
 * A loopback device that delays, reorders, doubles and loses packets (tc-netem(8)), for everybody on this machine. Needs
 * root, tc and the module sch_netem.
 */
import { spawnSync } from 'node:child_process';

const DEVICE = 'lo';
const DISTURBANCE = ['delay', '15ms', '10ms', 'loss', '3%', 'duplicate', '1%', 'reorder', '10%'];

export class Netem {
  #isOn = false;

  /** @throws Error where this machine has none */
  static find(): Netem {
    tc('add', ['delay', '0ms']);
    tc('del', []);
    return new Netem();
  }

  start(): void {
    tc('add', DISTURBANCE);
    this.#isOn = true;
  }

  /** Idempotent. */
  stop(): void {
    if (this.#isOn) tc('del', []);
    this.#isOn = false;
  }
}

function tc(verb: 'add' | 'del', netem: readonly string[]): void {
  const words = ['qdisc', verb, 'dev', DEVICE, 'root', 'netem', ...netem];
  const { status, stderr, error } = spawnSync('tc', words, { encoding: 'utf8' });
  if (status === 0) return;
  const reason = error?.message ?? stderr.trim();
  throw new Error(`netem takes root, tc (iproute2) and sch_netem: tc ${words.join(' ')}: ${reason}`);
}
