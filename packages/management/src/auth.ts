/**
 * The bearer token of the API: read from a file, compared in constant time.
 * Invariant: the token is in no log and no answer. What is compared are digests, so that neither the length nor the
 * first wrong byte shows in the time taken.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { ManagementError } from './errors.ts';

const TOKEN_MIN_CHARACTERS = 16;
const WORLD_BITS = 0o007;

/**
 * The token in a file, without the line end.
 * @throws ManagementError `token-file` if the file cannot be read, others may read it, or the token is too short or
 * has characters that a header cannot carry.
 */
export function readTokenFile(path: string): string {
  const refuse = (why: string, cause?: unknown) =>
    new ManagementError({ code: 'token-file', path }, `The token file ${path} ${why}`, cause);
  let text;
  try {
    if ((statSync(path).mode & WORLD_BITS) !== 0) throw refuse('may be read by anyone: chmod 0600 it');
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof ManagementError) throw error;
    throw refuse(`cannot be read: ${error instanceof Error ? error.message : String(error)}`, error);
  }
  const token = text.trim();
  if (token.length < TOKEN_MIN_CHARACTERS) {
    throw refuse(`holds a token of less than ${TOKEN_MIN_CHARACTERS} characters`);
  }
  if (!/^[\x21-\x7e]+$/.test(token)) throw refuse('holds a token with characters that a header cannot carry');
  return token;
}

/** Whether an Authorization header carries the token. */
export function isAuthorized(header: string | undefined, token: string): boolean {
  const given = /^Bearer +(?<token>\S+) *$/i.exec(header ?? '')?.groups?.['token'];
  return timingSafeEqual(digest(given ?? ''), digest(token)) && given !== undefined;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
