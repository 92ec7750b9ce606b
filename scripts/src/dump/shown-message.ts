/**
 * What a dump shows of a control message. Dumps are pasted into reports, so nothing in them may open a session.
 *
 * Invariant: a binary field is shown only if it is named here as public; a field that is added later shows its length
 * until somebody decides. The one secret that is text is the token.
 */
import type { ControlMessage } from '@pageferry/protocol';

const PUBLIC_BINARY: ReadonlySet<string> = new Set(['sessionId', 'roots', 'sha256']);
const SECRET_TEXT: ReadonlySet<string> = new Set(['token']);

/** The message's fields, fit for JSON: binary as hexadecimal digits, secrets as their length. */
export function shownMessage(message: ControlMessage): Readonly<Record<string, unknown>> {
  return shownFields(message);
}

/** Stands for bytes that are not shown. */
export function lengthOnly(bytes: Uint8Array): string {
  return `<${bytes.length} bytes>`;
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function shownFields(fields: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, shown(name, value)]));
}

/** `name` is that of the field, also for the items of an array. */
function shown(name: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return PUBLIC_BINARY.has(name) ? hex(value) : lengthOnly(value);
  if (Array.isArray(value)) return value.map((item: unknown) => shown(name, item));
  if (typeof value === 'object' && value !== null) return shownFields(value);
  if (typeof value === 'string' && SECRET_TEXT.has(name)) return `<${value.length} characters>`;
  return value;
}
