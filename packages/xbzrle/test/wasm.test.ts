import t from 'tap';
import { MAX_CACHE_BYTES } from '../src/page-cache-size.ts';
import { checkSizes, instantiateKernel } from '../src/wasm.ts';
import { faultOf } from './fault-of.ts';
import { TestStream } from './stream.ts';
import { edited, randomPage } from './vectors.ts';

void t.test('a kernel of other sizes is refused', (t) => {
  t.plan(3);
  const { exports } = instantiateKernel(() => 65536);
  t.equal(
    faultOf(() => checkSizes(exports)),
    undefined,
  );
  t.same(
    faultOf(() => checkSizes({ ...exports, BATCH_PAGES: { value: 128 } })),
    { code: 'kernel-mismatch', name: 'BATCH_PAGES', kernel: 128, expected: 256 },
  );
  t.match(
    faultOf(() => checkSizes({})),
    { code: 'kernel-mismatch', kernel: 0 },
    'nothing stated',
  );
});

void t.test('the largest cache puts slots beyond 2 GiB, where addresses look negative', (t) => {
  t.plan(3);
  const stream = new TestStream({ cacheBytes: MAX_CACHE_BYTES });
  t.ok(stream.kernel.input(1).byteOffset > 2 ** 31);
  const page = randomPage(1);
  const index = MAX_CACHE_BYTES / 4096 - 1;
  t.same(stream.send(index, [page])[0]?.bytes, page);
  t.equal(stream.send(index, [edited(page, [[7, 1]])])[0]?.kind, 'xbzrle');
});
