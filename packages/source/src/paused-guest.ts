/** What is done with the paused guest at the source: its device state, the final round, and what is left of it at the end. */
import { createHash } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { DeviceState, Guest } from '@pageferry/guest';
import { DEVICE_STATE_MAX_BYTES, type Proof, type SourceGuest, type Warning } from '@pageferry/protocol';
import type { Logger } from 'pino';
import type { HandoverFacts } from './ownership.ts';
import type { Rounds, RoundsSetup } from './rounds.ts';

/** Null where the guest has none. */
export async function saveDeviceState(
  guest: Guest,
): Promise<{ readonly state: DeviceState | null; readonly ms: number }> {
  const startMs = performance.now();
  const state = await guest.saveDeviceState(DEVICE_STATE_MAX_BYTES);
  return { state, ms: performance.now() - startMs };
}

/** What is left of the memory, while the device state travels on the control connection. */
export async function finalRound(
  rounds: Rounds,
  facts: RoundsSetup,
  state: DeviceState | null,
): Promise<{ readonly offered: HandoverFacts; readonly proof: Proof | undefined }> {
  const sending = state === null ? undefined : facts.link.sendDeviceState(state.bytes, facts.epoch);
  const { roots, proof } = await rounds.final(facts);
  await sending;
  const deviceState = state === null ? undefined : describe(state);
  const sourceRescanned = proof === 'source-rescanned';
  return { offered: { round: rounds.current, roots, sourceRescanned, deviceState }, proof };
}

function describe({ bytes }: DeviceState): HandoverFacts['deviceState'] {
  return { sizeBytes: bytes.length, sha256: Uint8Array.from(createHash('sha256').update(bytes).digest()) };
}

/** The guest runs at the destination: what is left of it here is not needed, and no failure of the migration any more. */
export async function leaveGuest(guest: Guest, spec: SourceGuest, logger: Logger): Promise<Warning[]> {
  try {
    await guest.leave(spec.type === 'qemu' ? spec['on-complete'] : 'leave');
    return [];
  } catch (error) {
    logger.warn({ err: error }, "the source's guest could not be ended; it stays paused");
    return [{ name: 'guest-not-ended', detail: error instanceof Error ? error.message : String(error) }];
  }
}
