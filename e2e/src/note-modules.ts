/** For `node --import`: every file that is loaded is named on a line of its own on standard error. */
import { register } from 'node:module';

const HOOK = `
import { writeSync } from 'node:fs';
export async function load(url, context, next) {
  writeSync(2, url + '\\n');
  return next(url, context);
}`;

register(`data:text/javascript,${encodeURIComponent(HOOK)}`);
