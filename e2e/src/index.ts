/** The harness of the end-to-end tests. */
export * from './api.ts';
export * from './child.ts';
export * from './daemons.ts';
export * from './hold.ts';
export * from './processes.ts';
export * from './proxy.ts';
export * from './rig.ts';
export * from './wait.ts';
export * from './workload.ts';
export * from './write-samples.ts';
