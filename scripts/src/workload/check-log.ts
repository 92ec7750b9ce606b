// The oracle's look at the log: whether the guest ran in two places, or an operation is missing or was done twice.
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

/** What a log says. The run was right only if `problems` is empty. */
export interface LogReport {
  /** Last operation by lane; a lane that never did one is missing. */
  readonly lastOperations: ReadonlyMap<string, number>;
  /** Instances in the order of their first line, with the number of operations of each. */
  readonly instances: ReadonlyMap<string, number>;
  /** In words, at most `MAX_PROBLEMS`. */
  readonly problems: readonly string[];
}

const MAX_PROBLEMS = 20;

/**
 * Reads a whole log. A line of an instance after the first line of a later one is a double: the guest ran in two places.
 * Every lane's numbers must be 1, 2, 3 … across all instances.
 */
export async function checkLog(path: string): Promise<LogReport> {
  const checker = new LogChecker();
  const stream = createReadStream(path, { encoding: 'latin1' });
  for await (const line of createInterface({ input: stream })) checker.add(line);
  return checker.report();
}

class LogChecker {
  readonly #lastOperations = new Map<string, number>();
  readonly #instances = new Map<string, number>();
  readonly #problems: string[] = [];
  #current = '';
  #lineNumber = 0;

  add(line: string): void {
    this.#lineNumber += 1;
    const [instance = '', word = '', ...rest] = line.split(' ');
    this.#addInstance(instance);
    if (word === 'failed') this.#complain(`${instance} failed: ${rest.join(' ')}`);
    else if (word === 'docs' || word === 'random') this.#addOperation(instance, word, Number(rest[0]));
    else if (word !== 'start') this.#complain(`${JSON.stringify(line)} is not a line of a workload`);
  }

  report(): LogReport {
    return {
      lastOperations: this.#lastOperations,
      instances: this.#instances,
      problems: this.#problems,
    };
  }

  #addInstance(instance: string): void {
    if (instance === this.#current) return;
    if (this.#instances.has(instance))
      this.#complain(`double: ${instance} wrote after ${this.#current} had begun`);
    else this.#instances.set(instance, 0);
    this.#current = instance;
  }

  #addOperation(instance: string, lane: string, operation: number): void {
    const expected = (this.#lastOperations.get(lane) ?? 0) + 1;
    if (operation !== expected)
      this.#complain(`${instance} did ${lane} ${operation}, expected was ${expected}`);
    this.#lastOperations.set(lane, operation);
    this.#instances.set(instance, (this.#instances.get(instance) ?? 0) + 1);
  }

  #complain(problem: string): void {
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(`line ${this.#lineNumber}: ${problem}`);
  }
}
