/**
 * Whether the directories that everything must be in are there: with a wrong one a daemon would start and refuse every
 * request. The default of --qmp-root is not looked at: who has no QEMU needs none.
 */
import { statSync } from 'node:fs';
import type { Origin } from './config.ts';
import { ManagementError } from './errors.ts';
import { variableName } from './options.ts';

export interface RootsConfig {
  readonly values: object;
  readonly origins: Readonly<Record<string, Origin>>;
}

/** @throws ManagementError `configuration` */
export function checkRoots({ values, origins }: RootsConfig): void {
  for (const option of ['image-root', 'qmp-root']) {
    const origin = origins[option] ?? 'default';
    if (option === 'qmp-root' && origin === 'default') continue;
    const path: unknown = Reflect.get(values, option);
    const wrong = typeof path === 'string' ? whatIsWrong(path) : undefined;
    if (wrong === undefined) continue;
    throw new ManagementError(
      { code: 'configuration', option, origin },
      `${nameAt(option, origin)}: ${String(path)} ${wrong}`,
    );
  }
}

function whatIsWrong(path: string): string | undefined {
  try {
    return statSync(path).isDirectory() ? undefined : 'is not a directory';
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const isMissing = 'code' in error && error.code === 'ENOENT';
    return isMissing ? 'does not exist' : `cannot be used: ${error.message}`;
  }
}

function nameAt(option: string, origin: Origin): string {
  switch (origin) {
    case 'environment':
      return variableName(option);
    case 'file':
      return `${option} in the configuration file`;
    case 'flag':
    case 'default':
      return `--${option}`;
  }
}
