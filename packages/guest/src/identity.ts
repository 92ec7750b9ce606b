// Identities as they come back from a journal: unknown JSON, checked before anything is signalled.
import { GuestError } from './errors.ts';
import type { GuestIdentity, IncomingGuestIdentity, ProcessIdentity } from './guest.ts';

/** Throws `identity-invalid`. Accepts the identity of a destination's guest too. */
export function parseGuestIdentity(value: unknown): GuestIdentity {
  const fields = parseFields(value);
  const type = parseType(fields);
  if (type === 'none') return { type };
  if (type === 'qemu') return { type, qmp: parseText(fields, 'qmp'), ...parseProcess(fields) };
  return { type, ...parseProcess(fields) };
}

/** Throws `identity-invalid`. */
export function parseIncomingGuestIdentity(value: unknown): IncomingGuestIdentity {
  const fields = parseFields(value);
  const type = parseType(fields);
  if (type === 'none') return { type };
  if (type === 'qemu') {
    const isOurs = fields.get('isOurs');
    if (typeof isOurs !== 'boolean') throw invalid('isOurs is neither true nor false');
    return { type, qmp: parseText(fields, 'qmp'), isOurs, ...parseProcess(fields) };
  }
  const recordPath = parseText(fields, 'recordPath');
  const logPath = parseText(fields, 'logPath');
  return { type, recordPath, logPath, ...parseProcess(fields) };
}

/** Throws `identity-invalid`. */
export function parseLaunched(value: unknown): ProcessIdentity {
  return parseProcess(parseFields(value));
}

function parseFields(value: unknown): ReadonlyMap<string, unknown> {
  if (typeof value !== 'object' || value === null) throw invalid('it is not an object');
  return new Map<string, unknown>(Object.entries(value));
}

function parseType(fields: ReadonlyMap<string, unknown>): GuestIdentity['type'] {
  const type = fields.get('type');
  if (type === 'none' || type === 'process' || type === 'qemu') return type;
  throw invalid('its type is none of none, process and qemu');
}

/** Pid 0 and negative pids would signal whole groups. */
function parseProcess(fields: ReadonlyMap<string, unknown>): ProcessIdentity {
  const pid = parseCount(fields, 'pid');
  if (pid === 0) throw invalid('pid is 0');
  return { pid, startTime: parseCount(fields, 'startTime'), bootId: parseText(fields, 'bootId') };
}

function parseCount(fields: ReadonlyMap<string, unknown>, name: string): number {
  const value = fields.get(name);
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw invalid(`${name} is not a whole number`);
}

function parseText(fields: ReadonlyMap<string, unknown>, name: string): string {
  const value = fields.get(name);
  if (typeof value === 'string' && value !== '') return value;
  throw invalid(`${name} is not a text`);
}

function invalid(reason: string): GuestError {
  return new GuestError({ code: 'identity-invalid', reason });
}
