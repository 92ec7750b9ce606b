/**
 * A dump as lines: for people, or one JSON object a line. Both come from the same entries.
 *
 * The bytes are a stranger's: control characters are escaped, so that a stream cannot write to the terminal.
 */
import type { ProtocolError } from '@pageferry/protocol';
import type { Entry, RecordEntry, RecordSummary } from './entry.ts';

export interface Format {
  entry(entry: Entry): string;
  /** Why nothing was read from `offset` on. */
  fault(offset: number, error: ProtocolError): string;
}

const OFFSET_WIDTH = 10;
const TYPE_WIDTH = 16;
const INDENT = ' '.repeat(OFFSET_WIDTH + 2);

/** A line each, and a line below a pages frame for each kind or record. */
export const TEXT: Format = {
  entry: (entry) => `${[line(entry), ...below(entry)].join('\n')}\n`,
  fault: (offset, { fault, message }) =>
    `${place(offset)}  wrong here: ${escapeControls(message)} (${fault.code})\n`,
};

export const JSON_LINES: Format = {
  entry: (entry) => `${escapeControls(JSON.stringify(entry))}\n`,
  fault: (offset, { fault, message }) =>
    `${escapeControls(JSON.stringify({ offset, error: { ...fault, message } }))}\n`,
};

function line(entry: Entry): string {
  const begin = `${place(entry.offset)}  ${entry.type.padEnd(TYPE_WIDTH)}`;
  if (entry.type === 'preamble')
    return `${begin} ${fieldsOf({ kind: entry.kind, sessionId: entry.sessionId })}`;
  const { offset: _offset, type, epoch, aux, length, ...content } = entry;
  const facts = `epoch ${epoch}, ${hasRound(type) ? 'round' : 'aux'} ${aux}, length ${length}:`;
  return `${begin} ${facts} ${fieldsOf('message' in content ? content.message : withoutRecords(content))}`;
}

function below(entry: Entry): readonly string[] {
  if (entry.type !== 'pages') return [];
  return entry.records === undefined ? entry.kinds.map(summaryLine) : entry.records.map(recordLine);
}

function summaryLine({ kind, records, pages, payloadBytes }: RecordSummary): string {
  return `${INDENT}${kind}: records=${records} pages=${pages}${payloadOf(payloadBytes)}`;
}

function recordLine({ kind, first, count, payloadBytes }: RecordEntry): string {
  return `${INDENT}${kind}: first=${first} count=${count}${payloadOf(payloadBytes)}`;
}

function payloadOf(bytes: number): string {
  return bytes === 0 ? '' : ` payload=${bytes}`;
}

/** `name=value`, text in quotation marks unless it is a plain word. */
function fieldsOf(fields: object): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${valueOf(value)}`)
    .join(' ');
}

function valueOf(value: unknown): string {
  const isPlain = typeof value === 'string' && /^(<[0-9a-z ]+>|[\w.-]+)$/.test(value);
  return isPlain ? value : escapeControls(JSON.stringify(value));
}

/** They have lines of their own. */
function withoutRecords(content: object): object {
  return Object.fromEntries(
    Object.entries(content).filter(([name]) => name !== 'kinds' && name !== 'records'),
  );
}

function hasRound(type: Entry['type']): boolean {
  return type === 'pages' || type === 'stream-round-end';
}

function place(offset: number): string {
  return String(offset).padStart(OFFSET_WIDTH);
}

/** As JSON escapes them, so that what was JSON stays JSON. */
function escapeControls(text: string): string {
  return text.replaceAll(
    /\p{Cc}/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
