// What verification costs and what it saves: bytes that are sent again after an attempt was cut off at 90 % of the bulk
// stage, bytes of a start from an older copy, and the time of roots, digest exchange and audit in a migration with a
// guest that writes.
import { closeSync, copyFileSync, openSync, rmSync, writeSync } from 'node:fs';
import type { MigrationStatus } from '@pageferry/protocol';
import { makeImage, startGuest } from '../harness/guest.ts';
import { arm, awaitCompleted, type MigrationRequest } from '../harness/migration.ts';
import { signalIfThere } from '../harness/processes.ts';
import { PAGE_BYTES } from '../workload/initial-image.ts';
import { formatTable, formatTarget, type Target } from './figures.ts';
import type { BenchOptions } from './options.ts';
import { requestFor, warmMemory, withDaemons, type Setting } from './setting.ts';

const POLL_MS = 5;
const CUT_AT = 0.9;
const SENT_AGAIN_MAX = 0.15;
/** Every so many-th page of the older copy differs. */
const DIFFERING_STEP = 100;
const WARM_START_MAX = 0.02;
const EXCHANGE_MAX = 0.01;
const UUID = '4f1c2f52-0f0e-4a7e-9a5e-6f6f0b0f5a11';

/** Prints the figures; answers whether the targets are met. */
export async function benchVerification({ sizeBytes }: BenchOptions): Promise<boolean> {
  return withDaemons(2 * sizeBytes, async (setting) => {
    const from = setting.workspace.file('a.ram');
    await makeImage(from, { seed: 3, sizeBytes, zeroShare: 0 });
    const targets = [
      await cutBulkStage(setting, from, sizeBytes),
      await startFromOlderCopy(setting, from, sizeBytes),
      await moveAWriter(setting, from, sizeBytes),
    ];
    for (const target of targets) process.stdout.write(formatTarget(target));
    return targets.every(({ isMet }) => isMet);
  });
}

async function cutBulkStage(setting: Setting, from: string, sizeBytes: number): Promise<Target> {
  const to = setting.workspace.file('cut.ram');
  warmMemory(setting.workspace, sizeBytes);
  const request = requestFor(from, to, null, { 'reconnect-limit': 10, 'max-bandwidth': sizeBytes / 4 });
  let cutAt = 0;
  const status = await run(setting, request, ({ pageferry }) => {
    if (cutAt > 0 || pageferry.coverage < CUT_AT || pageferry.engine === undefined) return;
    cutAt = pageferry.coverage;
    signalIfThere(pageferry.engine.pid, 'SIGKILL');
  });
  // The destination counts what its last attempt received.
  const again = ((await setting.daemons.destination.api.status()).ram?.transferred ?? NaN) / sizeBytes;
  rmSync(to);
  const text =
    `cut at ${percent(cutAt)} of the bulk stage: ${percent(again)} of the image sent by the attempt after it, ` +
    `at most ${percent(SENT_AGAIN_MAX)} (digest exchange ${exchangeMs(status).toFixed(1)} ms)`;
  return { text, isMet: status.pageferry.epoch === 2 && again <= SENT_AGAIN_MAX };
}

async function startFromOlderCopy(setting: Setting, from: string, sizeBytes: number): Promise<Target> {
  const to = setting.workspace.file('copy.ram');
  copyFileSync(from, to);
  changePages(to, sizeBytes);
  const { incoming, migrate } = requestFor(from, to, null);
  const guest = { type: 'none', uuid: UUID } as const;
  const blocks = [{ id: 'pc.ram', path: to }];
  const status = await run(setting, {
    incoming: { ...incoming, blocks, guest, base: true },
    migrate: { ...migrate, guest },
  });
  rmSync(to);
  const sent = (status.ram?.transferred ?? NaN) / sizeBytes;
  const text =
    `start from a copy that differs in ${percent(1 / DIFFERING_STEP)} of its pages: ` +
    `${percent(sent)} of the image sent, at most ${percent(WARM_START_MAX)}; total ${status['total-time']?.toFixed(0)} ms`;
  return { text, isMet: sent <= WARM_START_MAX };
}

async function moveAWriter(setting: Setting, from: string, sizeBytes: number): Promise<Target> {
  const to = setting.workspace.file('moved.ram');
  warmMemory(setting.workspace, sizeBytes);
  const initial = { seed: 3, sizeBytes, zeroShare: 0 };
  const range = { first: 0, count: sizeBytes / PAGE_BYTES };
  const child = await startGuest(from, null, {
    initial,
    plan: { program: 'both', seed: 2, range, zeroShare: 0.1 },
    ratePerSecond: 2000,
    docsRatePerSecond: 2000,
  });
  const parameters = { 'destination-reread': true, 'min-rounds': 3, 'downtime-limit': 2000 };
  const status = await run(setting, requestFor(from, to, child.pid, parameters));
  const there = await setting.daemons.destination.api.status();
  const totalMs = status['total-time'] ?? NaN;
  const { 'confirm-ms': confirmMs = NaN } = status.pageferry.verification ?? {};
  const { 'audit-ms': auditMs = NaN } = there.pageferry.verification ?? {};
  const handoverMs = status.pageferry.phases.find(({ name }) => name === 'handover')?.ms ?? NaN;
  const row = (name: string, ms: number): string[] => [name, ms.toFixed(1), percent(ms / totalMs)];
  process.stdout.write(
    `verification: ${sizeBytes / 2 ** 20} MiB, a guest that writes, destination-reread, one stream, ms\n` +
      formatTable([
        ['part', 'ms', 'of total-time'],
        row('total-time', totalMs),
        row('roots exchanged', confirmMs),
        row('digest exchange', exchangeMs(status)),
        row('audit, most of it while the line is idle', auditMs),
        row('handover, with what is left of the audit', handoverMs),
      ]),
  );
  const share = (confirmMs + exchangeMs(status)) / totalMs;
  const text = `roots and digest exchange take ${percent(share)} of total-time, at most ${percent(EXCHANGE_MAX)}`;
  return { text, isMet: share <= EXCHANGE_MAX };
}

async function run(
  { daemons }: Setting,
  request: MigrationRequest,
  onStatus: (status: MigrationStatus) => void = () => undefined,
): Promise<MigrationStatus> {
  await daemons.source.api.migrate(await arm(daemons, request));
  return awaitCompleted(daemons, POLL_MS, onStatus);
}

function exchangeMs({ pageferry }: MigrationStatus): number {
  return pageferry.verification?.['exchange-ms'] ?? NaN;
}

function changePages(path: string, sizeBytes: number): void {
  const file = openSync(path, 'r+');
  const page = Buffer.alloc(PAGE_BYTES, 0xa5);
  for (let at = 0; at < sizeBytes; at += DIFFERING_STEP * PAGE_BYTES)
    writeSync(file, page, 0, PAGE_BYTES, at);
  closeSync(file);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}
