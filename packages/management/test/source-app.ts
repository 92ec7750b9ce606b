/**
 * A source's application with fake handlers, for the tests of the shell: it counts the calls that reach a handler.
 */
import { defaultParameters, idleStatus, migrationParameters } from '@pageferry/protocol';
import { pino } from 'pino';
import { type App, type AppOptions, createApp, implement, metricsText } from '../src/index.ts';

export const MIGRATION_ID = '3f0d9a52-9a7c-4c3e-8a61-0c4f6d9b1e77';

export const IDLE = idleStatus('source');

export type SourceApp = { readonly app: App; readonly bodies: unknown[] };

/** `onCancel` replaces the handler of POST /cancel. */
export function makeSourceApp(
  overrides: Partial<AppOptions> = {},
  onCancel: () => { readonly 'migration-id'?: string } = () => ({}),
): SourceApp {
  const bodies: unknown[] = [];
  const app = createApp({
    logger: pino({ level: 'silent' }),
    side: 'source',
    title: 'Pageferry source',
    version: '1.2.3',
    token: null,
    isHostAllowed: () => true,
    notReadyReasons: () => [],
    ...overrides,
  });
  const sizes = { requested: 4096, ceiling: 4096, effective: 4096, allocated: 0, limit: 4096 };
  const parameters = { requested: defaultParameters(), effective: defaultParameters() };
  implement(app, 'migrate', (body) => {
    bodies.push(body);
    const { capabilities } = body;
    const effective = migrationParameters.parse(body.parameters);
    return { 'migration-id': MIGRATION_ID, parameters: effective, capabilities, warnings: [] };
  });
  implement(app, 'status', () => IDLE);
  implement(app, 'cacheSize', () => sizes);
  implement(app, 'setCacheSize', (body) => {
    bodies.push(body);
    return { ...sizes, requested: body['cache-size'] };
  });
  implement(app, 'parameters', () => parameters);
  implement(app, 'setParameters', (body) => {
    bodies.push(body);
    return parameters;
  });
  implement(app, 'cancel', async (body) => {
    bodies.push(body);
    return onCancel();
  });
  implement(app, 'continue', (body) => {
    bodies.push(body);
    return {};
  });
  implement(app, 'takeover', (body) => {
    bodies.push(body);
    return {};
  });
  implement(app, 'metrics', () => metricsText(IDLE, '1.2.3'));
  return { app, bodies };
}
