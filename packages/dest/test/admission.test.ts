/** What becomes of a guest that was opened for an attempt which no session takes. */
import { once } from 'node:events';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { IncomingGuest, IncomingGuestIdentity, ProcessIdentity } from '@pageferry/guest';
import { Journal } from '@pageferry/handover';
import {
  helloProof,
  incomingBody,
  incomingParameters,
  problemType,
  type DestinationMessage,
} from '@pageferry/protocol';
import type { HelloResume, HelloStart } from '@pageferry/protocol';
import { ControlLink, EngineProcess, FrameSocket } from '@pageferry/transport';
import pino from 'pino';
import t, { type Test } from 'tap';
import { Admission } from '../src/admission.ts';
import type { IncomingContext } from '../src/incoming-context.ts';
import { OpenedGuest } from '../src/opened-guest.ts';
import { ENGINE_ENTRY } from '../src/page-engine.ts';
import type { DestinationLink } from '../src/session.ts';
import { SettledAnswers } from '../src/settled-answers.ts';

const SIZE_BYTES = 2 * 2 ** 20;
const TOKEN = 'token';
const SESSION_ID = Uint8Array.from({ length: 16 }, () => 1);
const BOOT_ID = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();

/** A process that is no more: whoever tries to end it finds that. */
const IDENTITY = {
  type: 'qemu',
  qmp: '/nonexistent/qmp',
  isOurs: true,
  pid: 2 ** 22,
  startTime: 1,
  bootId: BOOT_ID,
} as const;

const COMMAND = { pid: IDENTITY.pid, startTime: IDENTITY.startTime, bootId: BOOT_ID };

class FakeGuest implements IncomingGuest {
  readonly type = 'qemu';
  closedCount = 0;
  /** At a moment of its opening, what else happens. */
  readonly #opening: () => unknown;
  readonly #path: string;

  constructor(path: string, opening: () => unknown) {
    this.#path = path;
    this.#opening = opening;
  }

