/** What the demo's command line is refused for, before anything is made. */
import t from 'tap';
import { parseDemoOptions } from '../src/demo/options.ts';

void t.test('options', (t) => {
  t.match(parseDemoOptions(['--streams', '16', '--downtime-limit', '0']), {
    streamCount: 16,
    downtimeLimitMs: 0,
  });
  t.equal(parseDemoOptions(['--help']), null);
  const refused: readonly (readonly [option: string, value: string, message: RegExp])[] = [
    ['--streams', '0', /^--streams is 1 to 16, not 0$/],
    ['--streams', '99', /^--streams is 1 to 16, not 99$/],
    ['--streams', 'two', /^--streams is a whole number/],
    ['--downtime-limit', '2000001', /^--downtime-limit is 0 to 2000000, not 2000001$/],
    ['--size', '1000', /^--size is a multiple of 4096/],
  ];
  for (const [option, value, message] of refused)
    t.throws(() => parseDemoOptions([option, value]), { message }, `${option} ${value}`);
  t.end();
});
