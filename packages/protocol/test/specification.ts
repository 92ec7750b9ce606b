/**
 * Reads the documents for the tests, so that they cannot drift from the code: the hex examples of docs/PROTOCOL.md (fenced
 * blocks marked ```hex name=...; # begins a comment) and the rows of tables.
 */
import { readFileSync } from 'node:fs';

const specification = readDocument('PROTOCOL.md');
export const operations = readDocument('operations.md');

/** A file of docs/, seen from dist/test, where the compiled test is. */
function readDocument(name: string): string {
  return readFileSync(new URL(`../../../../docs/${name}`, import.meta.url), 'utf8');
}

/** Every hex example by its name. */
export function readExamples(): Map<string, Uint8Array> {
  const examples = new Map<string, Uint8Array>();
  for (const [, name = '', body = ''] of specification.matchAll(/^```hex name=(\S+)\n(.*?)^```$/gms)) {
    if (examples.has(name)) {
      throw new Error(`two examples are called ${name}`);
    }
    examples.set(name, hexBytes(body));
  }
  return examples;
}

/** The cells of the table rows below a heading, without the head and its rule; backticks are taken off. */
export function readTable(heading: string, text = specification): string[][] {
  const [, section] = text.split(`\n${heading}\n`);
  if (section === undefined) {
    throw new Error(`no heading ${heading}`);
  }
  const [body = ''] = section.split(/^#/m);
  const rows = body.split('\n').filter((line) => line.startsWith('|'));
  return rows.slice(2).map((row) => row.split('|').slice(1, -1).map(cellText));
}

/** Bytes of hex digits in any grouping; the rest of a line behind # is a comment. */
export function hexBytes(hex: string): Uint8Array {
  const digits = hex.replaceAll(/#.*$/gm, '').replaceAll(/\s/g, '');
  if (!/^([0-9a-f]{2})*$/.test(digits)) {
    throw new Error(`not hex: ${digits}`);
  }
  return Uint8Array.from(Buffer.from(digits, 'hex'));
}

function cellText(cell: string): string {
  return cell.replaceAll('`', '').trim();
}
