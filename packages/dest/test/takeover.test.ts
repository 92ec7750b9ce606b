import { problemType } from '@pageferry/protocol';
import t from 'tap';
import { checkTakeover } from '../src/takeover.ts';

/** What a takeover is refused with; undefined if it goes on to the handover. */
function refusal(phase: 'preparing' | 'prepared', isConnected: boolean): unknown {
  const state =
    phase === 'preparing'
      ? ({ phase, epoch: 1, runState: 'running' } as const)
      : ({ phase, epoch: 1, runState: 'running', guest: {} } as const);
  try {
    checkTakeover(state, isConnected);
    return undefined;
  } catch (error) {
    return error;
  }
}

void t.test('a source that is connected decides, also while the guest is being loaded', async (t) => {
  for (const phase of ['preparing', 'prepared'] as const) {
    t.match(refusal(phase, true), { problem: { type: problemType('peer-connected'), phase } }, phase);
    t.equal(refusal(phase, false), undefined, `${phase}, without its source`);
  }
});
