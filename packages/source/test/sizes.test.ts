/** The kernel and the wire know nothing of each other, and mean the same sizes. */
import * as wire from '@pageferry/protocol';
import * as kernel from '@pageferry/xbzrle';
import t from 'tap';

void t.test('sizes of the wire and of the kernel', async (t) => {
  t.same(
    {
      page: kernel.PAGE_SIZE,
      extent: kernel.EXTENT_PAGES,
      digest: kernel.DIGEST_BYTES,
      secret: kernel.SECRET_BYTES,
      frame: kernel.FRAME_RECORDS_MAX_BYTES,
      cache: kernel.MAX_CACHE_BYTES,
      recordHeader: kernel.RECORD_HEADER_BYTES,
      kinds: [kernel.RECORD_ZERO, kernel.RECORD_NORMAL, kernel.RECORD_XBZRLE],
    },
    {
      page: wire.PAGE_SIZE_BYTES,
      extent: wire.EXTENT_SIZE_PAGES,
      digest: wire.DIGEST_SIZE_BYTES,
      secret: wire.DIGEST_SECRET_SIZE_BYTES,
      frame: wire.PAGE_FRAME_RECORDS_MAX_BYTES,
      cache: wire.CACHE_BYTES_PER_STREAM_MAX,
      recordHeader: wire.RECORD_HEADER_BYTES,
      kinds: [wire.RECORD_KIND.zero, wire.RECORD_KIND.normal, wire.RECORD_KIND.xbzrle],
    },
  );
});
