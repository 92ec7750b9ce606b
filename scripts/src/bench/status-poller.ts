// A client in a process of its own: asks GET /status on one connection, notes how long each answer took while the
// migration ran, and prints the milliseconds as JSON when the migration is over. Arguments: socket, interval in ms.
import { setTimeout as wait } from 'node:timers/promises';
import { ApiClient } from '../harness/api-client.ts';

const [socketPath = '', interval = '2'] = process.argv.slice(2);
const intervalMs = Number(interval);
const api = new ApiClient(socketPath);
const latencies: number[] = [];
let hasBegun = false;

process.stdout.write('polling\n');
for (;;) {
  const startMs = performance.now();
  const { text } = await api.send('GET', '/status');
  const tookMs = performance.now() - startMs;
  const isRunning = /^\{"status":"(?:setup|active|device|pre-switchover)"/.test(text);
  if (isRunning) latencies.push(tookMs);
  else if (hasBegun) break;
  hasBegun ||= isRunning;
  await wait(Math.max(0, intervalMs - tookMs));
}
process.stdout.write(`${JSON.stringify(latencies)}\n`);
api.close();
