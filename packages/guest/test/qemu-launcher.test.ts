// Starting a QEMU by a command, with real processes: a program that opens a monitor, or ends, or opens none.
import t from 'tap';
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as wait } from 'node:timers/promises';
import type { ProcessIdentity } from '../src/guest.ts';
import { endLaunched } from '../src/launched-command.ts';
import { Monitors } from '../src/monitors.ts';
import { hostProcesses } from '../src/process-state.ts';
import { launchQemu, launchReasons, type LaunchOptions } from '../src/qemu-launcher.ts';
import { QemuProcess, type QemuContext } from '../src/qemu-process.ts';
import { QMP_TIMES } from '../src/qmp-times.ts';
import { SaveRecords } from '../src/save-record.ts';
import { socketFolder, type Teardown } from './scripted-monitor.ts';

/** Says its pid in a file (the kernel's word is not to be had without a system call), and opens a monitor. */
const PROGRAM = `#!/usr/bin/env node
const { createServer } = require('node:net');
const { rmSync, writeFileSync } = require('node:fs');
const [, , qmp, pidFile] = process.argv;
console.log('starting');
rmSync(qmp, { force: true });
writeFileSync(pidFile, String(process.pid));
createServer((socket) => {
  socket.on('error', () => undefined);
  socket.write(JSON.stringify({ QMP: { version: { qemu: { major: 7, minor: 2, micro: 0 } } } }) + '\\n');
  socket.on('data', (text) => {
    const { execute, id } = JSON.parse(text);
    socket.write(JSON.stringify({ return: {}, id }) + '\\n', () => execute === 'quit' && process.exit(0));
  });
}).listen(qmp);
`;

interface Bench {
  readonly options: LaunchOptions;
  readonly context: QemuContext;
  readonly pidFile: string;
}

function setUp(t: Teardown, launchMs = 30_000, greetingMs = QMP_TIMES.greetingMs): Bench {
  const folder = socketFolder(t);
  const [program, qmp, pidFile] = [join(folder, 'program'), join(folder, 'qmp'), join(folder, 'pid')];
  writeFileSync(program, PROGRAM, { mode: 0o755 });
  const host = { peerPid: () => Number(readFileSync(pidFile, 'utf8')) };
  const monitors = new Monitors(host, { ...QMP_TIMES, launchMs, greetingMs });
  const clock = {
    now: () => performance.now(),
    wait: async (milliseconds: number) => {
      await wait(milliseconds);
    },
  };
  const command = [process.execPath, program, qmp, pidFile];
  const saves = new SaveRecords();
  const context = { host, monitors, saves, processes: hostProcesses, clock };
  return { options: { command, directory: join(folder, 'state'), qmp }, context, pidFile };
}

void t.test('waits for the monitor, whatever lies at its path, and knows the process', async (t) => {
  t.plan(6);
  const { options, context, pidFile } = setUp(t);
  writeFileSync(options.qmp, 'a stale socket');
  t.strictSame(await launchReasons(options), []);
  const told: ProcessIdentity[] = [];
  const { identity, lastOutput } = await launchQemu(options, context, (command) => told.push(command));
  t.strictSame(told, [identity], 'the command, here the QEMU itself');
  t.equal(identity.pid, Number(readFileSync(pidFile, 'utf8')));
  t.equal(await lastOutput(), 'starting');
  t.match(await launchReasons(options), [/another process listens at the monitor .* already/]);
  const qemu = new QemuProcess(identity, options.qmp, context);
  await qemu.end();
  t.ok(qemu.hasEnded());
});

void t.test('a command may start the QEMU as a child, or leave it in the background', async (t) => {
  t.plan(4);
  for (const script of ['"$@"; exit 0', '"$@" & exit 0']) {
    const { options, context } = setUp(t);
    const command = ['/bin/sh', '-c', script, 'sh', ...options.command];
    const { identity } = await launchQemu({ ...options, command }, context);
    t.strictSame(hostProcesses.commandLine(identity.pid)?.slice(1), options.command.slice(1));
    const qemu = new QemuProcess(identity, options.qmp, context);
    await qemu.end();
    t.ok(qemu.hasEnded());
  }
});

