/**
 * The hand-packed half of the protocol, as `@pageferry/protocol/wire`: what engines and sockets need, without the
 * schemas and their libraries (loading those takes 100 ms, in every process and every stream's thread).
 */
export * from './data-hello.ts';
export * from './device-state-frame.ts';
export * from './digest-frames.ts';
export * from './errors.ts';
export * from './frame-splitter.ts';
export * from './frame.ts';
export { checkExpected } from './layout.ts';
export * from './limits.ts';
export * from './page-records.ts';
export * from './preamble.ts';
export * from './proof.ts';
