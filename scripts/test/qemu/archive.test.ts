/** The initramfs: its layout byte by byte, and that cpio, where it is installed, reads back what was put in. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { encodeArchive } from '../../src/qemu/archive.ts';

const entries = [
  { type: 'directory', path: '/bin' },
  { type: 'file', path: '/bin/tool', mode: 0o755, content: Buffer.from('12345') },
  { type: 'link', path: '/bin/other', to: 'tool' },
] as const;

void t.test(
  'a member is its header in hexadecimal digits, its name, and its content, each to a multiple of four',
  async (t) => {
    const archive = encodeArchive([entries[1]]).toString('latin1');
    const header =
      '070701' +
      '00000001' + // inode
      '000081ed' + // a file, rwxr-xr-x
      '00000000'.repeat(2) + // root
      '00000001' + // one link
      '00000000' + // time
      '00000005' + // content
      '00000000'.repeat(4) + // devices
      '00000009' + // name
      '00000000'; // check
    t.equal(archive.slice(0, 110), header);
    t.equal(
      archive.slice(110, 120),
      'bin/tool\0\0',
      'the name begins at the root, and ends the header at 120',
    );
    t.equal(archive.slice(120, 128), '12345\0\0\0');
    t.equal(archive.slice(128, 134), '070701');
    t.match(archive.slice(128 + 110), /^TRAILER!!!\0/);
    t.equal(archive.length % 4, 0);
  },
);

const hasCpio = spawnSync('cpio', ['--version']).status === 0;
void t.test('cpio unpacks it', { skip: hasCpio ? false : 'cpio is not installed' }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'pageferry-archive-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const { status } = spawnSync('cpio', ['--extract', '--quiet'], {
    cwd: directory,
    input: encodeArchive(entries),
  });
  t.equal(status, 0);
  t.equal(readFileSync(join(directory, 'bin/tool'), 'latin1'), '12345');
  t.equal(statSync(join(directory, 'bin/tool')).mode & 0o777, 0o755);
  t.equal(readlinkSync(join(directory, 'bin/other')), 'tool');
});
