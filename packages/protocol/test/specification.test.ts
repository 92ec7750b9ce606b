import t from 'tap';
import { FRAME_TYPE, decodeFrameHeader, FRAME_HEADER_BYTES } from '../src/frame.ts';
import * as limits from '../src/limits.ts';
import { RECORD_KIND } from '../src/page-records.ts';
import { parameterRows } from '../src/parameters.ts';
import { phaseStatus } from '../src/phase.ts';
import { warningName } from '../src/status.ts';
import { faultOf } from './faults.ts';
import { operations, readTable } from './specification.ts';

/** Every type, without a limit of the connection's own. */
const everything = Object.fromEntries(Object.values(FRAME_TYPE).map((type) => [type, Infinity]));

void t.test('the table of limits is limits.ts', (t) => {
  t.plan(1);
  const rows = readTable('## Limits').map(([name = '', value = '']) => [name, Number(value)] as const);
  t.same(Object.fromEntries(rows), { ...limits });
});

void t.test('the table of frame types has the codes and the bounds', (t) => {
  const rows = readTable('### Frame types');
  t.plan(1 + rows.length * 3);
  t.same(
    rows.map(([code]) => Number(code)),
    Object.values(FRAME_TYPE),
  );
  for (const [code = '', name = '', , payload = ''] of rows) {
    const type = Number(code);
    const [least = 0, most = least] = payload.split(' to ').map(Number);
    t.equal(camelCase(name) in FRAME_TYPE, true, name);
    const reach = (lengthBytes: number) =>
      faultOf(() => decodeFrameHeader(header(type, lengthBytes), everything));
    t.same([reach(least), reach(most)], ['none', 'none'], `${name}: within its bounds`);
    t.same([reach(least - 1), reach(most + 1)], ['payload-too-short', 'payload-too-long'], `${name}: beyond`);
  }
});

void t.test('the table of record kinds has the codes', (t) => {
  t.plan(1);
  const rows = readTable('#### Record kinds').map(([code = '', name = '']) => [name, Number(code)] as const);
  t.same(Object.fromEntries(rows), { ...RECORD_KIND });
});

void t.test('the table of phases is the one of the status', (t) => {
  t.plan(1);
  const rows = readTable('## Status words and phases').map(
    ([phase = '', word = '']) => [phase, word] as const,
  );
  t.same(Object.fromEntries(rows), { ...phaseStatus });
});

void t.test('the table of parameters is the one of the code', (t) => {
  t.plan(1);
  t.same(
    readTable('### Parameters', operations),
    parameterRows().map(({ name, unit, default: standard, range, sides, live, description }) => [
      name,
      unit,
      standard,
      range,
      sides.join(', '),
      live ? 'yes' : '',
      description,
    ]),
  );
});

void t.test('the table of warnings has all of them', (t) => {
  t.plan(1);
  t.same(
    readTable('### Warnings', operations).map(([name]) => name),
    warningName.options,
  );
});

function header(type: number, lengthBytes: number): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, lengthBytes, true);
  view.setUint8(4, type);
  view.setUint32(8, 1, true);
  return bytes;
}

function camelCase(name: string): string {
  return name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}
