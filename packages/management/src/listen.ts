/**
 * Makes an application listen on its address.
 * Invariant: a UNIX socket is never connectable by others, not even for a moment: it is bound under a umask, which
 * works because the server binds within the call (the application is made ready before). A socket file is
 * removed only if nobody answers there and it is a socket.
 */
import { lstatSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { formatTcpAddress } from '@pageferry/protocol';
import { type ApiAddress, requireTokenBeyondLoopback } from './api-address.ts';
import { ManagementError } from './errors.ts';
import type { App } from './implement.ts';

const OWNER_ONLY_UMASK = 0o177;

/**
 * Resolves with the address in use, written as it is given (`tcp:127.0.0.1:7801` with the real port).
 * @throws ManagementError `address` (other machines could reach it without a token), `address-in-use`, `listen`.
 */
export async function listenApi(app: App, address: ApiAddress, token: string | null): Promise<string> {
  requireTokenBeyondLoopback(address, token);
  await app.ready();
  if (address.kind === 'unix') {
    await removeStaleSocket(address.path);
    await bind(app, address, { path: address.path });
    return `unix:${address.path}`;
  }
  await bind(app, address, { host: address.host, port: address.port });
  const bound = app.server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port;
  return formatTcpAddress({ host: address.host, port });
}

type ListenTarget = { readonly path: string } | { readonly host: string; readonly port: number };

async function bind(app: App, address: ApiAddress, target: ListenTarget): Promise<void> {
  const { server } = app;
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error) => reject(listenError(address, error));
    server.once('error', fail);
    server.once('listening', () => {
      server.off('error', fail);
      server.on('error', (error) => app.log.error({ err: error }, 'the API cannot accept a connection'));
      resolve();
    });
    const umask = process.umask(OWNER_ONLY_UMASK);
    try {
      server.listen(target);
    } finally {
      process.umask(umask);
    }
  });
}

function listenError(address: ApiAddress, error: Error): ManagementError {
  const text = address.kind === 'unix' ? `unix:${address.path}` : formatTcpAddress(address);
  const isTaken = 'code' in error && error.code === 'EADDRINUSE';
  return isTaken
    ? new ManagementError(
        { code: 'address-in-use', address: text },
        `${text} is in use by another process`,
        error,
      )
    : new ManagementError(
        { code: 'listen', address: text },
        `Cannot listen on ${text}: ${error.message}`,
        error,
      );
}

async function removeStaleSocket(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  const address = `unix:${path}`;
  if (!found.isSocket()) {
    throw new ManagementError({ code: 'listen', address }, `${path} exists and is not a socket`);
  }
  if (await doesAnyoneAnswer(path)) {
    throw new ManagementError({ code: 'address-in-use', address }, `${address} is in use by another process`);
  }
  unlinkSync(path);
}

/** Only a refused connection proves that nobody listens; any other failure (no permission, say) counts as yes. */
async function doesAnyoneAnswer(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => resolve(!('code' in error && error.code === 'ECONNREFUSED')));
  });
}
