import t from 'tap';
import { ProtocolError } from '../src/errors.ts';

void t.test('a fault is a sentence and keeps its facts and its cause', (t) => {
  t.plan(4);
  const cause = new Error('below');
  const error = new ProtocolError(
    { code: 'payload-too-long', type: 2, lengthBytes: 9, limitBytes: 8 },
    { cause },
  );
  t.equal(error.message, 'the payload of frame type 2 is 9 bytes, the limit is 8');
  t.same(error.fault, { code: 'payload-too-long', type: 2, lengthBytes: 9, limitBytes: 8 });
  t.equal(error.cause, cause);
  t.equal(error.name, 'ProtocolError');
});
