// Identities as they come back from a journal: unknown JSON, checked before anything is signalled.
import { GuestError } from './errors.ts';
import type { GuestIdentity, IncomingGuestIdentity, ProcessIdentity } from './guest.ts';

/** Throws `identity-invalid`. Accepts the identity of a destination's guest too. */
export function parseGuestIdentity(value: unknown): GuestIdentity {
  const fields = parseFields(value);
  if (fields.get('type') === 'none') return { type: 'none' };
  return { type: 'process', ...parseProcess(fields) };
}

/** Throws `identity-invalid`. */
export function parseIncomingGuestIdentity(value: unknown): IncomingGuestIdentity {
  const fields = parseFields(value);
  if (fields.get('type') === 'none') return { type: 'none' };
  const recordPath = parseText(fields, 'recordPath');
  const logPath = parseText(fields, 'logPath');
  return { type: 'process', recordPath, logPath, ...parseProcess(fields) };
}

function parseFields(value: unknown): ReadonlyMap<string, unknown> {
  if (typeof value !== 'object' || value === null) throw invalid('it is not an object');
  const fields = new Map<string, unknown>(Object.entries(value));
  const type = fields.get('type');
  if (type !== 'none' && type !== 'process') throw invalid('its type is neither none nor process');
  return fields;
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
