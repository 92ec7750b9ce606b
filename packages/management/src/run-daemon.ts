/**
 * The life of a daemon's process, the same for both sides: configuration, log, state directory, API, signals.
 *
 * Exit codes: 0 after a clean end, 1 for a failure at the start, 2 for a wrong configuration.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import type { Side } from '@pageferry/protocol';
import { pino, type Logger } from 'pino';
import type { z } from 'zod';
import { allowedHosts, parseApiAddress } from './api-address.ts';
import type { AppOptions } from './app.ts';
import { readTokenFile } from './auth.ts';
import type { commonOptions } from './common-options.ts';
import { loadConfig } from './config.ts';
import { ManagementError, type ManagementFault } from './errors.ts';
import type { App } from './implement.ts';
import { listenApi } from './listen.ts';
import { checkRoots } from './root-directories.ts';
import { onceSignals } from './shutdown.ts';

/** What a daemon gives to be run. */
export interface RunningDaemon {
  /** Its application, made with the options given; not listening yet. */
  readonly app: (options: Pick<AppOptions, 'logger' | 'version' | 'isHostAllowed' | 'token'>) => App;
  /** Ends it in good order, before the API closes. */
  readonly shutDown: () => Promise<void>;
}

type Common = ReturnType<typeof commonOptions>;

export interface DaemonProgram<Shape extends z.ZodRawShape & Common> {
  readonly side: Side;
  /** Name and one line, for --help. */
  readonly program: string;
  readonly summary: string;
  readonly version: string;
  readonly options: Shape;
  /** Makes the daemon and finishes what an earlier life left; the state directory exists. */
  readonly start: (
    values: z.output<z.ZodObject<Shape>> & z.output<z.ZodObject<Common>>,
    logger: Logger,
  ) => Promise<RunningDaemon>;
}

/** What an option's value is to blame for. */
const wrongOptions: ReadonlySet<ManagementFault['code']> = new Set([
  'configuration',
  'token-file',
  'address',
]);

/** Runs a daemon until a signal ends it. */
export async function runDaemon<Shape extends z.ZodRawShape & Common>(
  program: DaemonProgram<Shape>,
): Promise<void> {
  try {
    const config = loadConfig({
      ...program,
      argv: process.argv.slice(2),
      env: process.env,
      readFile: (path) => readFileSync(path, 'utf8'),
    });
    if (config.kind === 'print') process.stdout.write(config.text);
    else {
      checkRoots(config);
      // The table has the common rows, whose types a generic shape hides.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      await run(program, config.values as Parameters<typeof program.start>[0]);
    }
  } catch (error) {
    const isConfiguration = error instanceof ManagementError && wrongOptions.has(error.fault.code);
    process.stderr.write(`${program.program}: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(isConfiguration ? 2 : 1);
  }
}

async function run<Shape extends z.ZodRawShape & Common>(
  program: DaemonProgram<Shape>,
  values: Parameters<DaemonProgram<Shape>['start']>[0],
): Promise<void> {
  const logger = pino({ level: values['log-level'], base: { side: program.side, pid: process.pid } });
  const address = parseApiAddress(values.api);
  const tokenFile = values['api-token-file'];
  const token = tokenFile === undefined ? null : readTokenFile(tokenFile);
  mkdirSync(values['state-dir'], { recursive: true, mode: 0o700 });
  const daemon = await program.start(values, logger);
  const app = daemon.app({ logger, version: program.version, isHostAllowed: allowedHosts(address), token });
  const where = await listenApi(app, address, token);
  logger.info({ api: where }, 'listening');
  onceSignals((signal) => {
    logger.info({ signal }, 'ending');
    void (async () => {
      await daemon.shutDown();
      await app.close();
      process.exit(0);
    })();
  });
}
