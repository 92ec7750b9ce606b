import t from 'tap';
import { defaultParameters } from '@pageferry/protocol';
import { Settings } from '../src/settings.ts';

const MIB = 1024 * 1024;

void t.test('the smaller of request and ceiling is divided among the streams', (t) => {
  const settings = new Settings({ ...defaultParameters(), 'multifd-channels': 3 });
  settings.cacheSizeBytes = 64 * MIB;
  t.match(
    settings.cacheSize(5),
    { requested: 64 * MIB, effective: 48 * MIB, allocated: 5 },
    'three shares of 16 MiB',
  );
  settings.cacheCeilingBytes = 8 * MIB;
  t.match(settings.cacheSize(0), { requested: 64 * MIB, ceiling: 8 * MIB, effective: 6 * MIB });
  t.end();
});

void t.test('a patch changes what it names only', (t) => {
  const settings = new Settings(defaultParameters());
  settings.patch({ 'max-bandwidth': 5 });
  t.match(settings.parameters, { 'max-bandwidth': 5, 'downtime-limit': 300 });
  settings.patch({ 'downtime-limit': 7 });
  t.match(settings.parameters, { 'max-bandwidth': 5, 'downtime-limit': 7 });
  t.end();
});
