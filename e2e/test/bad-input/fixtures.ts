/** Files and listeners that requests of the table name; made before the first request, so that a change shows. */
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { Child, programPath } from '@pageferry/scripts/harness';
import type { Rig } from '../../src/rig.ts';
import { listenAsNewerDestination } from '../../src/strangers.ts';

export interface Fixtures {
  /** Does not exist. */
  readonly missing: string;
  /** Not a whole number of pages. */
  readonly short: string;
  readonly empty: string;
  readonly folder: string;
  /** Half as long as the source's image. */
  readonly half: string;
  /** Mapped by a process that is not the guest. */
  readonly mapped: string;
  readonly outside: string;
  /** A link in the image root to `outside`. */
  readonly link: string;
  /** A link in the image root to a directory that is not in it. */
  readonly linkedFolder: string;
  /** tcp:HOST:PORT where something listens that is not a destination. */
  readonly takenUri: string;
  /** tcp:HOST:PORT where nothing listens. */
  readonly deadUri: string;
  /** A destination that speaks version 9999 only. */
  readonly newerUri: string;
  readonly end: () => Promise<void>;
}

export async function makeFixtures(rig: Rig, imageBytes: number): Promise<Fixtures> {
  const path = (name: string): string => join(rig.directory, name);
  const outside = programPath('package.json');
  const sizes = { 'short.ram': 1000, 'empty.ram': 0, 'half.ram': imageBytes / 2, 'mapped.ram': imageBytes };
  for (const [name, bytes] of Object.entries(sizes)) {
    writeFileSync(path(name), '');
    truncateSync(path(name), bytes);
  }
  mkdirSync(path('folder'));
  symlinkSync(outside, path('link.ram'));
  symlinkSync(dirname(outside), path('linked'));
  const mapper = await Child.start(programPath('e2e/dist/src/mapper.js'), [path('mapped.ram')]);
  await mapper.line('the word mapped', (line) => (line === 'mapped' ? true : undefined));
  const taken = await listenAnywhere();
  const dead = await listenAnywhere();
  dead.server.close();
  const newer = await listenAsNewerDestination();
  return {
    missing: path('missing.ram'),
    short: path('short.ram'),
    empty: path('empty.ram'),
    folder: path('folder'),
    half: path('half.ram'),
    mapped: path('mapped.ram'),
    outside,
    link: path('link.ram'),
    linkedFolder: path('linked'),
    takenUri: taken.uri,
    deadUri: dead.uri,
    newerUri: newer.uri,
    end: async () => {
      taken.server.close();
      newer.close();
      await mapper.end('SIGKILL');
    },
  };
}

async function listenAnywhere(): Promise<{ readonly server: Server; readonly uri: string }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server does not listen');
  return { server, uri: `tcp:127.0.0.1:${address.port}` };
}
