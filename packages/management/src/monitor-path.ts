/** Where a QEMU's monitor may be: the socket that a request names, resolved, and below the daemon's --qmp-root. */
import { realpathSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path';
import { ProblemError } from '@pageferry/protocol';

/**
 * The socket's real path. It need not exist yet (a command may make it), but its directory must.
 * @throws ProblemError guest-unavailable, monitor-outside-root
 */
export function monitorPath(path: string, qmpRoot: string): string {
  const resolved = resolve(path);
  const inside = relative(resolve(qmpRoot), resolved);
  const isBelow = inside !== '' && inside !== '..' && !inside.startsWith(`..${sep}`) && !isAbsolute(inside);
  if (isBelow) return resolved;
  throw new ProblemError('monitor-outside-root', `${path} is not below ${qmpRoot}`, {
    hint: "Put the monitor's socket there, or start the daemon with another --qmp-root.",
  });
}

function resolve(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    return join(resolveDirectory(dirname(path)), basename(path));
  }
}

function resolveDirectory(directory: string): string {
  try {
    return realpathSync.native(directory);
  } catch (cause) {
    throw new ProblemError('guest-unavailable', `there is no directory ${directory}`, { cause });
  }
}
