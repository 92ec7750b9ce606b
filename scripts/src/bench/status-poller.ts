// A client in a process of its own: asks GET /status on one connection, notes how long each answer took while the
// migration ran, and prints the milliseconds as JSON when the migration is over. Arguments: the API's URL, interval in ms.
import { Agent, get } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';

const [origin = '', interval = '2'] = process.argv.slice(2);
const intervalMs = Number(interval);
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const latencies: number[] = [];
let hasBegun = false;

await askStatus();
process.stdout.write('polling\n');
for (;;) {
  const startMs = performance.now();
  const text = await askStatus();
  const tookMs = performance.now() - startMs;
  const isRunning = /^\{"status":"(?:setup|active|device|pre-switchover)"/.test(text);
  if (isRunning) latencies.push(tookMs);
  else if (hasBegun) break;
  hasBegun ||= isRunning;
  await wait(Math.max(0, intervalMs - tookMs));
}
process.stdout.write(`${JSON.stringify(latencies)}\n`);
agent.destroy();

function askStatus(): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(`${origin}/status`, { agent }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    });
    request.on('error', reject);
  });
}
