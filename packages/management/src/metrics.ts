/**
 * GET /metrics: the status as Prometheus text exposition (format 0.0.4).
 * Invariant: base units (bytes, seconds, ratios), `_total` for what only grows within a migration, and labels from
 * fixed lists only, never a page, a path or an error's text. Counters start again with the next migration, which
 * Prometheus takes as a counter's reset.
 */
import { type MigrationStatus, phaseStatus, statusWord } from '@pageferry/protocol';

type MetricType = 'counter' | 'gauge';
type Labels = Readonly<Record<string, string>>;
type Sample = { readonly labels: Labels; readonly value: number };
type Metric = {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  readonly samples: readonly Sample[];
};

const BYTES_PER_MEGABIT = 125_000;

/** The whole exposition, every line ended by a newline. What the status does not have is left out. */
export function metricsText(status: MigrationStatus, version: string): string {
  return metricsOf(status, version)
    .filter(({ samples }) => samples.length > 0)
    .map(formatMetric)
    .join('');
}

function metricsOf(status: MigrationStatus, version: string): readonly Metric[] {
  const {
    pageferry,
    ram,
    'xbzrle-cache': cache,
    'predicted-downtime': predicted,
  } = {
    ...status,
    'predicted-downtime': status.pageferry['predicted-downtime'],
  };
  return [
    {
      name: 'info',
      type: 'gauge',
      help: 'Version and side',
      samples: [{ labels: { version, side: pageferry.side }, value: 1 }],
    },
    states('status', 'QMP status word of the current or last migration', statusWord.options, status.status),
    states('phase', 'Phase of the current or last migration', Object.keys(phaseStatus), pageferry.phase),
    gauge('round', 'Round, 0 is the bulk stage', pageferry.round),
    gauge('coverage_ratio', 'Share of memory that the destination has had at least once', pageferry.coverage),
    gauge(
      'total_time_seconds',
      'Time since the migration began, or that it took',
      seconds(status['total-time']),
    ),
    gauge('setup_time_seconds', 'Time until the first page', seconds(status['setup-time'])),
    gauge('downtime_seconds', 'Guest-visible pause of a completed migration', seconds(status.downtime)),
    gauge('expected_downtime_seconds', 'Pause to be expected now', seconds(status['expected-downtime'])),
    parts('predicted_downtime_seconds', 'Predicted pause by part', predicted ?? {}),
    counter('ram_transferred_bytes_total', 'Bytes sent or received', ram?.transferred),
    gauge('ram_remaining_bytes', 'Memory not yet the same at the destination', ram?.remaining),
    gauge('ram_size_bytes', 'Guest memory', ram?.total),
    counter('ram_duplicate_pages_total', 'Zero pages', ram?.duplicate),
    counter('ram_normal_pages_total', 'Pages sent whole', ram?.normal),
    counter('ram_precopy_bytes_total', 'Bytes before the pause', ram?.['precopy-bytes']),
    counter('ram_downtime_bytes_total', 'Bytes during the pause', ram?.['downtime-bytes']),
    counter('ram_dirty_syncs_total', 'Rounds finished', ram?.['dirty-sync-count']),
    gauge('ram_dirty_pages_per_second', 'Pages dirtied in the last round', ram?.['dirty-pages-rate']),
    gauge('ram_transfer_bytes_per_second', 'Throughput', ram && ram.mbps * BYTES_PER_MEGABIT),
    gauge('ram_page_size_bytes', 'Page size', ram?.['page-size']),
    gauge('xbzrle_cache_size_bytes', 'Delta cache', cache?.['cache-size']),
    counter('xbzrle_bytes_total', 'Bytes of deltas', cache?.bytes),
    counter('xbzrle_pages_total', 'Pages sent as deltas', cache?.pages),
    counter('xbzrle_cache_misses_total', 'Pages not found in the cache', cache?.['cache-miss']),
    counter('xbzrle_overflows_total', 'Deltas longer than their page', cache?.overflow),
    gauge('engine_rss_anon_bytes', "The engine's own memory", pageferry.engine?.['rss-anon']),
  ];
}

function gauge(name: string, help: string, value: number | undefined): Metric {
  return { name, type: 'gauge', help, samples: value === undefined ? [] : [{ labels: {}, value }] };
}

function counter(name: string, help: string, value: number | undefined): Metric {
  return { ...gauge(name, help, value), type: 'counter' };
}

function states(name: string, help: string, words: readonly string[], current: string): Metric {
  const samples = words.map((word) => ({ labels: { [name]: word }, value: word === current ? 1 : 0 }));
  return { name, type: 'gauge', help, samples };
}

function parts(name: string, help: string, byPart: Readonly<Record<string, number>>): Metric {
  const samples = Object.entries(byPart).map(([part, ms]) => ({ labels: { part }, value: ms / 1000 }));
  return { name, type: 'gauge', help, samples };
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000;
}

function formatMetric({ name, type, help, samples }: Metric): string {
  const full = `pageferry_${name}`;
  const lines = samples.map(({ labels, value }) => `${full}${formatLabels(labels)} ${value}\n`);
  return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${lines.join('')}`;
}

function formatLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
