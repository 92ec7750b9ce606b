// The zero test. A page that is not zero usually says so in its first 64 bytes, so the test leaves early.
import { PAGE_BYTES } from './layout';

/** Whether all bytes of the page are 0. */
export function isZeroPage(page: usize): bool {
  const end = page + PAGE_BYTES;
  for (; page < end; page += 64) {
    const block = v128.or(
      v128.or(v128.load(page), v128.load(page, 16)),
      v128.or(v128.load(page, 32), v128.load(page, 48)),
    );
    if (v128.any_true(block)) return false;
  }
  return true;
}
