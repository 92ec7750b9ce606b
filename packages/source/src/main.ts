#!/usr/bin/env node
/** Entry of the source daemon. */
import { join } from 'node:path';
import { commonOptions, openJournal, runDaemon } from '@pageferry/management';
import { Journal } from '@pageferry/handover';
import { system } from '@pageferry/transport';
import { sourceApp } from './app.ts';
import { SourceDaemon } from './daemon.ts';
import { VERSION } from './version.ts';

await runDaemon({
  side: 'source',
  program: 'pageferry-source',
  summary: "streams a running guest's memory to a destination daemon",
  version: VERSION,
  options: commonOptions('source'),
  start: async (values, logger) => {
    const journalPath = join(values['state-dir'], 'source.journal');
    const journal = await openJournal(() =>
      Journal.source({ path: journalPath, tryLock: (fd) => system.tryLockExclusive(fd) }),
    );
    const daemon = new SourceDaemon({
      logger,
      journal,
      journalPath,
      stateDirectory: values['state-dir'],
      imageRoot: values['image-root'],
      qmpRoot: values['qmp-root'],
      isStrict: values['strict-mappings'],
      allowsPlainTcp: values['allow-plain-tcp'],
    });
    await daemon.recover();
    return { app: (options) => sourceApp(daemon, options), shutDown: () => daemon.shutDown() };
  },
});
