// Prints a captured stream: one direction of one connection, frame by frame. Exit code 1 if it is malformed or cut off.
import { createReadStream } from 'node:fs';
import { dumpStream } from './dump/dump.ts';
import { JSON_LINES, TEXT } from './dump/format.ts';
import { parseDumpOptions, USAGE } from './dump/options.ts';
import { errorCode } from './harness/error-code.ts';

async function main(args: readonly string[]): Promise<number> {
  const options = parseDumpOptions(args);
  if (options === null) {
    process.stdout.write(USAGE);
    return 0;
  }
  const { file, isJson } = options;
  const pieces = file === '-' ? process.stdin : createReadStream(file);
  const isWhole = await dumpStream(pieces, isJson ? JSON_LINES : TEXT, print, options);
  return isWhole ? 0 : 1;
}

/** Resolves when standard output has taken it. */
async function print(text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });
}

// The callback of the write that failed has it too.
process.stdout.on('error', () => undefined);
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  // Whoever read the dump has read enough.
  if (errorCode(error) === 'EPIPE') process.exit(0);
  process.stderr.write(`dump-stream: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
