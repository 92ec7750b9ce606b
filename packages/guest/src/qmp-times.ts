// How long a QEMU may take to answer. A monitor that hangs must never hang a daemon, so everything that is asked of one
// has its limit here; tests pass shorter ones.

/** Milliseconds. */
export interface QmpTimes {
  /** To the greeting and the answer to qmp_capabilities: a monitor serves one client, the next one waits unanswered. */
  readonly greetingMs: number;
  /** Commands that only ask or set something. */
  readonly commandMs: number;
  /** `stop` drains the disks and `cont` takes them again: as slow as the storage. */
  readonly runStateMs: number;
  /** Saving or loading without a byte of progress, and from the last byte to QEMU's word that it is done. */
  readonly deviceStateMs: number;
  /** From starting a QEMU to its monitor: `prealloc` touches the whole memory before. */
  readonly launchMs: number;
  /** From `quit` to the signal, and from the signal to the end. */
  readonly endMs: number;
}

export const QMP_TIMES: QmpTimes = {
  greetingMs: 5000,
  commandMs: 10_000,
  runStateMs: 30_000,
  deviceStateMs: 30_000,
  launchMs: 120_000,
  endMs: 5000,
};
