/**
 * The exposition: its grammar, base units, and that what is not known is left out.
 */
import type { MigrationStatus } from '@pageferry/protocol';
import t from 'tap';
import { metricsText } from '../src/index.ts';
import { IDLE } from './source-app.ts';

const RUNNING: MigrationStatus = {
  ...IDLE,
  status: 'active',
  'total-time': 1500,
  'expected-downtime': 250,
  ram: {
    transferred: 1_000_000,
    remaining: 8192,
    total: 2_097_152,
    duplicate: 3,
    normal: 244,
    'normal-bytes': 999_424,
    'dirty-pages-rate': 12.5,
    mbps: 8,
    'dirty-sync-count': 2,
    'page-size': 4096,
    'pages-per-second': 100,
    'precopy-bytes': 1_000_000,
    'downtime-bytes': 0,
  },
  pageferry: {
    ...IDLE.pageferry,
    phase: 'rounds',
    round: 2,
    coverage: 0.5,
    engine: { pid: 7, 'rss-anon': 4096 },
    'predicted-downtime': {
      total: 250,
      wire: 100,
      scan: 100,
      'device-state': 30,
      journal: 10,
      'round-trips': 10,
    },
  },
};

const LINE =
  /^(?:# HELP pageferry_[a-z_]+ [^\n]+|# TYPE pageferry_[a-z_]+ (?:counter|gauge)|pageferry_[a-z_]+(?:\{[a-z_]+="[^"\n]*"(?:,[a-z_]+="[^"\n]*")*\})? -?\d+(?:\.\d+)?)$/;

await t.test(
  'every line is of the format, every metric is declared once and before its samples',
  async (t) => {
    const text = metricsText(RUNNING, '1.2.3');
    t.ok(text.endsWith('\n'));
    const lines = text.trimEnd().split('\n');
    t.strictSame(
      lines.filter((line) => !LINE.test(line)),
      [],
    );
    const declared = lines.filter((line) => line.startsWith('# TYPE')).map((line) => line.split(' ')[2]);
    t.equal(new Set(declared).size, declared.length);
    const sampled = lines.filter((line) => !line.startsWith('#')).map((line) => line.split(/[ {]/)[0]);
    t.strictSame(new Set(sampled), new Set(declared));
    for (const line of lines.filter((each) => each.startsWith('# TYPE'))) {
      t.equal(line.endsWith(' counter'), / \w+_total /.test(line), line);
    }
  },
);

const samples: readonly string[] = [
  'pageferry_info{version="1.2.3",side="source"} 1',
  'pageferry_status{status="active"} 1',
  'pageferry_status{status="none"} 0',
  'pageferry_phase{phase="rounds"} 1',
  'pageferry_coverage_ratio 0.5',
  'pageferry_total_time_seconds 1.5',
  'pageferry_expected_downtime_seconds 0.25',
  'pageferry_predicted_downtime_seconds{part="device-state"} 0.03',
  'pageferry_ram_transferred_bytes_total 1000000',
  'pageferry_ram_transfer_bytes_per_second 1000000',
  'pageferry_ram_dirty_pages_per_second 12.5',
  'pageferry_engine_rss_anon_bytes 4096',
];

await t.test('values in base units', async (t) => {
  t.plan(samples.length);
  const lines = metricsText(RUNNING, '1.2.3').split('\n');
  for (const sample of samples) t.ok(lines.includes(sample), sample);
});

await t.test('what is not known is not there, labels are escaped', async (t) => {
  const text = metricsText(IDLE, 'a"b\\c\nd');
  t.notMatch(text, /pageferry_(?:ram|xbzrle|engine|downtime)/);
  t.ok(text.includes('version="a\\"b\\\\c\\nd"'));
});
