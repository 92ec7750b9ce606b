/** What a kernel module says that it needs. */
import t from 'tap';
import { dependenciesOf } from '../../src/qemu/kernel.ts';

const moduleSaying = (...texts: readonly string[]) =>
  Buffer.from(`\x7fELF\0${texts.join('\0')}\0rest`, 'latin1');

void t.test('the modules that a module needs are in it', async (t) => {
  const needing = moduleSaying('license=GPL', 'depends=virtio,virtio-ring', 'retpoline=Y');
  t.same(dependenciesOf(needing), ['virtio', 'virtio_ring'], 'named as the kernel names them');
  t.same(dependenciesOf(moduleSaying('license=GPL', 'depends=')), []);
  t.same(dependenciesOf(moduleSaying('license=GPL')), []);
});
