// Keeps what a migration sends: a relay between source and destination, until it is interrupted.
import { parseArgs } from 'node:util';
import { parseTcpAddress, type TcpAddress } from '@pageferry/protocol';
import { CaptureRelay } from './harness/capture-relay.ts';

const USAGE = `capture-stream --to tcp:HOST:PORT --directory PATH [options]
  --to tcp:HOST:PORT      where the destination listens: the "uri" that POST /incoming answered
  --directory PATH        for the captures, two files a connection; empty, or made
  --listen tcp:HOST:PORT  the "uri" for POST /migrate (default tcp:127.0.0.1:0, any port: it is printed)
`;

async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      to: { type: 'string' },
      directory: { type: 'string' },
      listen: { type: 'string', default: 'tcp:127.0.0.1:0' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  if (values.to === undefined || values.directory === undefined) throw new Error(`usage: ${USAGE}`);
  const relay = await CaptureRelay.listen({
    listen: parseAddress('listen', values.listen),
    to: parseAddress('to', values.to),
    directory: values.directory,
  });
  process.stdout.write(`${relay.uri}\n`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void relay.close());
}

function parseAddress(name: string, text: string): TcpAddress {
  const address = parseTcpAddress(text);
  if (address !== undefined) return address;
  throw new Error(`--${name} is tcp:HOST:PORT, not ${text}`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`capture-stream: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
