// What the measurements share: a workspace with two running daemons, and memory that the host has already provided.
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { startDaemons } from '../harness/migration.ts';
import type { Daemons, MigrationRequest } from '../harness/migration.ts';
import { Workspace } from '../harness/workspace.ts';

const CHUNK = Buffer.alloc(2 ** 20, 1);
/** What a destination starts for a guest that need not go on. */
export const ENDING_GUEST = 'ends';
const SMALL_FILES_BYTES = 64 * 2 ** 20;

export interface Setting {
  readonly workspace: Workspace;
  readonly daemons: Daemons;
}

/** Runs `work` with daemons in a workspace that has room for `imageBytes`; takes everything away afterwards. */
export async function withDaemons<T>(imageBytes: number, work: (setting: Setting) => Promise<T>): Promise<T> {
  const workspace = new Workspace('bench', imageBytes + SMALL_FILES_BYTES);
  workspace.closeOnSignals();
  try {
    const daemons = await startDaemons(workspace, { [ENDING_GUEST]: ['/bin/true'] });
    return await work({ workspace, daemons });
  } finally {
    await workspace.close();
  }
}

/**
 * Writes as many bytes of tmpfs as the next run needs and frees them: memory that a virtual machine's host must provide
 * first costs up to ten times more, and would be charged to whoever runs first.
 */
export function warmMemory(workspace: Workspace, bytes: number): void {
  const path = workspace.file('warm');
  const file = openSync(path, 'w', 0o600);
  try {
    for (let written = 0; written < bytes; written += CHUNK.length) writeSync(file, CHUNK);
  } finally {
    closeSync(file);
    rmSync(path);
  }
}

/** One block, from one file into a new one; without a guest, or with one that is not needed any more afterwards. */
export function requestFor(
  from: string,
  to: string,
  guestPid: number | null,
  parameters: MigrationRequest['migrate']['parameters'] = {},
): MigrationRequest {
  return {
    incoming: {
      blocks: [{ id: 'pc.ram', path: to, create: true }],
      guest: guestPid === null ? { type: 'none' } : { type: 'process', command: ENDING_GUEST },
    },
    migrate: {
      blocks: [{ id: 'pc.ram', path: from }],
      guest: guestPid === null ? { type: 'none' } : { type: 'process', pid: guestPid },
      parameters,
    },
  };
}
