// Dumps of both directions of both connections, of streams that are wrong somewhere, and the command itself.
import t from 'tap';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FRAME_TYPE, encodeStreamRoundEnd, type Side } from '@pageferry/protocol';
import { dumpStream } from '../src/dump/dump.ts';
import { JSON_LINES, TEXT, type Format } from '../src/dump/format.ts';
import {
  controlFromDestination,
  controlFromSource,
  dataFromDestination,
  dataFromSource,
  frame,
  fromDestination,
  fromSource,
  hello,
  joined,
  patched,
  SECRETS,
} from './dump/streams.ts';

const STREAMS: readonly (readonly [string, Uint8Array])[] = [
  ['control, source', controlFromSource()],
  ['control, destination', controlFromDestination()],
  ['data, source', dataFromSource()],
  ['data, destination', dataFromDestination()],
];
/** Without the test runner's own loaders. */
const env = { ...process.env, NODE_OPTIONS: '' };
const program = fileURLToPath(new URL('../src/dump-stream.js', import.meta.url));

void t.test('what is in each direction', async (t) => {
  const control = await dump(controlFromSource());
  t.match(lines(control), [
    /^ {9}0 {2}preamble +kind=control sessionId=(ab){16}$/,
    /^ {8}32 {2}control +epoch 3, aux 0, length \d+: type=hello versions=\[1\] .*token=<18 characters>/,
    / device-state +epoch 3, aux 0, length 11: pieceOffset=0 pieceBytes=3 totalBytes=6$/,
    / device-state .* pieceOffset=3 pieceBytes=3 totalBytes=6$/,
    / control +epoch 3, aux 0, length 13: type=commit$/,
  ]);
  t.match(lines(await dump(controlFromDestination())), [
    /^ {9}0 {2}control .* type=welcome .*sessionKey=<16 bytes> hasBase=false xbzrleCacheCeilingBytes=4096$/,
    / type=round-result round=0 roots=\["(5e){16}"\] matches=true waitedMs=0$/,
  ]);
  t.match(lines(await dump(dataFromSource())), [
    / kind=data /,
    / 32 {2}data-hello +epoch 3, aux 0, length 36: stream=1 streamCount=2 proof=<32 bytes>$/,
    / 84 {2}pages +epoch 3, round 4, length 8247: block=0 stream=1$/,
    /^ {12}zero: records=1 pages=500$/,
    /^ {12}normal: records=1 pages=2 payload=8192$/,
    /^ {12}xbzrle: records=2 pages=2 payload=7$/,
    / stream-round-end epoch 3, round 4, length 8: stream=1 frameCount=1$/,
    / extent-roots +epoch 3, aux 1, length 12: exchange=request block=0 stream=1 first=0 count=2$/,
  ]);
  t.match(lines(await dump(dataFromDestination())), [
    / 0 {2}data-accept +epoch 3, aux 0, length 4: stream=1$/,
    / 20 {2}page-digests .* exchange=answer block=0 stream=1 first=40 count=2 unknownCount=1$/,
  ]);
  const records = lines(await dump(dataFromSource(), { showsRecords: true }));
  t.strictSame(
    records.slice(3, 7).map((line) => line.trim()),
    [
      'zero: first=512 count=500',
      'normal: first=3 count=2 payload=8192',
      'xbzrle: first=7 count=1 payload=3',
      'xbzrle: first=8 count=1 payload=4',
    ],
  );
});

void t.test('pieces of any size give the same', async (t) => {
  t.plan(STREAMS.length);
  for (const [name, bytes] of STREAMS) {
    t.equal(await dump(bytes, { pieceBytes: 1 }), await dump(bytes), name);
  }
});

void t.test('every line of --json is an object with the place of a frame', async (t) => {
  t.plan(STREAMS.length + 1);
  for (const [name, bytes] of STREAMS) {
    const offsets = lines(await dump(bytes, { format: JSON_LINES, showsRecords: true })).map(offsetOf);
    const inText = lines(await dump(bytes)).filter((line) => /^ *\d+ /.test(line));
    t.strictSame(
      offsets,
      inText.map((line) => Number.parseInt(line, 10)),
      name,
    );
  }
  const [last = ''] = lines(await dump(dataFromSource().subarray(0, 100), { format: JSON_LINES })).slice(-1);
  t.match(JSON.parse(last), { offset: 84, error: { code: 'truncated' } });
});

