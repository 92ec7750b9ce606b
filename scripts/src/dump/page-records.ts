/** The records of a pages frame, one by one or counted by kind. */
import { RECORD_KIND, type PageRecordTable } from '@pageferry/protocol';
import type { RecordEntry, RecordKindName, RecordSummary } from './entry.ts';

const KIND_NAMES: readonly RecordKindName[] = ['zero', 'normal', 'xbzrle'];

/** Every record of the frame that was decoded last, in order. */
export function recordEntries(records: PageRecordTable): readonly RecordEntry[] {
  return Array.from({ length: records.length }, (_, index) => ({
    kind: kindName(records.kind(index)),
    first: records.firstPage(index),
    count: records.count(index),
    payloadBytes: records.payloadLength(index),
  }));
}

/** The kinds that the frame has, each with what its records add up to. */
export function summarizeRecords(records: PageRecordTable): readonly RecordSummary[] {
  return KIND_NAMES.map((kind) => summarize(records, kind)).filter((summary) => summary.records > 0);
}

function summarize(records: PageRecordTable, kind: RecordKindName): RecordSummary {
  let count = 0;
  let pages = 0;
  let payloadBytes = 0;
  for (let index = 0; index < records.length; index += 1) {
    if (records.kind(index) !== RECORD_KIND[kind]) continue;
    count += 1;
    pages += records.count(index);
    payloadBytes += records.payloadLength(index);
  }
  return { kind, records: count, pages, payloadBytes };
}

/** The table holds only kinds that its decoder knows. */
function kindName(code: number): RecordKindName {
  const name = KIND_NAMES.find((candidate) => RECORD_KIND[candidate] === code);
  if (name === undefined) throw new Error(`record kind ${code} was decoded but has no name`);
  return name;
}
