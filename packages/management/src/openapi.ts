/**
 * The OpenAPI 3.1 document, made from the route table and its zod schemas, so that it cannot say anything else than
 * what is validated. Bodies are described as they are given (defaults optional), answers as they are given back.
 */
import { problemDetails, type Route } from '@pageferry/protocol';
import { z } from 'zod';
import { PROBLEM_CONTENT_TYPE } from './problem-reply.ts';

export type OpenApiInput = {
  readonly title: string;
  readonly version: string;
  readonly routes: readonly Route[];
};

/** A plain JSON object. */
export function openApiDocument({ title, version, routes }: OpenApiInput): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    paths[route.url] = { ...paths[route.url], [route.method.toLowerCase()]: operation(route) };
  }
  return {
    openapi: '3.1.0',
    info: { title, version },
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    paths,
    components: {
      schemas: { Problem: jsonSchema(problemDetails, 'output') },
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
    },
  };
}

function operation(route: Route): Record<string, unknown> {
  return {
    operationId: `${route.method.toLowerCase()}${route.url.replace(/[^a-z]+([a-z])/g, upperCase)}`,
    summary: route.summary,
    // Without a token configured the first alternative, no authentication, is the one that applies.
    security: route.isPublic ? [] : [{}, { bearer: [] }],
    ...(route.body === null
      ? {}
      : {
          requestBody: {
            required: !route.isBodyOptional,
            content: { 'application/json': { schema: jsonSchema(route.body, 'input') } },
          },
        }),
    responses: {
      [String(route.status)]: { description: route.summary, content: answerContent(route) },
      default: {
        description: 'A problem (RFC 9457)',
        content: { [PROBLEM_CONTENT_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    },
  };
}

function upperCase(_match: string, letter: string): string {
  return letter.toUpperCase();
}

function answerContent({ response }: Route): Record<string, unknown> {
  return response === null
    ? { 'text/plain': { schema: { type: 'string' } } }
    : { 'application/json': { schema: jsonSchema(response, 'output') } };
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _dialect, '~standard': _standard, ...rest } = z.toJSONSchema(schema, { io });
  return rest;
}
