/**
 * One route of the table with its handler: the types that tie them together, and the registration.
 * Invariant: a handler sees only a body that its schema accepted, complete with defaults.
 */
import { parseBody, type RouteName, routes } from '@pageferry/protocol';
import type { FastifyInstance } from 'fastify';
import type { z } from 'zod';

const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export type App = FastifyInstance;

type Routes = typeof routes;
/** The parsed body of a route, `undefined` where it has none. */
export type RouteBody<Name extends RouteName> = Routes[Name]['body'] extends z.ZodType
  ? z.output<Routes[Name]['body']>
  : undefined;
/** What a route answers; text where the table has no schema. */
export type RouteAnswer<Name extends RouteName> = Routes[Name]['response'] extends z.ZodType
  ? z.output<Routes[Name]['response']>
  : string;
export type RouteHandler<Name extends RouteName> = (
  body: RouteBody<Name>,
) => RouteAnswer<Name> | Promise<RouteAnswer<Name>>;

/** Registers one route of the table. Throws if it is registered already. */
export function implement<Name extends RouteName>(app: App, name: Name, handler: RouteHandler<Name>): void {
  const route = routes[name];
  app.route({
    method: route.method,
    url: route.url,
    config: { isPublic: route.isPublic },
    handler: async (request, reply) => {
      const answer = await handler(bodyOf(name, request.body));
      reply.code(route.status);
      if (route.status === 202) reply.header('location', routes.status.url);
      if (route.response === null) return reply.type(METRICS_CONTENT_TYPE).send(answer);
      return reply.type('application/json').send(JSON.stringify(answer));
    },
  });
}

function bodyOf<Name extends RouteName>(name: Name, body: unknown): RouteBody<Name> {
  const { body: schema, isBodyOptional } = routes[name];
  const given = body === undefined && isBodyOptional ? {} : body;
  const parsed = schema === null ? undefined : parseBody<z.ZodType>(schema, given);
  // The schema is the row's own, which the compiler cannot follow through a generic name.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return parsed as RouteBody<Name>;
}