  preflight(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  async open(launched?: (command: ProcessIdentity) => void): Promise<IncomingGuestIdentity> {
    launched?.(COMMAND);
    await this.#opening();
    return IDENTITY;
  }

  facts(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  blocks(): ReturnType<IncomingGuest['blocks']> {
    return Promise.resolve([{ id: 'ram', path: this.#path, sizeBytes: SIZE_BYTES }]);
  }

  prepare(): Promise<IncomingGuestIdentity> {
    return Promise.resolve(IDENTITY);
  }

  resume(): ReturnType<IncomingGuest['resume']> {
    return Promise.resolve({ outcome: 'running', note: null });
  }

  destroy(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.closedCount += 1;
    return Promise.resolve();
  }
}

interface Bench {
  readonly admission: Admission;
  readonly context: IncomingContext;
  readonly guests: FakeGuest[];
  readonly link: DestinationLink;
  /** What the source was told. */
  readonly sent: DestinationMessage[];
  /** Of the next guest. */
  opening: () => unknown;
  isListening: boolean;
}

async function setUp(t: Test): Promise<Bench> {
  const folder = t.testdir();
  const path = join(folder, 'ram');
  writeFileSync(path, '');
  truncateSync(path, SIZE_BYTES);
  const journal = Journal.destination({ path: join(folder, 'destination.journal'), tryLock: () => true });
  const engines: EngineProcess[] = [];
  t.teardown(async () => {
    await Promise.all(engines.map((engine) => engine.kill()));
    journal.close();
  });
  const context: IncomingContext = {
    logger: pino({ level: 'silent' }),
    journal,
    policy: { imageRoot: folder, isStrict: false },
    takeEngine: () => {
      const engine = new EngineProcess(ENGINE_ENTRY);
      engines.push(engine);
      return engine;
    },
    hostBootId: BOOT_ID,
    opened: new OpenedGuest(join(folder, 'opened-guest.json')),
    settled: new SettledAnswers(join(folder, 'settled.json')),
    parameters: incomingParameters.parse({}),
  };
  const guests: FakeGuest[] = [];
  const makeGuest = (): IncomingGuest => {
    const guest = new FakeGuest(path, () => bench.opening());
    guests.push(guest);
    return guest;
  };
  const body = incomingBody.parse({
    listen: 'tcp:127.0.0.1:0',
    guest: { type: 'qemu', qmp: IDENTITY.qmp, command: 'qemu' },
    blocks: [{ id: 'ram', path }],
  });
  const admission = new Admission({
    armed: { body, makeGuest, warnings: [] },
    context,
    token: TOKEN,
    address: () => (bench.isListening ? { host: '127.0.0.1', port: 1 } : undefined),
    cacheCeilingBytes: () => 0,
  });
  const sent: DestinationMessage[] = [];
  const link = await linkTo(t, sent);
  const bench: Bench = {
    admission,
    context,
    guests,
    link,
    sent,
    opening: () => undefined,
    isListening: true,
  };
  return bench;
}

/** A link whose messages are kept; the peer takes the bytes and says nothing. */
async function linkTo(t: Test, sent: DestinationMessage[]): Promise<DestinationLink> {
  const server = createServer((socket) => {
    socket.resume();
    socket.on('error', () => undefined);
    t.teardown(() => socket.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const link: DestinationLink = new ControlLink(
    {
      encode: (message) => {
        sent.push(message);
        return Buffer.from('{}');
      },
      decode: () => ({ type: 'ping', sequence: 1 }),
    },
    { message: () => undefined, lost: () => undefined },
    (frames) => FrameSocket.connect({ host: '127.0.0.1', port: address.port }, frames, () => undefined),
  );
  t.teardown(() => link.close());
  return link;
}

const ATTEMPT = {
  type: 'hello',
  versions: [1],
  sessionId: SESSION_ID,
  guestType: 'qemu',
  pageSize: 4096,
  blocks: [{ id: 'ram', sizeBytes: SIZE_BYTES }],
  streamCount: 1,
  secret: new Uint8Array(16),
  xbzrleCacheSizeBytes: 0,
  destinationReread: false,
} as const;

function helloStart(): HelloStart {
  const { versions, blocks } = ATTEMPT;
  const lists = { versions: [...versions], blocks: [...blocks] };
  return { ...ATTEMPT, ...lists, purpose: 'start', epoch: 1, token: TOKEN, isResumable: true };
}

function helloResume(sessionKey: Uint8Array): HelloResume {
  const proof = helloProof('resume', { sessionId: SESSION_ID, sessionKey, epoch: 2 });
  const { versions, blocks } = ATTEMPT;
  const lists = { versions: [...versions], blocks: [...blocks] };
  return { ...ATTEMPT, ...lists, purpose: 'resume', epoch: 2, abortedEpoch: 1, proof };
}

void t.test('a guest whose session cannot be journaled is not left', async (t) => {
  t.plan(3);
  const { admission, context, guests, link, sent } = await setUp(t);
  context.journal.useSession = () => {
    throw new Error('no room');
  };
  await admission.hello(link, helloStart(), 1, 1);
  t.match(sent, [{ type: 'reject', problem: { detail: /no room/ } }]);
  t.same(
    guests.map(({ closedCount }) => closedCount),
    [1],
  );
  t.equal(context.opened.find(), undefined);
});

void t.test('a guest that was started for a session given up meanwhile is not left', async (t) => {
  t.plan(6);
  const bench = await setUp(t);
  const { admission, context, guests, link, sent } = bench;
  await admission.hello(link, helloStart(), 1, 1);
  const { session } = admission;
  if (session === undefined) throw new Error(JSON.stringify(sent));
  t.same(context.opened.find(), IDENTITY);
  await session.fail(new Error('cut'));
  await session.letGo();
  t.equal(session.isInterrupted, true);
  bench.opening = () => session.abort();
  // The first link is closed when a newer epoch is entered.
  await admission.hello(await linkTo(t, sent), helloResume(session.facts.sessionKey), 2, 1);
  t.match(sent.at(-1), { type: 'reject', problem: { detail: /given up meanwhile/ } });
  t.equal(guests.length, 2);
  t.ok((guests[1]?.closedCount ?? 0) > 0);
  t.equal(context.opened.find(), undefined);
});

void t.test('a migration that is given up while its guest starts gets no session', async (t) => {
  t.plan(5);
  const bench = await setUp(t);
  const { admission, context, guests, link, sent } = bench;
  let launched: unknown;
  bench.opening = () => {
    launched = context.opened.findLaunched();
    bench.isListening = false;
  };
  await admission.hello(link, helloStart(), 1, 1);
  t.match(sent, [{ type: 'reject', problem: { detail: /given up meanwhile/ } }]);
  t.same(launched, COMMAND, 'known from the start');
  t.equal(admission.session, undefined);
  t.same(
    guests.map(({ closedCount }) => closedCount),
    [1],
  );
  t.equal(context.opened.find(), undefined, 'nor is it taken for one that is left');
});

void t.test(
  'a token that was used is refused: its migration goes on, or nothing is armed any more',
  async (t) => {
    t.plan(4);
    const { admission, link, sent } = await setUp(t);
    await admission.hello(link, helloStart(), 1, 1);
    const { session } = admission;
    if (session === undefined) throw new Error(JSON.stringify(sent));
    await admission.hello(await linkTo(t, sent), helloStart(), 1, 1);
    t.match(sent.at(-1), { type: 'reject', problem: { type: problemType('migration-running') } });
    await session.fail(new Error('cut'));
    t.equal(session.isInterrupted, true);
    await admission.hello(await linkTo(t, sent), helloStart(), 1, 1);
    t.match(
      sent.at(-1),
      { type: 'reject', problem: { type: problemType('migration-running') } },
      'its source comes back',
    );
    await session.abort();
    await session.letGo();
    await admission.hello(await linkTo(t, sent), helloStart(), 1, 1);
    t.match(sent.at(-1), {
      type: 'reject',
      problem: { type: problemType('not-armed'), hint: /POST \/incoming/ },
    });
  },
);
