import t from 'tap';
import { checkProof, dataProof, helloProof } from '../src/proof.ts';
import { faultOf } from './faults.ts';

const session = {
  sessionKey: new Uint8Array(16).fill(1),
  sessionId: new Uint8Array(16).fill(2),
  epoch: 1,
};

void t.test('every fact and every use gives another proof', (t) => {
  const proofs = [
    helloProof('resolve', session),
    helloProof('resolve', { ...session, epoch: 2 }),
    helloProof('resolve', { ...session, sessionId: new Uint8Array(16).fill(3) }),
    helloProof('resolve', { ...session, sessionKey: new Uint8Array(16).fill(3) }),
    helloProof('resume', session),
    dataProof(session, { stream: 0, streamCount: 1 }),
    dataProof(session, { stream: 0, streamCount: 2 }),
    dataProof(session, { stream: 1, streamCount: 2 }),
    dataProof({ ...session, epoch: 2 }, { stream: 1, streamCount: 2 }),
  ];
  t.plan(2);
  t.equal(new Set(proofs.map((proof) => Buffer.from(proof).toString('hex'))).size, proofs.length);
  t.ok(proofs.every((proof) => proof.length === 32));
});

void t.test('comparing', (t) => {
  t.plan(3);
  const proof = helloProof('resolve', session);
  t.equal(
    faultOf(() => checkProof(Uint8Array.from(proof), proof, 'hello')),
    'none',
  );
  t.equal(
    faultOf(() => checkProof(proof.subarray(1), proof, 'hello')),
    'wrong-proof',
  );
  t.equal(
    faultOf(() => checkProof(new Uint8Array(32), proof, 'hello')),
    'wrong-proof',
  );
});
