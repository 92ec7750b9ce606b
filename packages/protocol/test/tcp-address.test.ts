/**
 * tcp:HOST:PORT, both ways, and what is loopback.
 */
import t from 'tap';
import { formatTcpAddress, isLoopbackHost, parseTcpAddress } from '../src/index.ts';

const addresses: readonly (readonly [text: string, host: string, port: number, isLoopback: boolean])[] = [
  ['tcp:127.0.0.1:7800', '127.0.0.1', 7800, true],
  ['tcp:127.9.9.9:0', '127.9.9.9', 0, true],
  ['tcp:[::1]:65535', '::1', 65_535, true],
  ['tcp:[::ffff:127.0.0.1]:1', '::ffff:127.0.0.1', 1, true],
  ['tcp:localhost:1', 'localhost', 1, true],
  ['tcp:host-b.example:1', 'host-b.example', 1, false],
  ['tcp:127.0.0.1.example:1', '127.0.0.1.example', 1, false],
  ['tcp:10.0.0.1:1', '10.0.0.1', 1, false],
  ['tcp:[fe80::1]:1', 'fe80::1', 1, false],
  ['tcp:[::]:1', '::', 1, false],
  ['tcp:0.0.0.0:1', '0.0.0.0', 1, false],
];

await t.test('addresses', async (t) => {
  t.plan(3 * addresses.length);
  for (const [text, host, port, isLoopback] of addresses) {
    t.strictSame(parseTcpAddress(text), { host, port }, text);
    t.equal(formatTcpAddress({ host, port }), text);
    t.equal(isLoopbackHost(host), isLoopback, text);
  }
});

const malformed = [
  '',
  'tcp:',
  'tcp:host',
  'tcp:host:',
  'tcp::1',
  'tcp:::1:1',
  'tcp:[::1]',
  'tcp:[::1:1',
  'tcp:[host]:1',
  'tcp:[1.2.3.4]:1',
  'tcp:host:65536',
  'tcp:host:-1',
  'tcp:host:1x',
  'tcp:ho st:1',
  'tcp:a/b:1',
  'udp:host:1',
  'TCP:host:1',
  ' tcp:host:1',
  'tcp:host:1\n',
];

await t.test('malformed', async (t) => {
  t.plan(malformed.length);
  for (const text of malformed) t.equal(parseTcpAddress(text), undefined, JSON.stringify(text));
});
