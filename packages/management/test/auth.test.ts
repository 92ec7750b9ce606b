/**
 * The token's file and the Authorization header.
 */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isAuthorized, readTokenFile } from '../src/index.ts';

const TOKEN = 'a-token-of-sufficient-length';

const headers: readonly (readonly [header: string | undefined, isRight: boolean])[] = [
  [`Bearer ${TOKEN}`, true],
  [`bearer   ${TOKEN} `, true],
  [`Bearer ${TOKEN.slice(1)}`, false],
  [`Bearer ${TOKEN}${TOKEN}`, false],
  [`Basic ${TOKEN}`, false],
  [TOKEN, false],
  ['Bearer', false],
  ['', false],
  [undefined, false],
];

await t.test('headers', async (t) => {
  t.plan(headers.length + 1);
  for (const [header, isRight] of headers) t.equal(isAuthorized(header, TOKEN), isRight, String(header));
  t.equal(isAuthorized('Bearer', ''), false, 'no token given is never right');
});

const files: readonly (readonly [content: string, mode: number, expected: RegExp | string])[] = [
  [`${TOKEN}\n`, 0o600, TOKEN],
  [TOKEN, 0o640, TOKEN],
  [TOKEN, 0o644, /may be read by anyone/],
  ['short\n', 0o600, /less than 16 characters/],
  ['\n', 0o600, /less than 16 characters/],
  ['a token with spaces in it', 0o600, /a header cannot carry/],
];

await t.test('files', async (t) => {
  t.plan(files.length + 1);
  const directory = t.testdir();
  for (const [index, [content, mode, expected]] of files.entries()) {
    const path = join(directory, `token-${index}`);
    writeFileSync(path, content);
    chmodSync(path, mode);
    if (typeof expected === 'string') t.equal(readTokenFile(path), expected);
    else t.throws(() => readTokenFile(path), { message: expected, fault: { code: 'token-file', path } });
  }
  t.throws(() => readTokenFile(join(directory, 'none')), {
    message: /cannot be read: ENOENT: no such file or directory/,
  });
});
