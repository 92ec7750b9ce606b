export { sourceApp } from './app.ts';
export { SourceDaemon, type DaemonOptions } from './daemon.ts';
