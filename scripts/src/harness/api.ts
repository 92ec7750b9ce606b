/**
 * The management API as its user sees it. Every answer is read through the published schemas, so a daemon whose answers
 * do not fit its own description fails the test.
 */
import {
  acceptedAnswer,
  cacheSizeAnswer,
  incomingAnswer,
  migrateAnswer,
  migrationStatus,
  parametersAnswer,
  problemDetails,
  type AcceptedAnswer,
  type CacheSizeAnswer,
  type IncomingAnswer,
  type incomingBody,
  type LiveParameters,
  type MigrateAnswer,
  type migrateBody,
  type MigrationStatus,
  type ParametersAnswer,
  type ProblemDetails,
} from '@pageferry/protocol';
import type { z } from 'zod';
import { eventually } from './wait.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH';
export type IncomingRequest = z.input<typeof incomingBody>;
export type MigrateRequest = z.input<typeof migrateBody>;

/** An answer as it came. */
export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: unknown;
}

/** An answer that was a problem. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly problem: ProblemDetails;

  constructor(what: string, problem: ProblemDetails) {
    super(`${what}: ${problem.status} ${problem.type}: ${problem.detail}`);
    this.problem = problem;
  }
}

export class ApiClient {
  /** As a URL. */
  readonly origin: string;
  readonly #explain: () => string;

  /** `address` as the daemon logs it: tcp:HOST:PORT. `explain` is asked why there is no answer. */
  constructor(address: string, explain: () => string) {
    this.origin = address.replace(/^tcp:/, 'http://');
    this.#explain = explain;
  }

  async request(method: Method, path: string, body?: unknown): Promise<Answer> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const response = await fetch(this.origin + path, {
      method,
      ...(body === undefined ? {} : { body: text, headers: { 'content-type': 'application/json' } }),
    }).catch((cause: unknown) => {
      throw new Error(`${method} ${path} was not answered: ${this.#explain()}`, { cause });
    });
    const contentType = response.headers.get('content-type') ?? '';
    return { status: response.status, contentType, body: await response.json() };
  }

  /** The problem that a request is answered with. Throws if it is answered with anything else. */
  async refusal(method: Method, path: string, body?: unknown): Promise<ProblemDetails> {
    const answer = await this.request(method, path, body);
    const problem = problemOf(answer);
    if (problem === undefined)
      throw new Error(`${method} ${path} was answered with ${answer.status}, not refused`);
    return problem;
  }

  async status(): Promise<MigrationStatus> {
    return this.#call(migrationStatus, 'GET', '/status');
  }

  async incoming(body: IncomingRequest): Promise<IncomingAnswer> {
    return this.#call(incomingAnswer, 'POST', '/incoming', body);
  }

  async migrate(body: MigrateRequest): Promise<MigrateAnswer> {
    return this.#call(migrateAnswer, 'POST', '/migrate', body);
  }

  async cancel(): Promise<AcceptedAnswer> {
    return this.#call(acceptedAnswer, 'POST', '/cancel');
  }

  async continue(): Promise<AcceptedAnswer> {
    return this.#call(acceptedAnswer, 'POST', '/continue');
  }

  async abort(id?: string): Promise<AcceptedAnswer> {
    return this.#call(acceptedAnswer, 'POST', '/abort', id === undefined ? {} : { 'migration-id': id });
  }

  async takeOver(id: string): Promise<AcceptedAnswer> {
    return this.#call(acceptedAnswer, 'POST', '/takeover', { 'migration-id': id });
  }

  async cacheSize(): Promise<CacheSizeAnswer> {
    return this.#call(cacheSizeAnswer, 'GET', '/cache-size');
  }

  async setCacheSize(bytes: number): Promise<CacheSizeAnswer> {
    return this.#call(cacheSizeAnswer, 'PUT', '/cache-size', { 'cache-size': bytes });
  }

  async parameters(): Promise<ParametersAnswer> {
    return this.#call(parametersAnswer, 'GET', '/parameters');
  }

  async setParameters(changes: LiveParameters): Promise<ParametersAnswer> {
    return this.#call(parametersAnswer, 'PATCH', '/parameters', changes);
  }

  /** Polls the status until it satisfies `condition`; a migration that ends in another way ends the wait. */
  async until(what: string, condition: (status: MigrationStatus) => boolean): Promise<MigrationStatus> {
    let last: MigrationStatus | undefined;
    return eventually(
      what,
      async () => {
        last = await this.status();
        if (condition(last)) return last;
        if (['completed', 'failed', 'cancelled'].includes(last.status))
          throw new Error(`the migration is over before ${what}: ${describe(last)}`);
        return undefined;
      },
      () => (last === undefined ? '' : describe(last)),
    );
  }

  /** The status once the migration is over, whatever came of it. */
  async untilOver(): Promise<MigrationStatus> {
    return this.until('the end', ({ status }) => ['completed', 'failed', 'cancelled'].includes(status));
  }

  async #call<Schema extends z.ZodType>(
    schema: Schema,
    method: Method,
    path: string,
    body?: unknown,
  ): Promise<z.output<Schema>> {
    const answer = await this.request(method, path, body);
    const problem = problemOf(answer);
    if (problem !== undefined) throw new RefusedError(`${method} ${path}`, problem);
    return schema.parse(answer.body);
  }
}

function problemOf({ status, contentType, body }: Answer): ProblemDetails | undefined {
  if (!contentType.startsWith('application/problem+json')) return undefined;
  const problem = problemDetails.parse(body);
  if (problem.status !== status)
    throw new Error(`a problem of status ${problem.status} came with status ${status}`);
  return problem;
}

function describe({ status, pageferry, 'error-desc': error }: MigrationStatus): string {
  return `${status}, phase ${pageferry.phase}, round ${pageferry.round}${error === undefined ? '' : `: ${error}`}`;
}
