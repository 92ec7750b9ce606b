/**
 * The HTTP shell of a daemon: createApp gives an application without listeners, the daemon adds its routes
 * with `implement`. Tests call `app.inject`, daemons `listenApi`.
 * Invariant: before a handler runs, host, origin, token, content type and body have been checked, in that order, so a
 * refused request has changed nothing. Every error is a problem+json.
 */
import { type HealthAnswer, ProblemError, type Route, routes, type Side } from '@pageferry/protocol';
import { fastify, LogController, type FastifyBaseLogger, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { type App, implement } from './implement.ts';
import { openApiDocument } from './openapi.ts';
import { problemOfError, refuseMalformedHttp, sendProblem } from './problem-reply.ts';
import { type CallerRules, checkCaller } from './request-checks.ts';

const BODY_MAX_BYTES = 1024 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;

export type AppOptions = CallerRules & {
  readonly logger: Logger;
  readonly side: Side;
  /** Of the OpenAPI document. */
  readonly title: string;
  readonly version: string;
  /** Why no migration can be taken right now, in words; empty when ready. Must not wait. */
  readonly notReadyReasons: () => readonly string[];
};

/** The application of one side, with /livez, /readyz and /openapi.json. */
export function createApp(options: AppOptions): App {
  const { side } = options;
  const logger: FastifyBaseLogger = options.logger;
  const app: App = fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_MAX_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    clientErrorHandler: refuseMalformedHttp,
    frameworkErrors: (error, request, reply) => {
      sendProblem(reply, problemOfError(error, request), side);
    },
  });
  parseJsonOnly(app);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('cache-control', 'no-store');
    checkCaller(request, options);
  });
  app.setErrorHandler((error, request, reply) => sendProblem(reply, problemOfError(error, request), side));
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? '';
    const methods = routesOf(side).filter((route) => route.url === path);
    if (methods.length === 0) throw new ProblemError('not-found', `There is no ${path} at the ${side}`);
    const allowed = methods.map((route) => route.method).join(', ');
    reply.header('allow', allowed);
    throw new ProblemError('method-not-allowed', `${path} takes ${allowed}, not ${request.method}`);
  });
  app.addHook('onReady', async () => refuseMissingRoutes(app, side));
  implementOwnRoutes(app, options);
  return app;
}

function implementOwnRoutes(app: App, { title, version, side, notReadyReasons }: AppOptions): void {
  const document = openApiDocument({ title, version, routes: routesOf(side) });
  implement(app, 'livez', () => ({ status: 'ok', reasons: [] }));
  implement(app, 'openapi', () => document);
  app.route({
    method: 'GET',
    url: routes.readyz.url,
    config: { isPublic: routes.readyz.isPublic },
    handler: async (_request, reply) => {
      const reasons = notReadyReasons();
      const answer: HealthAnswer = {
        status: reasons.length === 0 ? 'ok' : 'not-ready',
        reasons: [...reasons],
      };
      return reply.code(reasons.length === 0 ? 200 : 503).send(answer);
    },
  });
}

/** An impossible state, not a caller's error: the daemon forgot to implement a route of the table. */
function refuseMissingRoutes(app: App, side: Side): void {
  const missing = routesOf(side).filter(({ method, url }) => !app.hasRoute({ method, url }));
  if (missing.length === 0) return;
  throw new Error(`not implemented: ${missing.map(({ method, url }) => `${method} ${url}`).join(', ')}`);
}

function routesOf(side: Side): readonly Route[] {
  return Object.values<Route>(routes).filter((route) => route.on.includes(side));
}

/** Only application/json is a body; it may be absent, which the route's schema then judges. */
function parseJsonOnly(app: App): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'string' },
    async (_request: FastifyRequest, text: string) => {
      if (text.length === 0) return undefined;
      try {
        return JSON.parse(text);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        throw new ProblemError('invalid-body', `The body is not JSON: ${why}`, { cause: error });
      }
    },
  );
}
