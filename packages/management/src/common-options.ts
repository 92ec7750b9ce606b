/**
 * The options that both daemons have. A daemon adds its own rows to the table:
 * `{ ...commonOptions('destination'), 'guest-commands': guestCommandsOption() }`.
 */
import type { Side } from '@pageferry/protocol';
import { z } from 'zod';
import { parseApiAddress } from './api-address.ts';
import { ManagementError } from './errors.ts';
import { option } from './options.ts';

const API_PORTS = { source: 7801, destination: 7802 } as const;
const absolutePath = z.string().regex(/^\//, { error: 'must be an absolute path' });
const trueOrFalse = z.boolean({ error: 'must be true or false' });
const apiAddress = z.string().superRefine((text, context) => {
  try {
    parseApiAddress(text);
  } catch (error) {
    if (!(error instanceof ManagementError)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
  }
});

/** What both daemons need. */
export function commonOptions(side: Side) {
  return {
    api: option(apiAddress.default(`tcp:127.0.0.1:${API_PORTS[side]}`), {
      form: 'text',
      unit: 'unix:PATH or tcp:HOST:PORT',
      description: 'Where the management API listens',
    }),
    'api-token-file': option(absolutePath.optional(), {
      form: 'text',
      unit: 'path',
      description: 'File with the bearer token of the API; needed beyond loopback and UNIX sockets',
    }),
    'state-dir': option(absolutePath.default(`/var/lib/pageferry/${side}`), {
      form: 'text',
      unit: 'path',
      description: 'Directory of the journal; a restarted daemon must get the same one',
    }),
    'image-root': option(absolutePath.default('/dev/shm'), {
      form: 'text',
      unit: 'path',
      description: 'Directory that every memory image must be in, links resolved',
    }),
    'qmp-root': option(absolutePath.default('/run'), {
      form: 'text',
      unit: 'path',
      description: 'Directory that the monitor (QMP socket) of every QEMU guest must be in, links resolved',
    }),
    'strict-mappings': option(trueOrFalse.default(false), {
      form: 'flag',
      unit: 'flag',
      description: 'Refuse where /proc does not show who maps an image, instead of warning',
    }),
    'allow-plain-tcp': option(trueOrFalse.default(false), {
      form: 'flag',
      unit: 'flag',
      description: 'Let pages travel beyond loopback over TCP, which is not encrypted',
    }),
    'log-level': option(
      z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
      {
        form: 'text',
        unit: 'level',
        description: 'Least level that is logged',
      },
    ),
  };
}

const commandName = z
  .string()
  .regex(/^[a-zA-Z0-9._-]{1,64}$/, { error: 'must be 1 to 64 of a-z A-Z 0-9 . _ -' });

/** Commands that start a guest at the destination: name → program and arguments. Never given through the API. */
export function guestCommandsOption() {
  return option(z.record(commandName, z.array(z.string()).min(1)).default({}), {
    form: 'json',
    unit: 'JSON map of name to array',
    description: 'Commands that start guests, as {"NAME": ["PROGRAM", "ARGUMENT", ...]}',
  });
}
