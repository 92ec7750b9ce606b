/**
 * SIGTERM and SIGINT: the first asks for a clean end, the second ends the process at once.
 * Invariant: the handler is called once only; whoever is impatient loses what a clean end would have kept, but
 * the guard still gives a paused guest back.
 */
const SIGNAL_NUMBERS = { SIGINT: 2, SIGTERM: 15 } as const;
export type EndSignal = keyof typeof SIGNAL_NUMBERS;

/** What is used of `process`. */
export type SignalTarget = {
  on(signal: EndSignal, listener: () => void): unknown;
  off(signal: EndSignal, listener: () => void): unknown;
  exit(code: number): unknown;
};

/** Calls `handler` at the first signal, exits with 128 + signal at the second. Returns what takes it back. */
export function onceSignals(
  handler: (signal: EndSignal) => void,
  target: SignalTarget = process,
): () => void {
  let isEnding = false;
  const listeners = (['SIGINT', 'SIGTERM'] as const).map((signal) => ({
    signal,
    listener: () => {
      if (isEnding) {
        target.exit(128 + SIGNAL_NUMBERS[signal]);
        return;
      }
      isEnding = true;
      handler(signal);
    },
  }));
  for (const { signal, listener } of listeners) target.on(signal, listener);
  return () => {
    for (const { signal, listener } of listeners) target.off(signal, listener);
  };
}
