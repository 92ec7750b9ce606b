/**
 * How errors become answers: application/problem+json (RFC 9457), always, also for what the framework refuses.
 * Invariant: an unexpected error's message and stack are logged and never answered.
 */
import type { Socket } from 'node:net';
import { describeProblem, type ProblemDetails, ProblemError, type Side } from '@pageferry/protocol';
import type { FastifyReply, FastifyRequest } from 'fastify';

export const PROBLEM_CONTENT_TYPE = 'application/problem+json';

/** Sends a problem; `side` stands in it as the peer that found the problem unless it already names one. */
export function sendProblem(reply: FastifyReply, problem: ProblemDetails, side: Side): FastifyReply {
  return reply
    .code(problem.status)
    .type(PROBLEM_CONTENT_TYPE)
    .send(JSON.stringify({ ...problem, peer: problem.peer ?? side }));
}

/** The problem of anything that was thrown while a request was handled; logs what its caller cannot mend. */
export function problemOfError(error: unknown, request: FastifyRequest): ProblemDetails {
  if (error instanceof ProblemError) {
    if (error.problem.status >= 500) request.log.error({ err: error }, 'request failed');
    return error.problem;
  }
  const known = problemOfFrameworkError(error);
  if (known !== undefined) return known;
  request.log.error({ err: error }, 'unexpected error');
  return describeProblem('internal', `An unexpected error; the log has it under request ${request.id}`);
}

/** The answer to bytes that are not HTTP: written by hand, since there is no request yet. */
export function refuseMalformedHttp(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify(describeProblem('bad-request', 'The bytes received are not an HTTP request'));
  socket.end(
    `HTTP/1.1 400 Bad Request\r\nContent-Type: ${PROBLEM_CONTENT_TYPE}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function problemOfFrameworkError(error: unknown): ProblemDetails | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('statusCode' in error)) return undefined;
  switch (error.code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return describeProblem('wrong-content-type', 'The body must be sent as Content-Type: application/json');
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return describeProblem('body-too-large', error.message);
    default: {
      const isCallersFault =
        typeof error.statusCode === 'number' && error.statusCode >= 400 && error.statusCode < 500;
      return isCallersFault ? describeProblem('bad-request', error.message) : undefined;
    }
  }
}
