import { EventEmitter, once } from 'node:events';
import t from 'tap';
import { Failure } from '../src/failure.ts';

void t.test('work that ends after the failure has no result', async (t) => {
  t.plan(4);
  const failure = new Failure();
  t.equal(await failure.unlessFailed(Promise.resolve(1)), 1);
  const monitor = new EventEmitter();
  const work = once(monitor, 'answer');
  const late = failure.unlessFailed(work);
  const raced = failure.race(work);
  const first = new Error('the link is lost');
  failure.fail(first);
  failure.fail(new Error('the engine has ended'));
  await t.rejects(raced, first);
  monitor.emit('answer');
  await t.rejects(late, first);
  await t.rejects(failure.unlessFailed(Promise.reject(new Error('its own'))), /its own/);
});
