/**
 * Addresses of the API, which of them are local, and whose Host header is answered.
 */
import t from 'tap';
import { allowedHosts, isLocalAddress, ManagementError, parseApiAddress } from '../src/index.ts';

const addresses: readonly (readonly [text: string, parsed: object, isLocal: boolean])[] = [
  ['unix:/run/pageferry.sock', { kind: 'unix', path: '/run/pageferry.sock' }, true],
  ['tcp:127.0.0.1:7801', { kind: 'tcp', host: '127.0.0.1', port: 7801 }, true],
  ['tcp:[::1]:0', { kind: 'tcp', host: '::1', port: 0 }, true],
  ['tcp:localhost:1', { kind: 'tcp', host: 'localhost', port: 1 }, true],
  ['tcp:0.0.0.0:7801', { kind: 'tcp', host: '0.0.0.0', port: 7801 }, false],
  ['tcp:[::]:7801', { kind: 'tcp', host: '::', port: 7801 }, false],
  ['tcp:127.0.0.1.example.com:1', { kind: 'tcp', host: '127.0.0.1.example.com', port: 1 }, false],
];

await t.test('addresses', async (t) => {
  t.plan(2 * addresses.length);
  for (const [text, parsed, isLocal] of addresses) {
    t.strictSame(parseApiAddress(text), parsed, text);
    t.equal(isLocalAddress(parseApiAddress(text)), isLocal, text);
  }
});

const malformed = [
  '',
  '127.0.0.1:1',
  'http://127.0.0.1',
  'tcp:127.0.0.1',
  'unix:run/x',
  `unix:/${'x'.repeat(107)}`,
];

await t.test('malformed addresses', async (t) => {
  t.plan(malformed.length);
  for (const text of malformed) t.throws(() => parseApiAddress(text), ManagementError, text);
});

const hosts: readonly (readonly [api: string, header: string | undefined, isAllowed: boolean])[] = [
  ['tcp:127.0.0.1:7801', '127.0.0.1:7801', true],
  ['tcp:127.0.0.1:7801', 'LocalHost', true],
  ['tcp:127.0.0.1:7801', '[::1]:9', true],
  ['tcp:127.0.0.1:7801', 'evil.example', false],
  ['tcp:127.0.0.1:7801', 'localhost.evil.example', false],
  ['tcp:127.0.0.1:7801', 'localhost@evil.example', false],
  ['tcp:127.0.0.1:7801', '10.0.0.1', false],
  ['tcp:127.0.0.1:7801', '', false],
  ['tcp:127.0.0.1:7801', undefined, false],
  ['tcp:[::1]:7801', '[::1]:7801', true],
  ['tcp:[::1]:7801', '::1', false],
  ['tcp:Host-A.example:7801', 'host-a.EXAMPLE:7801', true],
  ['tcp:0.0.0.0:7801', '10.0.0.1:7801', true],
  ['tcp:[::]:7801', '[fe80::1]:7801', true],
  ['tcp:0.0.0.0:7801', 'evil.example', false],
  ['unix:/run/x', 'anything', true],
  ['unix:/run/x', undefined, true],
];

await t.test('Host headers', async (t) => {
  t.plan(hosts.length);
  for (const [api, header, isAllowed] of hosts) {
    t.equal(allowedHosts(parseApiAddress(api))(header), isAllowed, `${String(header)} at ${api}`);
  }
});
