/**
 * An error as an engine tells its daemon of it: a class does not survive IPC, its name and its fault do. The daemon
 * makes the error again (management, engine-error.ts), so that a full file system is not taken for a lost connection.
 */

/** Private to one build, like all of IPC. */
export interface ErrorReport {
  readonly type: 'failed';
  readonly reason: string;
  /** `name` of the error; of ours that is its class. */
  readonly name: string;
  /** `fault` of an error of ours. */
  readonly fault?: unknown;
}

/** What to report of anything that was thrown. */
export function errorReport(error: unknown): ErrorReport {
  if (!(error instanceof Error)) return { type: 'failed', reason: String(error), name: '' };
  const { name, message } = error;
  const fault: unknown = 'fault' in error ? error.fault : undefined;
  return { type: 'failed', reason: message, name, ...(fault === undefined ? {} : { fault }) };
}