void t.test('secrets and contents are not shown', async (t) => {
  const proof = SECRETS.proof;
  const resolve = fromSource({
    type: 'hello',
    purpose: 'resolve',
    versions: [1],
    sessionId: new Uint8Array(16).fill(1),
    epoch: 3,
    proof,
  });
  const streams = [
    ...STREAMS.map(([, bytes]) => bytes),
    joined(controlFromSource().subarray(0, 32), resolve),
  ];
  for (const bytes of streams) {
    for (const format of [TEXT, JSON_LINES]) {
      const text = await dump(bytes, { format, showsRecords: true });
      t.notMatch(text, SECRETS.token);
      // The bytes of secrets, pages, deltas and device state are d1 to d6, in hexadecimal or as numbers.
      t.notMatch(text, /(d[1-6]){2}|(2(09|1[0-4]),){2}/i);
    }
  }
});

void t.test('what is wrong, where, and everything before it', async (t) => {
  const control = controlFromSource();
  const data = dataFromSource();
  const welcome = controlFromDestination();
  const roundEnd = frame(FRAME_TYPE.streamRoundEnd, encodeStreamRoundEnd({ stream: 0, frameCount: 1 }), 5);
  const preamble = control.subarray(0, 32);
  const commit = fromSource({ type: 'commit' });
  const end = control.length;
  const table: readonly (readonly [string, Uint8Array, number, string, Side?])[] = [
    ['nothing, where a preamble must be', new Uint8Array(0), 0, 'truncated', 'source'],
    ['half a preamble', control.subarray(0, 31), 0, 'truncated'],
    ['a frame, where a preamble must be', joined(welcome, welcome), 0, 'bad-magic', 'source'],
    ['an unknown kind of connection', patched(control, 5, 3), 0, 'unknown-connection-kind'],
    ['a preamble, where a frame must be', control, 0, 'payload-too-long', 'destination'],
    ['three bytes', welcome.subarray(0, 3), 0, 'truncated'],
    ['half a header', welcome.subarray(0, 15), 0, 'truncated'],
    ['half a payload', welcome.subarray(0, 40), 0, 'truncated'],
    ['half a payload later on', control.subarray(0, end - 1), end - 29, 'truncated'],
    ['half a header later on', joined(control, Uint8Array.of(1)), end, 'truncated'],
    ['a reserved byte', patched(control, end - 29 + 5, 1), end - 29, 'reserved-not-zero'],
    ['an unknown type', patched(control, end - 29 + 4, 9), end - 29, 'unknown-frame-type'],
    ['pages on a control connection', patched(control, end - 29 + 4, 2), end - 29, 'frame-not-allowed'],
    ['aux of a control frame', patched(control, end - 29 + 12, 1), end - 29, 'unexpected-value'],
    [
      'another epoch',
      joined(control, frame(FRAME_TYPE.control, commit.subarray(16), 0, 4)),
      end,
      'future-epoch',
    ],
    ['no msgpack', patched(control, end - 1, 0xc1), end - 29, 'malformed-message'],
    [
      'a message of the other side',
      joined(preamble, fromDestination({ type: 'ready' })),
      32,
      'invalid-message',
    ],
    [
      'a gap in the device state',
      withoutSecondFrame(control),
      32 + fromSource(hello).length,
      'unexpected-value',
    ],
    ['device state before hello', joined(preamble, deviceStateOf(control)), 32, 'frame-not-allowed'],
    ['no data-hello', joined(data.subarray(0, 32), data.subarray(84)), 32, 'frame-not-allowed'],
    ['stream 2 of 2', patched(data, 32 + 16, 2), 32, 'out-of-range'],
    ['pages of another stream', patched(data, 84 + 16 + 2, 0), 84, 'unexpected-value'],
    ['an unknown kind of record', patched(data, 84 + 16 + 8 + 8, 4), 84, 'unknown-record-kind'],
    ['no aux of a request', patched(data, data.length - 28 + 12, 3), data.length - 28, 'unexpected-value'],
    ['a second data-hello', joined(data, data.subarray(32, 84)), data.length, 'frame-not-allowed'],
    ['the end of a round in the answers', joined(dataFromDestination(), roundEnd), 80, 'frame-not-allowed'],
    ['an answer without data-accept', dataFromDestination().subarray(20), 0, 'frame-not-allowed'],
    ['an answer cut off', dataFromDestination().subarray(0, 79), 20, 'truncated'],
  ];
  for (const [name, bytes, offset, code, side] of table) {
    const text = await dump(bytes, { side });
    const [last = ''] = lines(text).slice(-1);
    t.match(last, new RegExp(`^ *${offset} {2}wrong here: .+ \\(${code}\\)$`), name);
    const before = await dump(bytes.subarray(0, offset), { side: offset > 0 ? side : 'destination' });
    t.equal(text, `${before}${last}\n`, `${name}: everything before it`);
    t.equal(await dump(bytes, { side, pieceBytes: 7 }), text, `${name}: in pieces`);
  }
});

