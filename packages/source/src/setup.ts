/**
 * What a migration needs from its beginning to its end, however often its connections are made anew: the guest and
 * the images, checked and held, and where the destination is. Whatever fails undoes what was done before it.
 */
import {
  guestFromIdentity,
  guestFromSpec,
  resolveMonitorPath,
  type Guest,
  type GuestSpec,
} from '@pageferry/guest';
import type { ImageSet } from '@pageferry/memory';
import {
  isLoopbackHost,
  parseTcpAddress,
  ProblemError,
  type MigrateBody,
  type SourceBlock,
  type TcpAddress,
  type Warning,
} from '@pageferry/protocol';
import { system } from '@pageferry/transport';
import type { ScanProbe } from './engine/probe.ts';
import { openSourceImages, type ImagePolicy } from './images.ts';
import type { LinkTimes } from './session.ts';
import type { Settings } from './settings.ts';

export interface SetupPolicy extends ImagePolicy {
  readonly allowsPlainTcp: boolean;
  /** Directory that every monitor's socket must be in. */
  readonly qmpRoot: string;
}

/** The facts of a migration that do not change any more. */
export interface Setup {
  readonly id: string;
  readonly body: MigrateBody;
  readonly settings: Settings;
  readonly address: TcpAddress;
  readonly times: LinkTimes;
  readonly guest: Guest;
  /** What must be the same at the destination. */
  readonly guestFacts: readonly string[];
  /** Nobody writes, as far as we know: no guest (and none that the operator pauses later), or one that is paused. */
  readonly isGuestStopped: boolean;
  readonly images: ImageSet;
  readonly warnings: readonly Warning[];
}

/**
 * `identity`: what an earlier life of the daemon journaled of the guest, so that a recycled pid is not taken for it.
 * @throws ProblemError, GuestError, MemoryError
 */
export async function setUp(
  id: string,
  body: MigrateBody,
  settings: Settings,
  policy: SetupPolicy,
  identity: unknown,
): Promise<Setup> {
  const address = checkedAddress(body.uri, policy.allowsPlainTcp);
  const guest =
    identity === undefined
      ? await guestFromSpec(await checkedSpec(body.guest, policy.qmpRoot), system)
      : guestFromIdentity(identity, system);
  try {
    const { blocks, guestFacts } = await inspect(guest, body);
    const isOperatorsGuest = guest.type === 'none' && body.capabilities['pause-before-switchover'];
    const isGuestStopped = guest.type === 'none' ? !isOperatorsGuest : (await guest.runState()) === 'paused';
    const imageGuest = { type: guest.type, pid: pidOf(guest), isOperators: isOperatorsGuest };
    const { images, warnings } = await openSourceImages(blocks, imageGuest, policy);
    const times = linkTimes(settings.parameters);
    return { id, body, settings, address, times, guest, guestFacts, isGuestStopped, images, warnings };
  } catch (error) {
    await guest.close();
    throw error;
  }
}

/** What the guest says of itself, before anything moves. @throws ProblemError guest-unavailable */
async function inspect(
  guest: Guest,
  body: MigrateBody,
): Promise<{ readonly blocks: readonly SourceBlock[]; readonly guestFacts: readonly string[] }> {
  const reasons = await guest.preflight(body.blocks ?? null);
  const blocks = body.blocks ?? (await guest.blocks()) ?? [];
  if (reasons.length === 0 && blocks.length > 0) return { blocks, guestFacts: await guest.facts() };
  const blocked = reasons.length > 0 ? reasons : ['the guest has no memory on shared files'];
  throw new ProblemError('guest-unavailable', blocked.join('; '), { 'blocked-reasons': [...blocked] });
}

/** A monitor is named by its real path, below the root. */
async function checkedSpec(spec: MigrateBody['guest'], qmpRoot: string): Promise<GuestSpec> {
  return spec.type === 'qemu' ? { type: 'qemu', qmp: await resolveMonitorPath(spec.qmp, qmpRoot) } : spec;
}

function pidOf(guest: Guest): number | undefined {
  const identity = guest.identity();
  return 'pid' in identity ? identity.pid : undefined;
}

/** A final scan that is longer than the allowed pause is better known before than found out by never converging. */
export function scanWarnings(probe: ScanProbe, { images, settings }: Setup): Warning[] {
  if (probe.bytes === 0) return [];
  const { 'downtime-limit': limitMs, 'multifd-channels': streamCount } = settings.parameters;
  const scanMs = ((probe.ms / probe.bytes) * images.allocatedBytes) / streamCount;
  if (scanMs <= limitMs) return [];
  const detail =
    `the final scan is expected to take ${scanMs.toFixed(0)} ms, downtime-limit is ${limitMs} ms: ` +
    `raise it, use more multifd-channels, or expect on-no-convergence (${settings.parameters['on-no-convergence']})`;
  return [{ name: 'scan-exceeds-downtime-limit', detail }];
}

/** The time-outs of a connection, from the parameters of that name. */
export function linkTimes(parameters: Settings['parameters']): LinkTimes {
  return {
    connectTimeoutMs: parameters['connect-timeout'],
    helloTimeoutMs: parameters['hello-timeout'],
    pingIntervalMs: parameters['ping-interval'],
    pingTimeoutMs: parameters['ping-timeout'],
  };
}

function checkedAddress(uri: string, allowsPlainTcp: boolean): TcpAddress {
  const address = parseTcpAddress(uri);
  if (address === undefined) throw new ProblemError('invalid-body', `${uri} is not an address`);
  if (!isLoopbackHost(address.host) && !allowsPlainTcp) {
    throw new ProblemError('plain-tcp-refused', `${uri} is beyond this machine and TCP is not encrypted`, {
      hint: 'Start the daemon with --allow-plain-tcp if the network is trusted.',
    });
  }
  return address;
}
