// What is said of processes whose mappings cannot be read: which they are, and what lets a daemon see them.

/** More than this would fill the line, and those that are named are enough to look after. */
const NAMED_MAX = 8;

/** In words: one of these processes may map the image at `path`. `pids` is not empty. */
export function describeUnreadable(pids: readonly number[], path: string): string {
  const named = pids.slice(0, NAMED_MAX).join(', ');
  const left = pids.length - NAMED_MAX;
  const more = left > 0 ? ` and ${left} more` : '';
  return pids.length === 1
    ? `the mappings of process ${named} cannot be read: it may map ${path}`
    : `the mappings of processes ${named}${more} cannot be read: one of them may map ${path}`;
}

/** What to do where that is an error. Root reads them by a capability, which it may lack in a container. */
export function unreadableHint({ isRoot = process.geteuid?.() === 0 } = {}): string {
  return isRoot
    ? 'The daemon is root, and lacks what reads the mappings of every process: give it CAP_SYS_PTRACE, or run it without --strict-mappings.'
    : 'Run the daemon as a user that may read /proc/PID/maps, or without --strict-mappings.';
}
