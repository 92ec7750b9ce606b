/**
 * Precedence, origins, refusals with their origin, and the text of --help.
 */
import t from 'tap';
import { z } from 'zod';
import { commonOptions, guestCommandsOption, loadConfig, option } from '../src/index.ts';

const options = {
  ...commonOptions('destination'),
  'guest-commands': guestCommandsOption(),
  slots: option(z.int().min(1).max(9).default(2), { form: 'integer', unit: 'count', description: 'Slots' }),
};

function load(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
  files: Readonly<Record<string, string>> = {},
) {
  return loadConfig({
    program: 'pageferry-dest',
    summary: 'takes guests in',
    version: '1.2.3',
    options,
    argv,
    env,
    readFile: (path) => {
      const text = files[path];
      if (text === undefined) throw new Error(`ENOENT: ${path}`);
      return text;
    },
  });
}

const HELP = `pageferry-dest: takes guests in

Usage: pageferry-dest [options]

Options:
  --api <unix:PATH or tcp:HOST:PORT>
      Where the management API listens
      default tcp:127.0.0.1:7802, environment PAGEFERRY_API
  --api-token-file <path>
      File with the bearer token of the API; needed beyond loopback and UNIX sockets
      no default, environment PAGEFERRY_API_TOKEN_FILE
  --state-dir <path>
      Directory of the journal; a restarted daemon must get the same one
      default /var/lib/pageferry/destination, environment PAGEFERRY_STATE_DIR
  --image-root <path>
      Directory that every memory image must be in, links resolved
      default /dev/shm, environment PAGEFERRY_IMAGE_ROOT
  --qmp-root <path>
      Directory that the monitor (QMP socket) of every QEMU guest must be in, links resolved
      default /run, environment PAGEFERRY_QMP_ROOT
  --strict-mappings
      Refuse where /proc does not show who maps an image, instead of warning
      default false, environment PAGEFERRY_STRICT_MAPPINGS
  --allow-plain-tcp
      Let pages travel beyond loopback over TCP, which is not encrypted
      default false, environment PAGEFERRY_ALLOW_PLAIN_TCP
  --log-level <level>
      Least level that is logged
      default info, environment PAGEFERRY_LOG_LEVEL
  --guest-commands <JSON map of name to array>
      Commands that start guests, as {"NAME": ["PROGRAM", "ARGUMENT", ...]}
      default {}, environment PAGEFERRY_GUEST_COMMANDS
  --slots <count>
      Slots
      default 2, environment PAGEFERRY_SLOTS
  --config <path>
      JSON file with the same names as keys; flags and environment come first
      no default, environment PAGEFERRY_CONFIG
  --print-config
      Print every value and where it came from, then end
  --version
      Print the version, then end
  --help
      Print this, then end
`;

await t.test('flag, then environment, then file, then default', async (t) => {
  const file = {
    '/c.json': '{"log-level":"error","slots":3,"state-dir":"/f","guest-commands":{"a":["/bin/a","x"]}}',
  };
  const env = {
    PAGEFERRY_LOG_LEVEL: 'warn',
    PAGEFERRY_SLOTS: '4',
    PAGEFERRY_STRICT_MAPPINGS: '1',
    PAGEFERRY_OTHER: 'x',
  };
  const outcome = load(['--config', '/c.json', '--log-level', 'debug', '--allow-plain-tcp'], env, file);
  t.match(outcome, {
    kind: 'run',
    values: {
      api: 'tcp:127.0.0.1:7802',
      'log-level': 'debug',
      slots: 4,
      'state-dir': '/f',
      'guest-commands': { a: ['/bin/a', 'x'] },
      'strict-mappings': true,
      'allow-plain-tcp': true,
      'image-root': '/dev/shm',
    },
    origins: {
      api: 'default',
      'log-level': 'flag',
      slots: 'environment',
      'state-dir': 'file',
      'guest-commands': 'file',
      'strict-mappings': 'environment',
      'allow-plain-tcp': 'flag',
      'image-root': 'default',
    },
  });
  t.match(
    load([], { PAGEFERRY_CONFIG: '/c.json' }, file),
    { values: { slots: 3 } },
    'the file by its variable',
  );
  t.match(load(['--guest-commands', '{"b":["/bin/b"]}']), {
    values: { 'guest-commands': { b: ['/bin/b'] } },
  });
});