void t.test('a command that ends says why', async (t) => {
  const table = [
    [
      ['/bin/sh', '-c', 'echo no such machine >&2; exit 1'],
      /^the guest's QEMU could not be started: it ended with code 1 before its monitor was there; its last output: no such machine$/,
    ],
    [['/bin/sh', '-c', 'kill -9 $$'], /ended by SIGKILL/],
    [['/nonexistent/qemu'], /not an executable file/],
  ] as const;
  t.plan(table.length);
  for (const [command, message] of table) {
    const { options, context } = setUp(t);
    await t.rejects(launchQemu({ ...options, command }, context), {
      name: 'GuestError',
      fault: { code: 'launch-failed' },
      message,
    });
  }
});

void t.test('a command that opens no monitor is ended', async (t) => {
  t.plan(3);
  const { options, context, pidFile } = setUp(t, 200);
  const command = ['/bin/sh', '-c', `echo $$ > ${pidFile}; exec sleep 1000`];
  await t.rejects(launchQemu({ ...options, command }, context), {
    name: 'GuestError',
    message: /was not there after 200 ms; does the command have -qmp unix:/,
  });
  t.ok(existsSync(pidFile));
  const pid = readFileSync(pidFile, 'utf8').trim();
  const [code] = await once(spawn('tail', [`--pid=${pid}`, '-s0.01', '-f', '/dev/null']), 'exit');
  t.equal(code, 0, 'it is gone');
});

void t.test('a monitor that is there and does not greet is told from one that is not there', async (t) => {
  t.plan(1);
  const { options, context, pidFile } = setUp(t, 1500, 100);
  const silent =
    "require('node:net').createServer(() => undefined).listen(process.argv[1]);" +
    "require('node:fs').writeFileSync(process.argv[2], String(process.pid))";
  const command = [process.execPath, '-e', silent, options.qmp, pidFile];
  await t.rejects(launchQemu({ ...options, command }, context), {
    name: 'GuestError',
    fault: { code: 'launch-failed' },
    message: /was there and did not greet within 1500 ms/,
  });
});

void t.test('a command is ended with all that it started, and no other that has its pid', async (t) => {
  t.plan(3);
  const { options, context, pidFile } = setUp(t);
  const command = ['/bin/sh', '-c', `sleep 1000 & echo $! > ${pidFile}; wait`];
  const launched = new EventEmitter();
  const told = once(launched, 'command');
  const failed = t.rejects(
    launchQemu({ ...options, command }, context, (identity) => launched.emit('command', identity)),
    { name: 'GuestError', message: /ended by SIGKILL/ },
  );
  const [leader]: ProcessIdentity[] = await told;
  if (leader === undefined) throw new Error('not told');
  while (!existsSync(pidFile) || readFileSync(pidFile, 'utf8') === '') await wait(1);
  endLaunched({ ...leader, startTime: leader.startTime + 1 }, hostProcesses);
  t.notSame(hostProcesses.identityOf(leader.pid), null);
  endLaunched(leader, hostProcesses);
  await failed;
  const child = readFileSync(pidFile, 'utf8').trim();
  const [code] = await once(spawn('tail', [`--pid=${child}`, '-s0.01', '-f', '/dev/null']), 'exit');
  t.equal(code, 0, 'the child is gone');
});

void t.test('a command that cannot be kept is ended', async (t) => {
  t.plan(2);
  const { options, context } = setUp(t);
  let pid = 0;
  const refuse = (command: ProcessIdentity): void => {
    pid = command.pid;
    throw new Error('no room');
  };
  await t.rejects(launchQemu(options, context, refuse), { name: 'Error', message: 'no room' });
  const [code] = await once(spawn('tail', [`--pid=${pid}`, '-s0.01', '-f', '/dev/null']), 'exit');
  t.equal(code, 0, 'it is gone');
});
