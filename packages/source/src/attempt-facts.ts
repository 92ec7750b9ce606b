/** An attempt's facts, from what the migration was set up with: what hello, engine and journal are told. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Session } from '@pageferry/handover';
import {
  DIGEST_SECRET_SIZE_BYTES,
  formatTcpAddress,
  offerFacts,
  PAGE_SIZE_BYTES,
  type HelloStart,
} from '@pageferry/protocol';
import { namedProcess } from '@pageferry/transport';
import type { EnginePlan } from './engine/messages.ts';
import type { PageEngine } from './page-engine.ts';
import type { SessionKey } from './session.ts';
import type { Setup } from './setup.ts';

/** What every hello with pages behind it says, with a secret of its own. */
export function attemptHello(setup: Setup): AttemptHello {
  const { body, guestFacts, images } = setup;
  const { parameters } = setup.settings;
  const facts = offerFacts(guestFacts);
  const hostBootId = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  return {
    guestType: body.guest.type,
    ...(body.guest.uuid === undefined ? {} : { guestUuid: body.guest.uuid }),
    ...(guestFacts.length === 0 ? {} : { guestFacts: { lines: [...facts.lines], sha256: facts.sha256 } }),
    pageSize: PAGE_SIZE_BYTES,
    blocks: images.blocks.map(({ id, image }) => ({ id, sizeBytes: image.sizeBytes })),
    streamCount: parameters['multifd-channels'],
    secret: randomBytes(DIGEST_SECRET_SIZE_BYTES),
    xbzrleCacheSizeBytes: body.capabilities.xbzrle ? parameters['xbzrle-cache-size'] : 0,
    destinationReread: parameters['destination-reread'],
    imageIdentities: images.blocks.map(({ image: { device, inode } }) => ({ hostBootId, device, inode })),
  };
}

type AttemptHello = Pick<
  HelloStart,
  | 'guestType'
  | 'guestUuid'
  | 'guestFacts'
  | 'pageSize'
  | 'blocks'
  | 'streamCount'
  | 'secret'
  | 'xbzrleCacheSizeBytes'
  | 'destinationReread'
  | 'imageIdentities'
>;

/** How the engine sends the pages of an epoch. */
export function enginePlan(
  { address, settings: { parameters }, images }: Setup,
  session: SessionKey,
  { epoch, secret }: { readonly epoch: number; readonly secret: Uint8Array },
): EnginePlan {
  return {
    ...address,
    ...session,
    epoch,
    secret,
    connectTimeoutMs: parameters['connect-timeout'],
    streamCount: parameters['multifd-channels'],
    blockPageCounts: images.blocks.map(({ image }) => image.sizeBytes / PAGE_SIZE_BYTES),
    eviction: parameters['xbzrle-eviction'],
  };
}

/** What a restarted daemon needs to finish the handover. */
export function journaledSession(
  { sessionId, sessionKey }: SessionKey,
  { address, images, guest }: Setup,
  engine: PageEngine,
): Session {
  return {
    sessionId: Buffer.from(sessionId).toString('hex'),
    sessionKey: Buffer.from(sessionKey).toString('hex'),
    address: formatTcpAddress(address),
    blocks: images.blocks.map(({ id, image }) => ({ id, path: image.path })),
    guest: { ...guest.identity() },
    engine: namedProcess(engine.pid),
  };
}
