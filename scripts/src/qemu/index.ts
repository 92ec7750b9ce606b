/** What benches with real guests share: guests from Debian's packages and our own source, their QEMUs and consoles. */
export * from './console-report.ts';
export * from './daemon-migration.ts';
export * from './debian.ts';
export * from './guest-image.ts';
export * from './guest-pair.ts';
export * from './machine.ts';
export * from './monitor.ts';
export * from './native-migration.ts';
export * from './qmp-proxy.ts';
export * from './serial-console.ts';
export * from './workload-guest.ts';
