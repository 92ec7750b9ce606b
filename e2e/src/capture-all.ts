/** Runs the migrations of captures.ts and keeps their streams in a directory: NAME-connection-N-SIDE.bin. */
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CAPTURES, CapturedMigration, type Capture } from './captures.ts';
import { DaemonPair } from './daemon-pair.ts';
import { Proxy } from './proxy.ts';

/** Resolves when all are over. What was in the directory under other names stays. */
export async function captureAll(directory: string): Promise<void> {
  for (const capture of CAPTURES) {
    const pair = await DaemonPair.start();
    try {
      await captureOne(pair, capture, directory);
    } finally {
      await pair.end();
    }
  }
}

async function captureOne(
  pair: DaemonPair,
  { name, run, pageCount }: Capture,
  directory: string,
): Promise<void> {
  const streams = mkdtempSync(join(pair.directory, 'streams-'));
  const migration = new CapturedMigration(pair, await Proxy.listen(), pageCount, streams);
  try {
    await run(migration);
  } finally {
    await migration.close();
  }
  // Copies, since captures are their owner's only: these hold no secret that is still one.
  for (const file of readdirSync(streams))
    writeFileSync(join(directory, `${name}-${file}`), readFileSync(join(streams, file)));
}
