// How far apart two cores are: the time in which a word goes from one to the other and back. The pages of a migration within
// one host take that way too, and a virtual machine's host may move its cores between caches from one second to the next.
import { availableParallelism } from 'node:os';
import { isMainThread, Worker, workerData } from 'node:worker_threads';

const EXCHANGES = 20_000;
/** Exchanges before the first that counts: code is compiled, and the kernel has given both threads a core. */
const WARM_UP = 20_000;
/** So many looks, some seconds, say that the other thread is not there. */
const LOOKS_MAX = 1e9;
const WORD_BYTES = Int32Array.BYTES_PER_ELEMENT;

/** Nanoseconds of a round trip between two threads that wait for each other. It takes some milliseconds. NaN on one core. */
export async function coreRoundTripNs(): Promise<number> {
  if (availableParallelism() < 2) return NaN;
  const word = new Int32Array(new SharedArrayBuffer(WORD_BYTES));
  const peer = new Worker(new URL(import.meta.url), { workerData: word });
  await new Promise<void>((resolve) => {
    peer.once('online', resolve);
  });
  exchange(word, 0, WARM_UP);
  const startMs = performance.now();
  exchange(word, WARM_UP, WARM_UP + EXCHANGES);
  const ms = performance.now() - startMs;
  await peer.terminate();
  return (ms * 1e6) / EXCHANGES;
}

/** This end's part: an odd number goes, the next even one comes back. */
function exchange(word: Int32Array, from: number, to: number): void {
  for (let turn = from; turn < to; turn += 1) {
    Atomics.store(word, 0, 2 * turn + 1);
    awaitWord(word, 2 * turn + 2);
  }
}

function answer(word: Int32Array): void {
  for (let turn = 0; turn < WARM_UP + EXCHANGES; turn += 1) {
    awaitWord(word, 2 * turn + 1);
    Atomics.store(word, 0, 2 * turn + 2);
  }
}

function awaitWord(word: Int32Array, expected: number): void {
  for (let looks = 0; Atomics.load(word, 0) !== expected; looks += 1) {
    if (looks > LOOKS_MAX) throw new Error('the other thread does not answer');
  }
}

if (!isMainThread && workerData instanceof Int32Array) answer(workerData);
