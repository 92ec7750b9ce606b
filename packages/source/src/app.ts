/** The source's management API: each route of the table, bound to the daemon. */
import { createApp, implement, metricsText, type App, type AppOptions } from '@pageferry/management';
import type { SourceDaemon } from './daemon.ts';

export function sourceApp(
  daemon: SourceDaemon,
  options: Omit<AppOptions, 'side' | 'title' | 'notReadyReasons'>,
): App {
  const app = createApp({
    ...options,
    side: 'source',
    title: 'Pageferry source',
    notReadyReasons: () => daemon.notReadyReasons,
  });
  const { settings } = daemon;
  implement(app, 'migrate', (body) => daemon.migrate(body));
  implement(app, 'status', () => daemon.status());
  implement(app, 'cacheSize', () => settings.cacheSize());
  implement(app, 'setCacheSize', (body) => settings.setCacheSize(body['cache-size']));
  implement(app, 'parameters', () => settings.parameters());
  implement(app, 'setParameters', (body) => settings.setParameters(body));
  implement(app, 'cancel', (body) => daemon.cancel(body['migration-id']));
  implement(app, 'continue', (body) => daemon.continue(body['migration-id']));
  implement(app, 'takeover', (body) => daemon.takeOver(body['migration-id']));
  implement(app, 'metrics', () => metricsText(daemon.status(), options.version));
  return app;
}