const refusals: readonly (readonly [
  what: string,
  input: Parameters<typeof load>,
  option: string,
  message: RegExp,
])[] = [
  ['unknown flag', [['--speed', '1']], '', /--speed.*see --help/],
  ['positional argument', [['now']], '', /now.*see --help/],
  ['flag without its value', [['--api']], '', /--api/],
  ['flag with a value', [['--strict-mappings=yes']], '', /--strict-mappings/],
  ['wrong value', [['--log-level', 'loud']], 'log-level', /^--log-level: /],
  ['relative path', [['--state-dir', 'x']], 'state-dir', /^--state-dir: must be an absolute path$/],
  ['not an integer', [['--slots', '1.5']], 'slots', /^--slots: /],
  ['out of range', [[], { PAGEFERRY_SLOTS: '10' }], 'slots', /^PAGEFERRY_SLOTS: /],
  ['empty variable', [[], { PAGEFERRY_SLOTS: '' }], 'slots', /^PAGEFERRY_SLOTS: /],
  [
    'not a flag',
    [[], { PAGEFERRY_STRICT_MAPPINGS: 'yes' }],
    'strict-mappings',
    /^PAGEFERRY_STRICT_MAPPINGS: must be true or false$/,
  ],
  ['not an address', [['--api', '7801']], 'api', /^--api: 7801: must be unix:PATH or tcp:HOST:PORT/],
  ['not JSON', [['--guest-commands', '{']], 'guest-commands', /^--guest-commands: not JSON: /],
  ['empty command', [['--guest-commands', '{"a":[]}']], 'guest-commands', /^--guest-commands\.a: /],
  ['file missing', [['--config', '/none']], '', /^\/none: ENOENT/],
  ['file not JSON', [['--config', '/c'], {}, { '/c': 'api = 1' }], '', /^\/c: /],
  ['file not an object', [['--config', '/c'], {}, { '/c': '[]' }], '', /^\/c: must be a JSON object/],
  [
    'unknown key',
    [['--config', '/c'], {}, { '/c': '{"speed":1}' }],
    'speed',
    /^\/c: there is no option speed$/,
  ],
  [
    'text for a number in the file',
    [['--config', '/c'], {}, { '/c': '{"slots":"3"}' }],
    'slots',
    /^slots in \/c: /,
  ],
];

await t.test('refusals name the option and its origin', async (t) => {
  t.plan(refusals.length);
  for (const [what, input, name, message] of refusals) {
    t.throws(() => load(...input), { message, fault: { code: 'configuration', option: name } }, what);
  }
});

await t.test('help lists every flag with unit, default and variable', async (t) => {
  const outcome = load(['--help', '--log-level', 'loud']);
  t.equal(outcome.kind === 'print' && outcome.text, HELP);
});

await t.test('version and printed configuration', async (t) => {
  t.strictSame(load(['--version']), { kind: 'print', text: 'pageferry-dest 1.2.3\n' });
  const printed = load(['--print-config', '--slots', '5']);
  const content: unknown = printed.kind === 'print' ? JSON.parse(printed.text) : undefined;
  t.match(content, {
    slots: { value: 5, origin: 'flag' },
    'api-token-file': { value: null, origin: 'default' },
  });
});

await t.test('an option without facts is a mistake of the daemon', async (t) => {
  const broken = { ...options, bare: z.string().optional() };
  t.throws(
    () =>
      loadConfig({
        program: '',
        summary: '',
        version: '',
        options: broken,
        argv: [],
        env: {},
        readFile: () => '',
      }),
    { message: 'option bare has no facts' },
  );
});
