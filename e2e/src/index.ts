/** The harness of the end-to-end tests. */
export * from './daemon-pair.ts';
export * from './hold.ts';
export * from './meddler.ts';
export * from './proxy.ts';
export * from './random-plan.ts';
export * from './random-report.ts';
export * from './random-run.ts';
export * from './reach.ts';
export * from './rig.ts';
export * from './whereabouts.ts';
export * from './workload.ts';
export * from './write-samples.ts';
