// The two daemons as separate processes, as an operator runs them: flags in, management API on a UNIX socket.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MigrationStatus } from '@pageferry/protocol';
import { ApiClient } from './api-client.ts';
import { Child, waitFor } from './child.ts';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const MAINS = {
  source: join(ROOT, 'packages/source/dist/src/main.js'),
  destination: join(ROOT, 'packages/dest/dist/src/main.js'),
} as const;

export interface DaemonSettings {
  readonly side: keyof typeof MAINS;
  /** For state, socket and log; also the image root. */
  readonly directory: string;
  /** Commands that start guests, by name; the destination's. */
  readonly guestCommands?: Readonly<Record<string, readonly string[]>>;
  readonly flags?: readonly string[];
}

export class Daemon {
  readonly child: Child;
  readonly api: ApiClient;
  readonly socketPath: string;

  private constructor(child: Child, socketPath: string) {
    this.child = child;
    this.socketPath = socketPath;
    this.api = new ApiClient(socketPath);
  }

  /** Resolves when the API answers. Started again with the same directory it finds its journal. */
  static async start({ side, directory, guestCommands, flags = [] }: DaemonSettings): Promise<Daemon> {
    const socketPath = join(directory, `${side}.sock`);
    const stateDirectory = join(directory, `${side}-state`);
    mkdirSync(stateDirectory, { recursive: true, mode: 0o700 });
    const args = ['--api', `unix:${socketPath}`, '--state-dir', stateDirectory, '--image-root', directory];
    if (guestCommands !== undefined) args.push('--guest-commands', JSON.stringify(guestCommands));
    const child = await Child.startNode(
      `the ${side} daemon`,
      MAINS[side],
      [...args, ...flags],
      join(directory, `${side}.log`),
    );
    const daemon = new Daemon(child, socketPath);
    const isReady = () => daemon.api.call('livez').catch(ignoreUnconnected);
    await waitFor(`the ${side} daemon's API`, isReady, child);
    return daemon;
  }

  status(): Promise<MigrationStatus> {
    return this.api.call('status');
  }

  async stop(): Promise<void> {
    this.api.close();
    await this.child.stop();
  }
}

function ignoreUnconnected(error: unknown): undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined;
  throw error;
}
