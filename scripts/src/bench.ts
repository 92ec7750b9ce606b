// Measures what users feel: time against cp, answers of the API under load, memory of the engines. Each part prints its
// table and its target; the exit code is 1 if a target is missed. Machines are noisy: ratios of alternating runs count.
import { benchMemory } from './bench/memory.ts';
import { USAGE, parseBenchOptions } from './bench/options.ts';
import type { BenchOptions, Part } from './bench/options.ts';
import { benchQemu } from './bench/qemu.ts';
import { benchStatus } from './bench/status-latency.ts';
import { benchTransfer } from './bench/transfer.ts';
import { benchVerification } from './bench/verification.ts';

const BENCHES: Readonly<Record<Part, (options: BenchOptions) => Promise<boolean>>> = {
  transfer: benchTransfer,
  status: benchStatus,
  memory: benchMemory,
  verification: benchVerification,
  qemu: benchQemu,
};

async function main(args: readonly string[]): Promise<number> {
  const options = parseBenchOptions(args);
  if (options === null) {
    process.stdout.write(USAGE);
    return 0;
  }
  let isAllMet = true;
  for (const part of options.parts) {
    const isMet = await BENCHES[part](options);
    isAllMet &&= isMet;
    process.stdout.write('\n');
  }
  return isAllMet ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
