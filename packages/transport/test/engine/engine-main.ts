/** An engine for the test: says which files it was given. */
import { readlinkSync } from 'node:fs';
import { receiveDescriptors } from '../../src/descriptors.ts';
import { ENGINE_FILES_FD } from '../../src/engine-process.ts';
import { bindToDaemon, tellDaemon } from '../../src/engine-side.ts';

bindToDaemon();
process.on('message', ({ count }: { readonly count: number }) => {
  const fds = count === 0 ? [] : receiveDescriptors(ENGINE_FILES_FD, count);
  tellDaemon({ paths: fds.map((fd) => readlinkSync(`/proc/self/fd/${fd}`)) });
});
