// The image and the guest of a run, as processes: make-image, and guest-workload with the options the oracle needs.
import type { InitialImage } from '../workload/initial-image.ts';
import { lanesOf } from '../workload/lane.ts';
import type { WorkloadPlan } from '../workload/lane.ts';
import type { Replay } from '../workload/replay.ts';
import { Child, programPath } from './child.ts';

export const WORKLOAD = programPath('scripts/dist/src/guest-workload.js');
const MAKE_IMAGE = programPath('scripts/dist/src/make-image.js');

/** Everything that decides what an image holds at any time. */
export interface GuestPlan {
  readonly initial: InitialImage;
  readonly plan: WorkloadPlan;
  /** Operations a second; 0 is as fast as possible. */
  readonly ratePerSecond: number;
  readonly docsRatePerSecond: number;
}

/** Makes the image in a process of its own. */
export async function makeImage(path: string, initial: InitialImage): Promise<void> {
  const { seed, sizeBytes, zeroShare } = initial;
  const args = ['--image', path, '--size', sizeBytes, '--seed', seed, '--zero-share', zeroShare];
  const child = await Child.start(MAKE_IMAGE, args.map(String));
  await child.succeed();
}

/** Arguments of guest-workload, after its program. */
export function workloadArguments(
  image: string,
  log: string | null,
  guest: GuestPlan,
  instance: 'source' | 'destination',
): readonly string[] {
  const { plan, initial } = guest;
  const flags = {
    image,
    ...(log === null ? {} : { log }),
    instance,
    'start-at': instance === 'source' ? 'fresh' : 'continue',
    program: plan.program,
    seed: plan.seed,
    'zero-share': plan.zeroShare,
    'first-page': plan.range.first,
    pages: plan.range.count,
    rate: guest.ratePerSecond,
    'docs-rate': guest.docsRatePerSecond,
    'initial-seed': initial.seed,
    'initial-zero-share': initial.zeroShare,
  };
  return Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
}

/** Starts the guest at the source; resolves when it writes. The workspace that holds the image ends it. */
export async function startGuest(image: string, log: string | null, guest: GuestPlan): Promise<Child> {
  const child = await Child.start(WORKLOAD, workloadArguments(image, log, guest, 'source'), true);
  await child.line('the word running', (line) => (line === 'running' ? true : undefined));
  return child;
}

/** What the oracle compares an image with after given operations. */
export function replayOf({ plan, initial }: GuestPlan, lastOperations: ReadonlyMap<string, number>): Replay {
  return { initial, lanes: lanesOf(plan), lastOperations };
}
