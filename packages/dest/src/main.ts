#!/usr/bin/env node
/** Entry of the destination daemon. */
import { join } from 'node:path';
import { Journal } from '@pageferry/handover';
import { commonOptions, guestCommandsOption, openJournal, runDaemon } from '@pageferry/management';
import { system } from '@pageferry/transport';
import { destinationApp } from './app.ts';
import { DestinationDaemon } from './daemon.ts';
import { VERSION } from './version.ts';

await runDaemon({
  side: 'destination',
  program: 'pageferry-dest',
  summary: 'receives the memory of a running guest and starts the guest',
  version: VERSION,
  options: { ...commonOptions('destination'), 'guest-commands': guestCommandsOption() },
  start: async (values, logger) => {
    const path = join(values['state-dir'], 'destination.journal');
    const journal = await openJournal(() =>
      Journal.destination({ path, tryLock: (fd) => system.tryLockExclusive(fd) }),
    );
    const daemon = new DestinationDaemon({
      logger,
      journal,
      stateDirectory: values['state-dir'],
      qmpRoot: values['qmp-root'],
      policy: { imageRoot: values['image-root'], isStrict: values['strict-mappings'] },
      allowsPlainTcp: values['allow-plain-tcp'],
      guestCommands: values['guest-commands'],
    });
    await daemon.recover();
    return { app: (options) => destinationApp(daemon, options), shutDown: () => daemon.shutDown() };
  },
});
