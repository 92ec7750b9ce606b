/**
 * Captures the fixtures anew: node e2e/dist/src/capture-main.js. Old captures are removed, with their dumps; the dumps
 * are written by the test that compares them, with UPDATE=1.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { programPath } from '@pageferry/scripts/harness';
import { captureAll } from './capture-all.ts';

const directory = programPath('packages/protocol/test/fixtures/version-1');
mkdirSync(directory, { recursive: true });
for (const file of readdirSync(directory)) rmSync(join(directory, file));
// Ends the processes too, which a signal by itself would leave.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
await captureAll(directory);
process.stdout.write(readdirSync(directory).join('\n') + '\n');
