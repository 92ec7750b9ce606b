// The management API as a client sees it, over the daemon's UNIX socket: a row of the route table in, its answer out.
// One connection, kept alive: what a monitoring client does, and the benchmark measures answers rather than connects.
import { Agent, request } from 'node:http';
import { problemDetails, routes } from '@pageferry/protocol';
import type { ProblemDetails, RouteName } from '@pageferry/protocol';

/** A route's schema, without naming the library that made it. */
interface Schema<T> {
  parse(value: unknown): T;
}
type JsonRoute = Exclude<RouteName, 'metrics'>;
type Answer<Name extends JsonRoute> = (typeof routes)[Name]['response'] extends Schema<infer T> ? T : never;

/** An answer that is a problem. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem';
  readonly problem: ProblemDetails;

  constructor(problem: ProblemDetails) {
    super(`${problem.title}: ${problem.detail}${problem.hint === undefined ? '' : ` (${problem.hint})`}`);
    this.problem = problem;
  }
}

export class ApiClient {
  readonly #socketPath: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** Throws `ApiProblem`, or the error of a connection that cannot be made. */
  async call<Name extends JsonRoute>(name: Name, body?: unknown): Promise<Answer<Name>> {
    const { method, url, response } = routes[name];
    const answer = await this.send(method, url, body);
    const value: unknown = JSON.parse(answer.text);
    if (answer.status >= 400) throw new ApiProblem(problemDetails.parse(value));
    // The schema is the row's own, which the compiler cannot follow through a generic name.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    return response.parse(value) as Answer<Name>;
  }

  /** Any request, as text; `body` becomes JSON. */
  send(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ readonly status: number; readonly text: string }> {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const headers = payload === undefined ? {} : { 'content-type': 'application/json' };
    return new Promise((resolve, reject) => {
      const outgoing = request(
        { socketPath: this.#socketPath, agent: this.#agent, method, path, headers },
        (incoming) => {
          const chunks: Buffer[] = [];
          incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
          incoming.on('error', reject);
          incoming.on('end', () =>
            resolve({ status: incoming.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
          );
        },
      );
      outgoing.on('error', reject);
      outgoing.end(payload);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
