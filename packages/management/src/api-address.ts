/**
 * Where the API listens: `unix:PATH` or `tcp:HOST:PORT`, and what follows from that for the requests' checks.
 * Invariant: a listener that other machines can reach is never without a token.
 */
import { isIP, isIPv6 } from 'node:net';
import { isLoopbackHost, parseTcpAddress, type TcpAddress } from '@pageferry/protocol';
import { ManagementError } from './errors.ts';

export type ApiAddress =
  { readonly kind: 'unix'; readonly path: string } | ({ readonly kind: 'tcp' } & TcpAddress);

/** `sun_path` holds 108 bytes with its terminator. */
const UNIX_PATH_MAX_BYTES = 107;

/** @throws ManagementError `address` if the text is neither form. */
export function parseApiAddress(text: string): ApiAddress {
  const fault = { code: 'address', address: text } as const;
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    if (!path.startsWith('/')) {
      throw new ManagementError(fault, `${text}: the path of a UNIX socket must be absolute`);
    }
    if (Buffer.byteLength(path) > UNIX_PATH_MAX_BYTES) {
      throw new ManagementError(
        fault,
        `${text}: the path of a UNIX socket is at most ${UNIX_PATH_MAX_BYTES} bytes`,
      );
    }
    return { kind: 'unix', path };
  }
  const tcp = parseTcpAddress(text);
  if (tcp === undefined) {
    throw new ManagementError(
      fault,
      `${text}: must be unix:PATH or tcp:HOST:PORT (an IPv6 host in brackets)`,
    );
  }
  return { kind: 'tcp', ...tcp };
}

/** Whether only this machine's users reach the address, so that no token is needed. */
export function isLocalAddress(address: ApiAddress): boolean {
  return address.kind === 'unix' || isLoopbackHost(address.host);
}

/** @throws ManagementError `address` where a token is needed and there is none. */
export function requireTokenBeyondLoopback(address: ApiAddress, token: string | null): void {
  if (token !== null || isLocalAddress(address) || address.kind === 'unix') return;
  throw new ManagementError(
    { code: 'address', address: `tcp:${address.host}:${address.port}` },
    `The API would listen on ${address.host}, which other machines can reach, without authentication: ` +
      'give --api-token-file, or listen on a UNIX socket or on loopback',
  );
}

/** Decides whether a request's Host header may be answered; see `allowedHosts`. */
export type HostCheck = (hostHeader: string | undefined) => boolean;

/**
 * The Host headers that are answered: anything on a UNIX socket; on TCP the loopback names and the host that is
 * listened on; any literal address where all interfaces are listened on. A name that an attacker's DNS points at us
 * (DNS rebinding) is none of these.
 */
export function allowedHosts(address: ApiAddress): HostCheck {
  if (address.kind === 'unix') return () => true;
  const names = new Set(['localhost', '127.0.0.1', '::1', address.host.toLowerCase()]);
  const isAnyInterface = address.host === '0.0.0.0' || /^[0:]+$/.test(address.host);
  return (header) => {
    const host = hostOfHeader(header ?? '');
    if (host === undefined) return false;
    return names.has(host) || (isAnyInterface && isIP(host) !== 0);
  };
}

/** The host of `host`, `host:port` or `[v6]:port`, lower case and without brackets; undefined if it is none. */
export function hostOfHeader(header: string): string | undefined {
  const groups = /^(?:\[(?<v6>[^\]]+)\]|(?<name>[^:[\]@/]+))(?::\d{1,5})?$/.exec(
    header.toLowerCase(),
  )?.groups;
  if (groups === undefined) return undefined;
  const { v6, name } = groups;
  if (v6 !== undefined) return isIPv6(v6) ? v6 : undefined;
  return name;
}
