/**
 * A cpio archive as Linux takes it for an initramfs: the "newc" layout of the kernel's
 * Documentation/driver-api/early-userspace/buffer-format.rst. Everything belongs to root, whoever builds it, and the
 * bytes depend on the entries alone.
 */
export type ArchiveEntry =
  | { readonly type: 'directory'; readonly path: string }
  | { readonly type: 'link'; readonly path: string; readonly to: string }
  | { readonly type: 'file'; readonly path: string; readonly mode: number; readonly content: Uint8Array };

const MODE_BITS = { directory: 0o040_755, link: 0o120_777, file: 0o100_000 } as const;
const ALIGNMENT = 4;

/** Paths are within the archive's root. Directories must come before what is in them. */
export function encodeArchive(entries: readonly ArchiveEntry[]): Buffer {
  const parts = entries.flatMap((entry, index) => {
    const mode = MODE_BITS[entry.type] | (entry.type === 'file' ? entry.mode : 0);
    return member(index + 1, mode, entry.path.replace(/^\/+/, ''), contentOf(entry));
  });
  return Buffer.concat([...parts, ...member(0, 0, 'TRAILER!!!', Buffer.alloc(0))]);
}

function contentOf(entry: ArchiveEntry): Uint8Array {
  switch (entry.type) {
    case 'directory':
      return Buffer.alloc(0);
    case 'link':
      return Buffer.from(entry.to);
    case 'file':
      return entry.content;
  }
}

function member(inode: number, mode: number, path: string, content: Uint8Array): readonly Uint8Array[] {
  const name = Buffer.from(`${path}\0`);
  const owner = [0, 0];
  const linkCount = 1;
  const modifiedAt = 0;
  const devices = [0, 0, 0, 0];
  const check = 0;
  const fields = [
    inode,
    mode,
    ...owner,
    linkCount,
    modifiedAt,
    content.length,
    ...devices,
    name.length,
    check,
  ];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
  return [header, name, padding(header.length + name.length), content, padding(content.length)];
}

function padding(lengthBytes: number): Uint8Array {
  return Buffer.alloc((ALIGNMENT - (lengthBytes % ALIGNMENT)) % ALIGNMENT);
}
