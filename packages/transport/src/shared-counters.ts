/**
 * Counters in memory that threads share: one writes, others read, nobody waits. Numbers are doubles, exact up to
 * 2^53.
 */
export class SharedCounters<Name extends string> {
  readonly #names: readonly Name[];
  readonly #cells: Float64Array;

  /** `buffer`: of `allocate` with the same names. */
  constructor(names: readonly Name[], buffer: SharedArrayBuffer) {
    this.#names = names;
    this.#cells = new Float64Array(buffer);
  }

  static allocate(names: readonly string[]): SharedArrayBuffer {
    return new SharedArrayBuffer(names.length * Float64Array.BYTES_PER_ELEMENT);
  }

  get(name: Name): number {
    return this.#cells[this.#names.indexOf(name)] ?? 0;
  }

  set(name: Name, value: number): void {
    this.#cells[this.#names.indexOf(name)] = value;
  }

  add(name: Name, value: number): void {
    this.set(name, this.get(name) + value);
  }
}
