// The result as QEMU's `info migrate` shows it, and ours below it.
import type { MigrationStatus } from '@pageferry/protocol';

type Row = readonly [name: string, value: string | number];

export function resultTable(status: MigrationStatus): string {
  const rows = [...timeRows(status), ...ramRows(status), ...cacheRows(status), ...ourRows(status)];
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows.map(([name, value]) => `${`${name}:`.padEnd(width)}${value}\n`).join('');
}

function timeRows(status: MigrationStatus): readonly Row[] {
  return [
    ['status', status.status],
    ['total time', milliseconds(status['total-time'])],
    ['setup', milliseconds(status['setup-time'])],
    ['downtime', milliseconds(status.downtime)],
    ['expected downtime', milliseconds(status.pageferry['predicted-downtime']?.total)],
  ];
}

function ramRows({ ram }: MigrationStatus): readonly Row[] {
  if (ram === undefined) return [];
  return [
    ['transferred ram', kbytes(ram.transferred)],
    ['remaining ram', kbytes(ram.remaining)],
    ['total ram', kbytes(ram.total)],
    ['duplicate', `${ram.duplicate} pages`],
    ['normal', `${ram.normal} pages`],
    ['normal bytes', kbytes(ram['normal-bytes'])],
    ['downtime bytes', kbytes(ram['downtime-bytes'])],
  ];
}

function cacheRows({ 'xbzrle-cache': cache }: MigrationStatus): readonly Row[] {
  if (cache === undefined) return [];
  return [
    ['xbzrle cache size', `${cache['cache-size']} bytes`],
    ['xbzrle transferred', kbytes(cache.bytes)],
    ['xbzrle pages', `${cache.pages} pages`],
    ['xbzrle cache miss', cache['cache-miss']],
    ['xbzrle overflow', cache.overflow],
  ];
}

function ourRows({ pageferry }: MigrationStatus): readonly Row[] {
  const { rounds, verified, roots, because } = pageferry;
  return [
    ['rounds', `${rounds.length} (the last one while the guest was paused)`],
    ['switched over because', because ?? 'not known'],
    ['verified', verified.join(', ')],
    ...roots.flatMap(({ block, source, destination }): readonly Row[] => [
      [`root of ${block}, source`, source ?? 'not known'],
      [`root of ${block}, destination`, destination ?? 'not known'],
    ]),
  ];
}

function milliseconds(value: number | undefined): string {
  return value === undefined ? 'not known' : `${value.toFixed(0)} milliseconds`;
}

function kbytes(bytes: number): string {
  return `${Math.round(bytes / 1024)} kbytes`;
}
