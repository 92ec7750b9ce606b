/** The destination's management API: each route of the table, bound to the daemon. */
import { createApp, implement, metricsText, type App, type AppOptions } from '@pageferry/management';
import type { DestinationDaemon } from './daemon.ts';

export function destinationApp(
  daemon: DestinationDaemon,
  options: Omit<AppOptions, 'side' | 'title' | 'notReadyReasons'>,
): App {
  const app = createApp({
    ...options,
    side: 'destination',
    title: 'Pageferry destination',
    notReadyReasons: () => daemon.notReadyReasons,
  });
  implement(app, 'incoming', (body) => daemon.arm(body));
  implement(app, 'status', () => daemon.status());
  implement(app, 'cacheSize', () => daemon.cacheSize());
  implement(app, 'setCacheSize', (body) => daemon.setCacheSize(body['cache-size']));
  implement(app, 'parameters', () => daemon.parameters());
  implement(app, 'abort', (body) => daemon.abort(body['migration-id']));
  implement(app, 'takeover', (body) => daemon.takeOver(body['migration-id']));
  implement(app, 'metrics', () => metricsText(daemon.status(), options.version));
  return app;
}
