// Makes a memory image from a seed: random pages and zero pages, the latter as holes unless they shall be written.
import { parseArgs } from 'node:util';
import { writeInitialImage } from './workload/initial-image.ts';
import { parseChoice, parseNumber, parseShare, parseSize } from './workload/options.ts';

const USAGE = `make-image --image PATH --size BYTES [options]
  --size BYTES       a multiple of 4096; K, M and G count in powers of 1024 (1G)
  --seed N           decides every byte (default 1)
  --zero-share 0..1  share of zero pages (default 0)
  --zeros WHAT       holes or written (default holes)
`;

function main(args: readonly string[]): void {
  const { values } = parseArgs({
    args: [...args],
    options: {
      image: { type: 'string' },
      size: { type: 'string' },
      seed: { type: 'string', default: '1' },
      'zero-share': { type: 'string', default: '0' },
      zeros: { type: 'string', default: 'holes' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  if (values.image === undefined || values.size === undefined) throw new Error(`usage: ${USAGE}`);
  const image = {
    seed: parseNumber('seed', values.seed),
    sizeBytes: parseSize('size', values.size),
    zeroShare: parseShare('zero-share', values['zero-share']),
  };
  writeInitialImage(values.image, image, parseChoice('zeros', values.zeros, ['holes', 'written']));
}

try {
  main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`make-image: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
