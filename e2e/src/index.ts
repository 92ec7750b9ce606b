/** The harness of the end-to-end tests. */
export * from './hold.ts';
export * from './proxy.ts';
export * from './reach.ts';
export * from './rig.ts';
export * from './spoil.ts';
export * from './whereabouts.ts';
export * from './workload.ts';
export * from './write-samples.ts';
