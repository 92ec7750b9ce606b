/**
 * The route table of the management API: what is registered, documented and tested is this.
 * Invariant: a route that is not here does not exist, and one that is here is implemented by every side it names.
 */
import { z } from 'zod';
import {
  abortBody,
  acceptedAnswer,
  cacheSizeAnswer,
  cacheSizeBody,
  currentMigrationBody,
  incomingAnswer,
  incomingBody,
  migrateAnswer,
  migrateBody,
  parametersAnswer,
  parametersBody,
  takeoverBody,
} from './api.ts';
import type { Side } from './parameters.ts';
import { migrationStatus } from './status.ts';

/**
 * One route. `isBodyOptional`: an absent body counts as `{}`. `status` is the HTTP status of success. `isPublic`: needs
 * no bearer token. A route whose `response` is null answers text.
 */
export type Route = {
  readonly method: 'GET' | 'PUT' | 'POST' | 'PATCH';
  readonly url: string;
  readonly on: readonly Side[];
  readonly summary: string;
  readonly status: number;
  readonly body: z.ZodType | null;
  readonly isBodyOptional: boolean;
  readonly isPublic: boolean;
  readonly response: z.ZodType | null;
};

const both = ['source', 'destination'] as const;
const reading = { method: 'GET', status: 200, body: null, isBodyOptional: false, isPublic: false } as const;
const acting = { method: 'POST', status: 202, isPublic: false } as const;

/** Liveness and readiness: reasons only when not ready. */
export const healthAnswer = z.object({ status: z.enum(['ok', 'not-ready']), reasons: z.array(z.string()) });
export type HealthAnswer = z.output<typeof healthAnswer>;

export const routes = {
  incoming: {
    ...acting,
    url: '/incoming',
    on: ['destination'],
    summary: 'Arm one incoming migration',
    body: incomingBody,
    isBodyOptional: false,
    response: incomingAnswer,
  },
  migrate: {
    ...acting,
    url: '/migrate',
    on: ['source'],
    summary: 'Start a migration; answers once the destination accepted it',
    body: migrateBody,
    isBodyOptional: false,
    response: migrateAnswer,
  },
  status: {
    ...reading,
    url: '/status',
    on: both,
    summary: "The current or last migration: QMP's MigrationInfo and more",
    response: migrationStatus,
  },
  cacheSize: {
    ...reading,
    url: '/cache-size',
    on: both,
    summary: 'XBZRLE cache size: requested, granted, effective, allocated',
    response: cacheSizeAnswer,
  },
  setCacheSize: {
    method: 'PUT',
    status: 200,
    isPublic: false,
    url: '/cache-size',
    on: both,
    summary: 'Change the XBZRLE cache size (source) or its ceiling (destination), also while migrating',
    body: cacheSizeBody,
    isBodyOptional: false,
    response: cacheSizeAnswer,
  },
  parameters: {
    ...reading,
    url: '/parameters',
    on: both,
    summary: 'Migration parameters: requested and effective',
    response: parametersAnswer,
  },
  setParameters: {
    method: 'PATCH',
    status: 200,
    isPublic: false,
    url: '/parameters',
    on: ['source'],
    summary: 'Change live parameters, also while migrating',
    body: parametersBody,
    isBodyOptional: false,
    response: parametersAnswer,
  },
  cancel: {
    ...acting,
    url: '/cancel',
    on: ['source'],
    summary: 'Cancel the migration, up to the point of no return',
    body: currentMigrationBody,
    isBodyOptional: true,
    response: acceptedAnswer,
  },
  continue: {
    ...acting,
    url: '/continue',
    on: ['source'],
    summary: 'Leave pre-switchover',
    body: currentMigrationBody,
    isBodyOptional: true,
    response: acceptedAnswer,
  },
  abort: {
    ...acting,
    url: '/abort',
    on: ['destination'],
    summary: 'Give up an incoming migration whose source is gone for good',
    body: abortBody,
    isBodyOptional: true,
    response: acceptedAnswer,
  },
  takeover: {
    ...acting,
    status: 200,
    url: '/takeover',
    on: both,
    summary: 'Run the guest on this side: the peer is gone for good and fenced',
    body: takeoverBody,
    isBodyOptional: false,
    response: acceptedAnswer,
  },
  metrics: { ...reading, url: '/metrics', on: both, summary: 'Prometheus text exposition', response: null },
  livez: {
    ...reading,
    isPublic: true,
    url: '/livez',
    on: both,
    summary: 'The process answers',
    response: healthAnswer,
  },
  readyz: {
    ...reading,
    isPublic: true,
    url: '/readyz',
    on: both,
    summary: 'A request to migrate can be taken',
    response: healthAnswer,
  },
  openapi: {
    ...reading,
    url: '/openapi.json',
    on: both,
    summary: 'This description',
    response: z.record(z.string(), z.unknown()),
  },
} as const satisfies Record<string, Route>;

export type RouteName = keyof typeof routes;
