/**
 * Addresses as the API writes them: `tcp:HOST:PORT`, an IPv6 host in brackets.
 * Invariant: `formatTcpAddress` and `parseTcpAddress` are inverses; the parsed host has no brackets.
 */
import { isIP, isIPv6 } from 'node:net';

export type TcpAddress = { readonly host: string; readonly port: number };

const PATTERN = /^tcp:(?:\[(?<v6>[0-9a-fA-F:.]+)\]|(?<name>[A-Za-z0-9._-]{1,253})):(?<port>\d{1,5})$/;

/** The parts of `tcp:HOST:PORT`, or undefined if it is not one. Port 0 is allowed: it is "any" to a listener. */
export function parseTcpAddress(text: string): TcpAddress | undefined {
  const groups = PATTERN.exec(text)?.groups;
  if (groups === undefined) return undefined;
  const port = Number(groups['port']);
  if (port > 65_535) return undefined;
  const { v6, name } = groups;
  if (v6 !== undefined) return isIPv6(v6) ? { host: v6, port } : undefined;
  return name === undefined ? undefined : { host: name, port };
}

export function formatTcpAddress({ host, port }: TcpAddress): string {
  return `tcp:${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

/** Whether a host can only be reached from this machine: 127.0.0.0/8, ::1 (mapped ones too) and `localhost`. */
export function isLoopbackHost(host: string): boolean {
  if (isIP(host) === 0) return host.toLowerCase() === 'localhost';
  const plain = host.toLowerCase().replace(/^::ffff:/, '');
  return plain === '::1' || plain === '0:0:0:0:0:0:0:1' || plain.startsWith('127.');
}
