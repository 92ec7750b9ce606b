export { destinationApp } from './app.ts';
export { DestinationDaemon, type DaemonOptions } from './daemon.ts';
