import t from 'tap';
import { destinationMessage, sourceMessage } from '../src/control-message.ts';
import { destinationMessages, sourceMessages } from './golden.ts';

const hello = sourceMessages().get('hello-start');
const resolve = sourceMessages().get('hello-resolve');
const handover = sourceMessages().get('handover');
const welcome = destinationMessages().get('welcome-start');
const reject = destinationMessages().get('reject');

void t.test('a message of one direction is none of the other, but for pings and errors', (t) => {
  t.plan(2);
  const source = [...sourceMessages().values()].filter(
    (message) => destinationMessage.safeParse(message).success,
  );
  const destination = [...destinationMessages()].filter(
    ([, message]) => sourceMessage.safeParse(message).success,
  );
  t.same(source, []);
  t.same(
    destination.map(([name]) => name),
    ['pong', 'error'],
  );
});

void t.test('only hello ignores unknown fields', (t) => {
  const messages = [...sourceMessages(), ...destinationMessages()];
  t.plan(messages.length);
  for (const [name, message] of messages) {
    const extended = { ...message, extra: 1 };
    const taken = sourceMessage.safeParse(extended).success || destinationMessage.safeParse(extended).success;
    t.equal(taken, name.startsWith('hello'), name);
  }
});

void t.test('every field is needed but the optional ones', (t) => {
  const optional = ['abortedEpoch', 'guestUuid', 'imageIdentities'];
  const messages = [...sourceMessages(), ...destinationMessages()];
  t.plan(messages.length);
  for (const [name, message] of messages) {
    const spared = Object.keys(message).filter((key) => {
      const rest = Object.fromEntries(Object.entries(message).filter(([other]) => other !== key));
      return sourceMessage.safeParse(rest).success || destinationMessage.safeParse(rest).success;
    });
    t.same(
      spared.filter((key) => !optional.includes(key)),
      [],
      name,
    );
  }
});

void t.test('what the source may not say', (t) => {
  const block = { id: 'pc.ram', sizeBytes: 8192 };
  const cases: [string, unknown][] = [
    ['nothing', undefined],
    ['a number', 1],
    ['no type', {}],
    ['an unknown type', { type: 'hail' }],
    ['a type of the prototype', { type: 'constructor' }],
    ['no version', { ...hello, versions: [] }],
    ['version 0', { ...hello, versions: [0] }],
    ['17 versions', { ...hello, versions: Array.from({ length: 17 }, (_, index) => index + 1) }],
    ['an unknown purpose', { ...hello, purpose: 'again' }],
    ['epoch 0', { ...hello, epoch: 0 }],
    ['epoch 2^32', { ...hello, epoch: 2 ** 32 }],
    ['a long token', { ...hello, token: 't'.repeat(129) }],
    ['an empty token', { ...hello, token: '' }],
    ['a short secret', { ...hello, secret: new Uint8Array(191) }],
    ['a secret that is text', { ...hello, secret: 's'.repeat(192) }],
    ['a long session id', { ...hello, sessionId: new Uint8Array(17) }],
    ['no block', { ...hello, blocks: [] }],
    ['65 blocks', { ...hello, blocks: Array.from({ length: 65 }, () => block) }],
    ['a block without pages', { ...hello, blocks: [{ ...block, sizeBytes: 0 }] }],
    ['half a page', { ...hello, blocks: [{ ...block, sizeBytes: 6144 }] }],
    ['a block above 16 TiB', { ...hello, blocks: [{ ...block, sizeBytes: 2 ** 44 + 4096 }] }],
    ['a block without a name', { ...hello, blocks: [{ ...block, id: '' }] }],
    ['an id of 256 bytes', { ...hello, blocks: [{ ...block, id: '\u00e9'.repeat(128) }] }],
    ['no stream', { ...hello, streamCount: 0 }],
    ['17 streams', { ...hello, streamCount: 17 }],
    ['an unknown guest', { ...hello, guestType: 'xen' }],
    ['a resolve without proof', { ...resolve, proof: undefined }],
    ['a resolve with a short proof', { ...resolve, proof: new Uint8Array(31) }],
    ['a handover without roots', { ...handover, roots: [] }],
    ['a handover of 65 roots', { ...handover, roots: Array.from({ length: 65 }, () => new Uint8Array(16)) }],
    ['an unknown run state', { ...handover, runState: 'crashed' }],
    ['device state without a sum', { ...handover, deviceState: { sizeBytes: 1 } }],
    ['a long reason', { type: 'abort', reason: 'r'.repeat(4097) }],
    ['a negative sequence', { type: 'ping', sequence: -1 }],
  ];
  t.plan(cases.length);
  for (const [name, message] of cases) {
    t.equal(sourceMessage.safeParse(message).success, false, name);
  }
});

void t.test('what the destination may not say', (t) => {
  const cases: [string, unknown][] = [
    ['a short session key', { ...welcome, sessionKey: new Uint8Array(15) }],
    ['version 0', { ...welcome, version: 0 }],
    ['a negative ceiling', { ...welcome, xbzrleCacheCeilingBytes: -1 }],
    ['a phase of its own', { type: 'welcome', purpose: 'resolve', version: 1, phase: 'dreaming' }],
    ['a key to a resolve', { ...welcome, purpose: 'resolve', phase: 'prepared' }],
    ['a reject without a reason', { ...reject, problem: undefined }],
    ['a result without an answer', { type: 'round-result', round: 1, roots: [new Uint8Array(16)] }],
  ];
  t.plan(cases.length);
  for (const [name, message] of cases) {
    t.equal(destinationMessage.safeParse(message).success, false, name);
  }
});
