/**
 * Who may ask: the checks before a body is read.
 * Invariant: a web page of another origin can neither read nor change anything. Its name in the Host header is not
 * ours (DNS rebinding), its Origin is not ours, its body would not be application/json without a preflight that
 * is never answered.
 */
import { ProblemError } from '@pageferry/protocol';
import type { FastifyRequest } from 'fastify';
import type { HostCheck } from './api-address.ts';
import { isAuthorized } from './auth.ts';

export type CallerRules = {
  /** See `allowedHosts`. */
  readonly isHostAllowed: HostCheck;
  /** The bearer token, or null where none is needed. */
  readonly token: string | null;
};

/** @throws ProblemError `wrong-host`, `wrong-origin` or `unauthorized`, checked in that order. */
export function checkCaller(request: FastifyRequest, { isHostAllowed, token }: CallerRules): void {
  const { host, origin, authorization } = request.headers;
  if (!isHostAllowed(host)) {
    throw new ProblemError('wrong-host', `This API does not answer for the host ${host ?? '(none)'}`, {
      hint: 'use the address that the daemon listens on, or localhost',
    });
  }
  if (origin !== undefined && !isSameOrigin(origin, host)) {
    throw new ProblemError('wrong-origin', 'Web pages of other origins may not use this API');
  }
  if (token !== null && !isPublic(request) && !isAuthorized(authorization, token)) {
    throw new ProblemError('unauthorized', 'This request needs Authorization: Bearer and the right token');
  }
}

/** A browser sends Origin with every request that could change something; a page of ours would have our host. */
function isSameOrigin(origin: string, host: string | undefined): boolean {
  return URL.canParse(origin) && host !== undefined && new URL(origin).host === host.toLowerCase();
}

function isPublic(request: FastifyRequest): boolean {
  const { config } = request.routeOptions;
  return 'isPublic' in config && config.isPublic === true;
}
