/**
 * Bodies: what is filled in, and for every wrong one the problem's name and the places that it points at.
 */
import t from 'tap';
import {
  abortBody,
  cacheSizeBody,
  currentMigrationBody,
  defaultParameters,
  incomingBody,
  migrateBody,
  parametersAnswer,
  parametersBody,
  parseBody,
  problemName,
  ProblemError,
  takeoverBody,
} from '../src/index.ts';

const BLOCK = { id: 'pc.ram', path: '/dev/shm/a.ram' };
const MIGRATE = { uri: 'tcp:127.0.0.1:7800', token: 'x', blocks: [BLOCK] };
const INCOMING = { listen: 'tcp:127.0.0.1:0', blocks: [BLOCK] };

await t.test('defaults are filled in', async (t) => {
  t.match(parseBody(migrateBody, MIGRATE), {
    guest: { type: 'none' },
    capabilities: { xbzrle: true, 'pause-before-switchover': false, 'auto-converge': false },
    parameters: { 'multifd-channels': 1, 'max-rounds': 30 },
    tracker: { type: 'scan' },
  });
  t.strictSame(parseBody(incomingBody, INCOMING), {
    ...INCOMING,
    blocks: [{ ...BLOCK, create: false }],
    guest: { type: 'none' },
    base: false,
    parameters: { 'hello-timeout': 5000, 'ping-interval': 1000, 'ping-timeout': 5000 },
  });
  t.match(parseBody(migrateBody, { ...MIGRATE, guest: { type: 'process', pid: 42 } }), {
    guest: { pid: 42, 'discards-memory': true },
  });
  t.same(parseBody(migrateBody, { ...MIGRATE, tracker: { type: 'soft-dirty' } }).tracker, {
    type: 'soft-dirty',
    'final-scan': true,
  });
  t.match(parseBody(incomingBody, { ...INCOMING, guest: { type: 'process', command: 'workload' } }), {
    guest: { command: 'workload' },
  });
  // A QEMU says itself what its memory is.
  const { blocks: _blocks, ...rest } = MIGRATE;
  t.match(parseBody(migrateBody, { ...rest, guest: { type: 'qemu', qmp: '/run/a.qmp' } }), {
    guest: { 'on-complete': 'leave' },
  });
});

type Wrong = readonly [what: string, body: unknown, name: string, paths: readonly string[], message?: RegExp];

const wrongMigrate: readonly Wrong[] = [
  ['nothing', undefined, 'invalid-body', [''], /a JSON body is needed/],
  ['not an object', [], 'invalid-body', ['']],
  ['empty', {}, 'invalid-body', ['uri', 'token'], /^uri: is required; token: is required/],
  ['blocks left out', { ...MIGRATE, blocks: undefined }, 'invalid-body', ['blocks'], /is required/],
  ['uri without port', { ...MIGRATE, uri: 'tcp:127.0.0.1' }, 'invalid-body', ['uri'], /tcp:HOST:PORT/],
  ['uri with port 0', { ...MIGRATE, uri: 'tcp:127.0.0.1:0' }, 'invalid-body', ['uri']],
  ['no blocks', { ...MIGRATE, blocks: [] }, 'invalid-body', ['blocks']],
  ['too many blocks', { ...MIGRATE, blocks: manyBlocks(65) }, 'invalid-body', ['blocks']],
  ['relative path', withBlock({ path: 'a.ram' }), 'invalid-body', ['blocks.0.path'], /absolute/],
  ['NUL in a path', withBlock({ path: '/a\0b' }), 'invalid-body', ['blocks.0.path']],
  ['empty id', withBlock({ id: '' }), 'invalid-body', ['blocks.0.id']],
  ['id too long', withBlock({ id: 'x'.repeat(256) }), 'invalid-body', ['blocks.0.id']],
  ['control character in an id', withBlock({ id: 'a\nb' }), 'invalid-body', ['blocks.0.id']],
  [
    'twice',
    { ...MIGRATE, blocks: [BLOCK, BLOCK] },
    'invalid-body',
    ['blocks.1.id', 'blocks.1.path'],
    /twice/,
  ],
  [
    "the destination's field",
    withBlock({ create: true }),
    'invalid-body',
    ['blocks.0.create'],
    /no such field/,
  ],
  ['init as guest', { ...MIGRATE, guest: { type: 'process', pid: 1 } }, 'invalid-body', ['guest.pid']],
  ['no pid', { ...MIGRATE, guest: { type: 'process' } }, 'invalid-body', ['guest.pid'], /is required/],
  [
    'command line',
    { ...MIGRATE, guest: { type: 'process', pid: 9, command: 'sh' } },
    'invalid-body',
    ['guest.command'],
  ],
  ['no guest of ours', { ...MIGRATE, guest: { type: 'xen' } }, 'invalid-body', ['guest.type']],
  ['empty token', { ...MIGRATE, token: '' }, 'invalid-body', ['token']],
  [
    'inner parameter',
    { ...MIGRATE, parameters: { 'max-rounds': 0 } },
    'invalid-body',
    ['parameters.max-rounds'],
  ],
  ['QEMU without a monitor', { ...MIGRATE, guest: { type: 'qemu' } }, 'invalid-body', ['guest.qmp']],
  [
    'monitor with a long path',
    { ...MIGRATE, guest: { type: 'qemu', qmp: `/${'q'.repeat(107)}` } },
    'invalid-body',
    ['guest.qmp'],
    /at most 107 bytes/,
  ],
  ['no such tracker', { ...MIGRATE, tracker: { type: 'log' } }, 'invalid-body', ['tracker.type']],
  [
    'final-scan with the scan tracker, which has nothing else',
    { ...MIGRATE, tracker: { type: 'scan', 'final-scan': false } },
    'invalid-body',
    ['tracker.final-scan'],
    /no such field/,
  ],
  [
    'throttle',
    { ...MIGRATE, capabilities: { 'auto-converge': true } },
    'unsupported-field',
    ['capabilities.auto-converge'],
  ],
  [
    'reconnect',
    { ...MIGRATE, parameters: { 'reconnect-limit': -1 } },
    'invalid-body',
    ['parameters.reconnect-limit'],
  ],
  ...['xbzrle', 'pause-before-switchover'].map((name): Wrong => [
    `${name} as a parameter`,
    { ...MIGRATE, parameters: { [name]: true } },
    'invalid-body',
    [`parameters.${name}`],
    /^parameters\.[a-z-]+: is a capability: give it in "capabilities"$/,
  ]),
  ['TLS', { ...MIGRATE, tls: {} }, 'unsupported-field', ['tls'], /not available yet/],
  ['one unknown, one not yet', { ...MIGRATE, tls: {}, speed: 1 }, 'invalid-body', ['tls', 'speed']],
  [
    'not a boolean',
    { ...MIGRATE, capabilities: { 'auto-converge': 'yes' } },
    'invalid-body',
    ['capabilities.auto-converge'],
  ],
  ['prototype key', { ...MIGRATE, ['constructor']: 1 }, 'invalid-body', ['constructor'], /no such field/],
];

