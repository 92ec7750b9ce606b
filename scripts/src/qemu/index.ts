/** What benches with real guests share: kernel, initramfs and workload from Debian's packages and our own source. */
export * from './debian.ts';
export * from './guest-image.ts';
export * from './workload-guest.ts';