void t.test('whatever byte is wrong, the dump ends in good order', async (t) => {
  for (const [name, bytes] of STREAMS) {
    // All but the bytes of pages.
    const offsets = [...bytes.keys()].filter((offset) => offset < 300 || offset > bytes.length - 100);
    const failed: number[] = [];
    for (const offset of offsets) {
      const text = await dump(patched(bytes, offset, (bytes[offset] ?? 0) ^ 0xff));
      const isExplained = text.endsWith(')\n') === text.includes('wrong here: ');
      if (!isExplained) failed.push(offset);
    }
    t.strictSame(failed, [], name);
  }
});

void t.test('a stream cannot write to the terminal', async (t) => {
  const message = { type: 'abort', outcome: 'failed', reason: '\u001b[2J and \u009b2J' } as const;
  const bytes = joined(controlFromSource(), fromSource(message));
  for (const format of [TEXT, JSON_LINES]) {
    const text = await dump(bytes, { format });
    t.notMatch(text, /[^\n\P{Cc}]/u);
    t.match(text, String.raw`\u001b[2J and \u009b2J`);
  }
});

void t.test('the command', (t) => {
  const path = join(t.testdir(), 'stream');
  const bytes = dataFromSource();
  writeFileSync(path, bytes);
  const whole = run([path, '--records']);
  t.equal(whole.status, 0);
  t.match(whole.stdout, / xbzrle: first=8 count=1 payload=4\n/);
  const piped = run(['-', '--json'], bytes.subarray(0, 90));
  t.equal(piped.status, 1, 'a stream that is cut off');
  t.strictSame(lines(piped.stdout).map(offsetOf), [0, 32, 84]);
  t.equal(piped.stderr, '');
  const usage = [[], [path, path], [path, '--side', 'middle'], [path, '--unknown'], [`${path}.not`]];
  for (const args of usage) {
    const refused = run(args);
    t.equal(refused.status, 2, args.join(' '));
    t.match(refused.stderr, /^dump-stream: /);
  }
  t.match(run(['--help']).stdout, /FILE/);
  t.end();
});

interface DumpRun {
  readonly format?: Format;
  readonly side?: Side | undefined;
  readonly showsRecords?: boolean;
  readonly pieceBytes?: number;
}

async function dump(bytes: Uint8Array, options: DumpRun = {}): Promise<string> {
  const { format = TEXT, side, showsRecords = false, pieceBytes = 65536 } = options;
  let text = '';
  const write = async (more: string): Promise<void> => {
    text += more;
  };
  await dumpStream(inPieces(bytes, pieceBytes), format, write, { side, showsRecords });
  return text;
}

async function* inPieces(bytes: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += pieceBytes)
    yield bytes.slice(offset, offset + pieceBytes);
}

function lines(text: string): readonly string[] {
  return text.split('\n').slice(0, -1);
}

function offsetOf(line: string): unknown {
  const value: unknown = JSON.parse(line);
  return typeof value === 'object' && value !== null && 'offset' in value ? value.offset : undefined;
}

/** Preamble, hello and two pieces of device state are cut after hello, and the first piece is left out. */
function withoutSecondFrame(control: Uint8Array): Uint8Array {
  const begin = 32 + fromSource(hello).length;
  return joined(control.subarray(0, begin), control.subarray(begin + deviceStateOf(control).length));
}

/** The first piece of device state. */
function deviceStateOf(control: Uint8Array): Uint8Array {
  const begin = 32 + fromSource(hello).length;
  return control.slice(begin, begin + 16 + 11);
}

function run(args: readonly string[], input: Uint8Array = new Uint8Array(0)) {
  return spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', env, input });
}
