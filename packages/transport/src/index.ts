export * from './control-link.ts';
export * from './engine-process.ts';
export * from './engine-side.ts';
export * from './errors.ts';
export * from './frame-receiver.ts';
export * from './frame-socket.ts';
export * from './listener.ts';
export * from './system.ts';
