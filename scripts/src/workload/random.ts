// Numbers and bytes that depend on their key alone, so that a workload can be replayed from its seed.
// 32-bit arithmetic only: BigInt would make an image of a gigabyte take minutes.

/** Mixes a seed and any counts (whole numbers below 2^53) into 32 bits; every bit of the input reaches every bit. */
export function mix(seed: number, ...counts: readonly number[]): number {
  let hash = mixWord(0x9e3779b9, seed);
  for (const count of counts) hash = mixWord(mixWord(hash, count), Math.floor(count / 2 ** 32));
  return hash;
}

/** The finalizer of MurmurHash3 (Austin Appleby, public domain) over the running hash and one word. */
function mixWord(hash: number, word: number): number {
  let mixed = (Math.imul(hash, 0x01000193) ^ word) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** Fills whole words with incompressible bytes: xoshiro128** (Blackman and Vigna), its state taken from the key. */
export function fillRandom(words: Uint32Array, key: number): void {
  let a = mix(key, 1);
  let b = mix(key, 2);
  let c = mix(key, 3);
  let d = mix(key, 4) | 1;
  for (let index = 0; index < words.length; index += 1) {
    const product = Math.imul(b, 5);
    words[index] = Math.imul((product << 7) | (product >>> 25), 9);
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
  }
}