const wrongIncoming: readonly Wrong[] = [
  ['listen', { ...INCOMING, listen: 'unix:/x' }, 'invalid-body', ['listen']],
  ['port too large', { ...INCOMING, listen: 'tcp:[::1]:65536' }, 'invalid-body', ['listen']],
  ['base without a UUID', { ...INCOMING, base: true }, 'invalid-body', ['guest.uuid']],
  ['ceiling', { ...INCOMING, 'xbzrle-cache-size': 1000 }, 'invalid-body', ['xbzrle-cache-size']],
  [
    'pid',
    { ...INCOMING, guest: { type: 'process', pid: 7 } },
    'invalid-body',
    ['guest.command', 'guest.pid'],
  ],
  [
    'command line',
    { ...INCOMING, guest: { type: 'process', command: '/bin/sh -c x' } },
    'invalid-body',
    ['guest.command'],
  ],
  [
    "the source's parameter",
    { ...INCOMING, parameters: { 'max-bandwidth': 1 } },
    'invalid-body',
    ['parameters.max-bandwidth'],
  ],
  ['QEMU without a monitor', { ...INCOMING, guest: { type: 'qemu' } }, 'invalid-body', ['guest.qmp']],
  ['blocks left out', { ...INCOMING, blocks: undefined }, 'invalid-body', ['blocks'], /is required/],
];

const wrongParameters: readonly Wrong[] = [
  [
    'a parameter that is not live',
    { 'multifd-channels': 2 },
    'invalid-body',
    ['multifd-channels'],
    /^multifd-channels: cannot be changed while a migration runs; it is given in POST \/migrate$/,
  ],
  [
    'the size of the cache',
    { 'xbzrle-cache-size': 4096, 'max-bandwidth': 1 },
    'invalid-body',
    ['xbzrle-cache-size'],
    /^xbzrle-cache-size: cannot be changed while a migration runs; PUT \/cache-size changes it$/,
  ],
  ['no parameter', { speed: 1 }, 'invalid-body', ['speed'], /^speed: there is no such field$/],
  ['nothing', {}, 'invalid-body', [''], /^must name at least one parameter$/],
];

const UUID = { 'migration-id': '01020304-0506-4708-890a-0b0c0d0e0f10' };
const ID = { 'migration-id': 'not-a-uuid' };

await t.test('wrong bodies', async (t) => {
  t.plan(wrongMigrate.length + wrongIncoming.length + wrongParameters.length + 6);
  for (const wrong of wrongMigrate) check(migrateBody, wrong);
  for (const wrong of wrongIncoming) check(incomingBody, wrong);
  for (const wrong of wrongParameters) check(parametersBody, wrong);
  check(cacheSizeBody, ['cache size', { 'cache-size': 3 }, 'invalid-body', ['cache-size']]);
  check(cacheSizeBody, ['no cache size', {}, 'invalid-body', ['cache-size'], /is required/]);
  check(currentMigrationBody, ['cancel what', ID, 'invalid-body', ['migration-id']]);
  check(abortBody, ['abort what', ID, 'invalid-body', ['migration-id']]);
  check(takeoverBody, ['take over what', {}, 'invalid-body', ['migration-id'], /is required/]);
  check(takeoverBody, ['take over by force', { ...UUID, force: true }, 'invalid-body', ['force']]);

  function check(schema: Parameters<typeof parseBody>[0], [what, body, name, paths, message]: Wrong): void {
    try {
      parseBody(schema, body);
      t.fail(what);
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      const { type, detail, errors = [] } = error.problem;
      const found = { name: problemName(type), paths: errors.map(({ path }) => path), detail };
      t.match(found, { name, paths: [...paths], detail: message ?? /./ }, what);
    }
  }
});

await t.test('a cache in effect is the sum of shares, which need be no power of two', async (t) => {
  const requested = defaultParameters();
  const answer = { requested, effective: { ...requested, 'xbzrle-cache-size': 3 * 2 ** 18 } };
  t.same(parametersAnswer.parse(answer), answer);
  t.equal(parametersAnswer.safeParse({ ...answer, requested: answer.effective }).success, false);
});

function withBlock(changes: object): object {
  return { ...MIGRATE, blocks: [{ ...BLOCK, ...changes }] };
}

function manyBlocks(count: number): readonly object[] {
  return Array.from({ length: count }, (_, index) => ({ id: `ram${index}`, path: `/dev/shm/${index}` }));
}
