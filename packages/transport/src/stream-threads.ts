/**
 * The threads of an engine, one a stream. The first is started before there is a plan, so that it loads what it
 * needs while the engine waits.
 */
import { Worker } from 'node:worker_threads';

export interface StreamThreadsOptions<Report> {
  /** The threads' entry file. */
  readonly entry: URL;
  readonly onReport: (report: Report) => void;
  /** A thread that ended by an error that it did not report. */
  readonly onError: (error: Error) => void;
}

/** `Command` and `Report`: what goes to the threads and comes from them; both ends are of one build. */
export class StreamThreads<Command, Report> {
  readonly #options: StreamThreadsOptions<Report>;
  readonly #threads: Worker[] = [];
  #spare: Worker | undefined;

  constructor(options: StreamThreadsOptions<Report>) {
    this.#options = options;
    this.#spare = this.#start();
  }

  /** Starts the thread of the next stream with its first command. */
  add(command: Command): void {
    const thread = this.#spare ?? this.#start();
    this.#spare = undefined;
    this.#threads.push(thread);
    thread.postMessage(command);
  }

  /** False if there is no such stream. */
  tell(stream: number, command: Command): boolean {
    const thread = this.#threads[stream];
    thread?.postMessage(command);
    return thread !== undefined;
  }

  tellAll(command: Command): void {
    for (const thread of this.#threads) thread.postMessage(command);
  }

  #start(): Worker {
    const thread = new Worker(this.#options.entry);
    thread.on('message', this.#options.onReport);
    thread.on('error', this.#options.onError);
    return thread;
  }
}
