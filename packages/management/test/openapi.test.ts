/**
 * The document's structure: every route of the side, unique operations, references that resolve, schemas of the
 * JSON Schema dialect that OpenAPI 3.1 takes.
 */
import { type Route, routes } from '@pageferry/protocol';
import t from 'tap';
import { openApiDocument } from '../src/index.ts';
import { makeSourceApp } from './source-app.ts';

const all: readonly Route[] = Object.values<Route>(routes);
const document = openApiDocument({ title: 'Pageferry', version: '1.2.3', routes: all });

function objectAt(root: unknown, ...path: readonly string[]): object {
  const found = path.reduce<unknown>((value, key) => {
    return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
  }, root);
  if (typeof found !== 'object' || found === null) throw new Error(`no object at ${path.join('/')}`);
  return found;
}

function everyObject(root: unknown): readonly object[] {
  if (typeof root !== 'object' || root === null) return [];
  return [root, ...Object.values(root).flatMap(everyObject)];
}

await t.test('head', async (t) => {
  t.match(document, { openapi: /^3\.1\.\d$/, info: { title: 'Pageferry', version: '1.2.3' } });
  t.strictSame(JSON.parse(JSON.stringify(document)), document, 'is plain JSON');
});

await t.test('every route is an operation with its answers', async (t) => {
  t.plan(2 * all.length + 1);
  const ids = new Set<unknown>();
  for (const route of all) {
    const operation = objectAt(document, 'paths', route.url, route.method.toLowerCase());
    t.match(operation, {
      operationId: /^[a-z][a-zA-Z]+$/,
      summary: route.summary,
      responses: {
        [String(route.status)]: { description: String, content: Object },
        default: {
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
    });
    ids.add(Reflect.get(operation, 'operationId'));
    t.equal(
      'requestBody' in operation && Reflect.get(objectAt(operation, 'requestBody'), 'required'),
      route.body !== null && !route.isBodyOptional,
      `${route.method} ${route.url} body`,
    );
  }
  t.equal(ids.size, all.length);
});

await t.test('schemas and references', async (t) => {
  const problem = objectAt(document, 'components', 'schemas', 'Problem');
  t.match(problem, { type: 'object', required: ['type', 'title', 'status', 'detail', 'retryable'] });
  for (const each of everyObject(document)) {
    const reference: unknown = Reflect.get(each, '$ref');
    if (reference === undefined) continue;
    t.equal(reference, '#/components/schemas/Problem');
  }
  t.notOk(
    everyObject(document).some((each) => '$schema' in each),
    'no dialect inside',
  );
});

await t.test('bodies are as given: defaults are optional, unknown fields are not allowed', async (t) => {
  const body = objectAt(
    document,
    'paths',
    '/migrate',
    'post',
    'requestBody',
    'content',
    'application/json',
    'schema',
  );
  t.strictSame(Reflect.get(body, 'required'), ['uri', 'token']);
  t.equal(Reflect.get(body, 'additionalProperties'), false);
  t.match(objectAt(body, 'properties', 'parameters', 'properties', 'max-rounds'), {
    type: 'integer',
    default: 30,
    minimum: 1,
    maximum: 1000,
  });
});

await t.test('a side serves the document of its own routes', async (t) => {
  const { app } = makeSourceApp();
  const served: unknown = (await app.inject('/openapi.json')).json();
  const paths = Object.keys(objectAt(served, 'paths'));
  t.ok(paths.includes('/migrate') && paths.includes('/openapi.json'));
  t.notOk(paths.includes('/incoming'));
  await app.close();
});
