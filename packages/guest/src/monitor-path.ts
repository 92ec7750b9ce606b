// Where a monitor's UNIX socket really is. It may not exist yet (the QEMU is started later), but its folder must.
import { realpath } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { GuestError } from './errors.ts';
import { errorCode } from './process-state.ts';

/**
 * The path with its links resolved. `root`: a folder that it must be below, itself with links resolved.
 * @throws GuestError `monitor-unreachable` (its folder is missing or closed to us), `monitor-outside-root`
 */
export async function resolveMonitorPath(path: string, root: string | null): Promise<string> {
  const resolved = await resolveLinks(path);
  if (root === null) return resolved;
  const realRoot = await realpathOf(root);
  const prefix = realRoot.endsWith(sep) ? realRoot : realRoot + sep;
  if (!resolved.startsWith(prefix))
    throw new GuestError({ code: 'monitor-outside-root', path: resolved, root: realRoot });
  return resolved;
}

async function resolveLinks(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw unreachable(path, error);
    // A link that leads to nothing ends here too: QEMU makes its socket in place of the link.
    return join(await realpathOf(dirname(path)), basename(path));
  }
}

async function realpathOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    throw unreachable(path, error);
  }
}

function unreachable(path: string, cause: unknown): GuestError {
  const errno = errorCode(cause) ?? String(cause);
  return new GuestError({ code: 'monitor-unreachable', path, errno }, { cause });
}
