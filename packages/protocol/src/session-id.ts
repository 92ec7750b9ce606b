/** A session's public id is 16 bytes on the wire, hexadecimal in the journal, and a UUID (the migration's id) in the API. */

/** The UUID of an id in hexadecimal. */
export function uuidOf(hex: string): string {
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** The bytes of a UUID. */
export function sessionIdOf(uuid: string): Uint8Array {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}
