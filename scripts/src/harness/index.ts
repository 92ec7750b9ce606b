/** What scripts and end-to-end tests share: real daemons and guests as processes, the API, waiting. */
export * from './api.ts';
export * from './capture-relay.ts';
export * from './child.ts';
export * from './daemons.ts';
export * from './error-code.ts';
export * from './processes.ts';
export * from './wait.ts';
