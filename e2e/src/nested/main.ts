/**
 * The bench of the soft-dirty tracker: npm run test:soft-dirty [-- losses comparison chaos]. This machine's kernel may have
 * no such bits, so everything runs in a guest whose kernel has them, emulated by QEMU. Each part boots a guest of its own.
 * Exit code 1 if an image was wrong, the status was, or a part did not come to its end; lost bits are only recorded.
 */
import { runNested } from './machine.ts';
import { lossTable, ratioTable } from './report.ts';
import { nestedResult, RESULT_PREFIX, type NestedResult } from './results.ts';

const MINUTE_MS = 60_000;
const GUEST_MAIN = 'e2e/dist/src/nested/guest-main.js';
const CHAOS = ['--runs', '10', '--seed', '1', '--tracker', 'soft-dirty', '--faults'];
/** Drawn from these, netem more often than the others. */
const CHAOS_FAULTS = [
  'netem',
  'netem',
  'none',
  'cut-all',
  'cut-one-stream',
  'stall-short',
  'kill-source-daemon',
  'kill-source-engine',
  'kill-destination-engine',
  'flip-page',
];

const PARTS = {
  losses: { script: GUEST_MAIN, args: ['losses'], memoryMib: 1536, limitMs: 60 * MINUTE_MS },
  comparison: { script: GUEST_MAIN, args: ['comparison'], memoryMib: 2048, limitMs: 60 * MINUTE_MS },
  chaos: {
    script: 'e2e/dist/src/chaos/main.js',
    args: [...CHAOS, CHAOS_FAULTS.join(',')],
    memoryMib: 1536,
    limitMs: 90 * MINUTE_MS,
  },
} as const;
type PartName = keyof typeof PARTS;

async function run(name: PartName): Promise<boolean> {
  const results: NestedResult[] = [];
  process.stdout.write(`${name}: a guest boots\n`);
  const status = await runNested({
    ...PARTS[name],
    onLine: (line) => {
      if (line.startsWith(RESULT_PREFIX))
        results.push(nestedResult.parse(JSON.parse(line.slice(RESULT_PREFIX.length))));
      process.stdout.write(`  ${line}\n`);
    },
  });
  process.stdout.write(lossTable(results) + ratioTable(results));
  const isRight = status === 0 && results.every(({ isIdentical, isSaid }) => isIdentical && isSaid);
  process.stdout.write(`${name}: ${isRight ? 'passed' : 'FAILED'}\n`);
  return isRight;
}

function isPart(name: string): name is PartName {
  return name in PARTS;
}

// Ends the guest too, which a signal by itself would leave.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const asked = process.argv.slice(2);
const wrong = asked.find((name) => !isPart(name));
if (wrong !== undefined) throw new Error(`the parts are ${Object.keys(PARTS).join(', ')}, not ${wrong}`);
let isPassed = true;
for (const name of Object.keys(PARTS).filter(isPart)) {
  if (asked.length === 0 || asked.includes(name)) isPassed = (await run(name)) && isPassed;
}
process.exitCode = isPassed ? 0 : 1;
