/** The table of requests that are refused: what is asked, and what comes back. */
import type { problems } from '@pageferry/protocol';
import type { IncomingRequest, Method } from '@pageferry/scripts/harness';
import { BLOCK_ID, type Rig } from '../../src/rig.ts';
import type { Fixtures } from './fixtures.ts';

export interface Request {
  readonly method: Method;
  readonly path: string;
  readonly body: unknown;
}

export interface Row {
  readonly name: string;
  readonly on: 'source' | 'destination';
  /** The destination is armed like this before; not at all if it is missing. */
  readonly armed?: (fixtures: Fixtures, rig: Rig) => Partial<IncomingRequest>;
  /** `token` is that of the armed destination. */
  readonly request: (rig: Rig, fixtures: Fixtures, token: string) => Request;
  readonly status: number;
  readonly problem: keyof typeof problems;
  readonly detail: RegExp;
  readonly hint?: RegExp;
  /** The side that found it, where that is not the one that was asked. */
  readonly peer?: 'destination';
}

type Body = (rig: Rig, fixtures: Fixtures, token: string) => unknown;
type Refusal = Pick<Row, 'status' | 'problem' | 'detail' | 'hint' | 'peer'>;
type Change<Key extends string> = Readonly<Record<Key, unknown>>;

const body400 = (detail: RegExp): Refusal => ({ status: 400, problem: 'invalid-body', detail });
const unsupported = (detail: RegExp): Refusal => ({ status: 400, problem: 'unsupported-field', detail });
const asUsual = (): Partial<IncomingRequest> => ({});
const ONE_PAGE = 4096;
const OUTSIDE_QMP_ROOT: Refusal = {
  status: 403,
  problem: 'monitor-outside-root',
  detail: /\/monitor.*\/run/,
};

/** POST /migrate, without an armed destination: refused before anybody is asked. */
function migrate(name: string, change: (fixtures: Fixtures, rig: Rig) => object, refusal: Refusal): Row {
  const body: Body = (rig, fixtures) => ({ ...rig.migrateRequest('no-token'), ...change(fixtures, rig) });
  return { name: `POST /migrate, ${name}`, on: 'source', request: post('/migrate', body), ...refusal };
}

/** POST /migrate to an armed destination, which refuses. */
function asking(
  name: string,
  armed: NonNullable<Row['armed']>,
  change: Partial<Change<'blocks' | 'guest' | 'token'>>,
  refusal: Refusal,
): Row {
  const body: Body = (rig, _, token) => ({ ...rig.migrateRequest(token), ...change });
  const request = post('/migrate', body);
  return { name: `POST /migrate, ${name}`, on: 'source', armed, request, ...refusal, peer: 'destination' };
}

function incoming(name: string, change: (fixtures: Fixtures) => object, refusal: Refusal): Row {
  const body: Body = (rig, fixtures) => ({ ...rig.incomingRequest(), ...change(fixtures) });
  return { name: `POST /incoming, ${name}`, on: 'destination', request: post('/incoming', body), ...refusal };
}

function cacheSize(on: Row['on'], bytes: number, detail: RegExp): Row {
  const request = (): Request => ({ method: 'PUT', path: '/cache-size', body: { 'cache-size': bytes } });
  return { name: `PUT /cache-size of ${bytes} at the ${on}`, on, request, ...body400(detail) };
}

function post(path: string, body: Body): Row['request'] {
  return (rig, fixtures, token) => ({ method: 'POST', path, body: body(rig, fixtures, token) });
}

function image(path: string): object {
  return { blocks: [{ id: BLOCK_ID, path }] };
}

function imageToMake(path: string): object {
  return { blocks: [{ id: BLOCK_ID, path, create: true }] };
}

const MISSING: Refusal = { status: 422, problem: 'image-missing', detail: /missing\.ram/ };

