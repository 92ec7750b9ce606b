/**
 * Every limit of the wire, in one file. A length from the peer is compared with one of these before any memory is
 * allocated for it. The table "Limits" of docs/PROTOCOL.md holds the same numbers; a test compares them.
 *
 * Units are last in the names.
 */

const KIB = 1024;
const MIB = 1024 * KIB;

/** Bytes of a page. Version 1 knows this size only; hello states it, and another one is rejected. */
export const PAGE_SIZE_BYTES = 4096;

/** Pages of an extent, the unit of digests and of the interleave among streams: one chunk of 2 MiB. */
export const EXTENT_SIZE_PAGES = 512;

/** Bytes of a page digest and of a root. */
export const DIGEST_SIZE_BYTES = 16;

/** Bytes of the secret of the digests, new in every epoch. */
export const DIGEST_SECRET_SIZE_BYTES = 192;

export const SESSION_ID_SIZE_BYTES = 16;

export const SESSION_KEY_SIZE_BYTES = 16;

/** Bytes of an HMAC-SHA256 proof. */
export const PROOF_SIZE_BYTES = 32;

/** Record area of one page frame: a batch of 256 raw pages, its record headers, and the small records before it. */
export const PAGE_FRAME_RECORDS_MAX_BYTES = MIB + 64 * KIB;

/** Bytes of the smallest record (zero): first page u32, count u32, kind u8. */
export const RECORD_HEADER_BYTES = 9;

/**
 * Records of one page frame. It is the byte limit divided by the smallest record, so a sender that keeps the byte limit
 * keeps this one too and has nothing more to count.
 */
export const RECORDS_PER_FRAME_MAX = Math.floor(PAGE_FRAME_RECORDS_MAX_BYTES / RECORD_HEADER_BYTES);

/** Bytes of one XBZRLE payload; a longer one is never cheaper than the page. */
export const XBZRLE_PAYLOAD_MAX_BYTES = PAGE_SIZE_BYTES;

/** Largest payload of any frame: a page frame's header and records. */
export const FRAME_PAYLOAD_MAX_BYTES = 8 + PAGE_FRAME_RECORDS_MAX_BYTES;

/** Digests or roots of one extent-roots or page-digests frame (1 MiB of them). */
export const DIGESTS_PER_FRAME_MAX = 65536;

/** Device state of one frame; pings pass between two of them. */
export const DEVICE_STATE_CHUNK_MAX_BYTES = 60 * KIB;

/** Device state of a guest altogether, with the RAM that is not on a shared image (ROMs, video RAM). */
export const DEVICE_STATE_MAX_BYTES = 256 * MIB;

/** Control message after hello. */
export const CONTROL_MESSAGE_MAX_BYTES = 64 * KIB;

/** Control message until hello was accepted; with PENDING_CONNECTIONS_MAX it bounds what strangers can cost. */
export const CONTROL_BEFORE_HELLO_MAX_BYTES = 16 * KIB;

/** Nesting of maps and arrays in a control message; the outermost map is depth 1. */
export const MESSAGE_NESTING_MAX = 8;

/** Connections without a whole preamble (and data-hello), and control connections without a hello; one more is closed at once. */
export const PENDING_CONNECTIONS_MAX = 8;

/** Time from accept to a whole preamble and data-hello. */
export const HELLO_TIMEOUT_MS = 5000;

/** Data connections of a migration. */
export const STREAMS_MAX = 16;

/** RAM blocks of a guest. */
export const BLOCKS_MAX = 64;

/** Bytes (UTF-8) of a block's id, as QEMU's. */
export const BLOCK_ID_MAX_BYTES = 255;

/** Pages of a block: a page index is a u32. 16 TiB. */
export const BLOCK_PAGES_MAX = 2 ** 32;

/** First value that does not fit an epoch, a round or a sequence number (u32). */
export const U32_LIMIT = 2 ** 32;

/** Versions in an offer, and the largest number that one may have. */
export const VERSIONS_MAX = 16;
export const VERSION_NUMBER_MAX = 65535;

/** Characters of the one-time token. */
export const TOKEN_MAX_CHARACTERS = 128;

/** Characters of the short (type, title, phase) and the long (detail, hint, reason) texts of a message. */
export const SHORT_TEXT_MAX_CHARACTERS = 256;
export const LONG_TEXT_MAX_CHARACTERS = 4096;

/** Facts about the guest in hello, and their bytes (UTF-8) altogether: with the rest of a hello they stay below 16 KiB. */
export const GUEST_FACTS_MAX = 128;
export const GUEST_FACTS_MAX_BYTES = 6 * KIB;
