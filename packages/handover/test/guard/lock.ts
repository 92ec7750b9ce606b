// flock without a native binding: flock(1) locks the open file that it inherits, and the lock outlives it with that file.
import { spawnSync } from 'node:child_process';
import type { TryLock } from '../../src/journal.ts';

export const tryLock: TryLock = (file) => {
  const { status, error } = spawnSync('flock', ['--nonblock', '3'], {
    stdio: ['ignore', 'ignore', 'inherit', file],
  });
  if (error) throw error;
  return status === 0;
};