const images: readonly (readonly [string, (fixtures: Fixtures) => object, Refusal])[] = [
  ['a missing file', ({ missing }) => image(missing), MISSING],
  [
    'a short file',
    ({ short }) => image(short),
    { status: 422, problem: 'image-size', detail: /short\.ram.*1000/ },
  ],
  [
    'an empty file',
    ({ empty }) => image(empty),
    { status: 422, problem: 'image-size', detail: /empty\.ram/ },
  ],
  ['a folder', ({ folder }) => image(folder), { status: 422, problem: 'image-not-a-file', detail: /folder/ }],
  [
    'an image outside the root',
    ({ outside }) => image(outside),
    { status: 403, problem: 'image-outside-root', detail: /package\.json/ },
  ],
  [
    'a link that leads outside the root',
    ({ link }) => image(link),
    { status: 403, problem: 'image-outside-root', detail: /package\.json|link\.ram/ },
  ],
];

export const rows: readonly Row[] = [
  {
    name: 'POST /migrate, not JSON',
    on: 'source',
    request: post('/migrate', () => '{"uri":'),
    ...body400(/JSON/),
  },
  migrate('no token', () => ({ token: undefined }), body400(/token: is required/)),
  migrate('no such field', () => ({ urgent: true }), body400(/urgent: there is no such field/)),
  migrate('a relative path', () => image('guest.ram'), body400(/blocks\.0\.path: must be an absolute path/)),
  migrate('no block', () => ({ blocks: [] }), body400(/blocks/)),
  migrate('TLS', () => ({ tls: true }), unsupported(/tls: TLS on the data port is not available yet/)),
  migrate(
    'a monitor outside of its root',
    () => ({ guest: { type: 'qemu', qmp: '/monitor' } }),
    OUTSIDE_QMP_ROOT,
  ),
  migrate(
    'a final scan left out by the scan tracker',
    () => ({ tracker: { type: 'scan', 'final-scan': false } }),
    body400(/tracker\.final-scan: there is no such field/),
  ),
  migrate(
    'auto-converge',
    () => ({ capabilities: { 'auto-converge': true } }),
    unsupported(/capabilities\.auto-converge: auto-converge is not available yet/),
  ),
  migrate(
    'reconnecting for ever',
    () => ({ parameters: { 'reconnect-limit': 1_000_001 } }),
    body400(/parameters\.reconnect-limit/),
  ),
  migrate(
    'a cache of three pages',
    () => ({ parameters: { 'xbzrle-cache-size': 3 * ONE_PAGE } }),
    body400(/parameters\.xbzrle-cache-size: must be a power of two/),
  ),
  migrate(
    'a cache below a page',
    () => ({ parameters: { 'xbzrle-cache-size': ONE_PAGE / 2 } }),
    body400(/parameters\.xbzrle-cache-size: must be at least one page/),
  ),
  ...images.map(([name, change, refusal]) => migrate(name, change, refusal)),
  migrate('a missing file, which nothing makes here', ({ missing }) => image(missing), {
    ...MISSING,
    hint: /^Check the path\.$/,
  }),
  migrate('no such process', () => ({ guest: { type: 'process', pid: 4_194_304 } }), {
    status: 422,
    problem: 'guest-unavailable',
    detail: /4194304/,
  }),
  migrate('nobody listens', ({ deadUri }) => ({ uri: deadUri }), {
    status: 502,
    problem: 'peer-unreachable',
    detail: /ECONNREFUSED/,
  }),
  migrate('a destination of another version', ({ newerUri }) => ({ uri: newerUri }), {
    status: 502,
    problem: 'version-mismatch',
    detail: /offers versions 1, .* speaks 9999/,
    peer: 'destination',
  }),
  migrate(
    "the port of the destination's API",
    (_, rig) => ({ uri: rig.destination.api.origin.replace('http://', 'tcp:') }),
    {
      status: 502,
      problem: 'protocol-violation',
      detail: /frame type 47 is not known/,
      hint: /Is it the "uri" that POST \/incoming answered, or the port of an API/,
    },
  ),
  migrate('beyond this machine', () => ({ uri: 'tcp:192.0.2.1:7800' }), {
    status: 422,
    problem: 'plain-tcp-refused',
    detail: /not encrypted/,
  }),
  asking(
    'a wrong token',
    asUsual,
    { token: 'wrong' },
    { status: 403, problem: 'token-refused', detail: /token/ },
  ),
  asking(
    'an unknown block',
    (_, { destinationImage }) => ({ blocks: [{ id: 'other.ram', path: destinationImage }] }),
    {},
    {
      status: 422,
      problem: 'unknown-block',
      detail: /source has the blocks pc\.ram, the destination other\.ram/,
    },
  ),
  asking(
    'an image of another size',
    ({ half }) => ({ blocks: [{ id: BLOCK_ID, path: half }] }),
    {},
    {
      status: 422,
      problem: 'image-size',
      detail: /half\.ram/,
    },
  ),
  asking(
    'the very same image',
    (_, { sourceImage }) => ({ blocks: [{ id: BLOCK_ID, path: sourceImage }] }),
    {},
    { status: 422, problem: 'same-image', detail: /source\.ram is the source's own image/ },
  ),
  asking(
    'a guest of another type',
    () => ({ guest: { type: 'none' } }),
    {},
    {
      status: 422,
      problem: 'hello-rejected',
      detail: /type process.*type none|type process.*armed for none/,
    },
  ),
  incoming('no address', () => ({ listen: undefined }), body400(/listen: is required/)),
  incoming('a base of nobody', () => ({ base: true }), body400(/guest\.uuid: is required/)),
  incoming(
    'a monitor outside of its root',
    () => ({ guest: { type: 'qemu', qmp: '/monitor' } }),
    OUTSIDE_QMP_ROOT,
  ),
  incoming('no such command', () => ({ guest: { type: 'process', command: 'other' } }), {
    status: 422,
    problem: 'guest-command-unknown',
    detail: /other/,
  }),
  incoming(
    'a ceiling of three pages',
    () => ({ 'xbzrle-cache-size': 3 * ONE_PAGE }),
    body400(/power of two/),
  ),
  ...images.map(([name, change, refusal]) => incoming(name, change, refusal)),
  incoming('a missing file, and what would make it', ({ missing }) => image(missing), {
    ...MISSING,
    hint: /"create": true/,
  }),
  incoming('an image to make outside the root', ({ outside }) => imageToMake(`${outside}.ram`), {
    status: 403,
    problem: 'image-outside-root',
    detail: /package\.json\.ram/,
  }),
  incoming(
    'an image to make where a link leads outside the root',
    ({ linkedFolder }) => imageToMake(`${linkedFolder}/new.ram`),
    { status: 403, problem: 'image-outside-root', detail: /new\.ram/ },
  ),
  ...['missing', 'half'].map((name) =>
    incoming(
      `an image to make in what is no directory (${name})`,
      (fixtures) => imageToMake(`${name === 'half' ? fixtures.half : fixtures.missing}/new.ram`),
      {
        status: 422,
        problem: 'image-missing',
        detail: new RegExp(`the directory .*/${name}\\.ram of image .*/new\\.ram does not exist`),
        hint: /Make the directory/,
      },
    ),
  ),
  incoming(
    'an image to make that exists',
    ({ half }) => ({ blocks: [{ id: BLOCK_ID, path: half, create: true }] }),
    {
      status: 409,
      problem: 'image-exists',
      detail: /half\.ram/,
    },
  ),
  incoming('an image that another process maps', ({ mapped }) => image(mapped), {
    status: 409,
    problem: 'image-mapped',
    detail: /mapped\.ram is mapped by process \d+/,
  }),
  incoming('a taken port', ({ takenUri }) => ({ listen: takenUri }), {
    status: 409,
    problem: 'port-in-use',
    detail: /EADDRINUSE/,
  }),
  incoming('a port of every interface', () => ({ listen: 'tcp:0.0.0.0:0' }), {
    status: 422,
    problem: 'plain-tcp-refused',
    detail: /not encrypted/,
  }),
  {
    ...incoming('twice', () => ({}), { status: 409, problem: 'migration-running', detail: /armed/ }),
    armed: asUsual,
  },
  cacheSize('source', 3 * ONE_PAGE, /cache-size: must be a power of two/),
  cacheSize('source', ONE_PAGE / 2, /cache-size: must be at least one page/),
  cacheSize('destination', 3 * ONE_PAGE, /cache-size: must be a power of two/),
  cacheSize('destination', ONE_PAGE / 2, /cache-size: must be at least one page/),
];
