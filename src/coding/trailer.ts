/**
 * The 80 bytes behind every stored fragment (design/commits.md, "Names"), big-endian:
 *
 *   0 format u8 ‖ 1 codec u8 ‖ 2 k u8 ‖ 3 m u8 ‖ 4 index u8 ‖ 5 flags u8 ‖ 6 key generation u16 ‖ 8 fragment length u32 ‖
 *   12 stripe length u32 ‖ 16 BLAKE3 root of the fragment's bytes (32) ‖ 48 MAC (32)
 *
 * This is the part that needs no key, for nodes: they compare length and root. The MAC is made and checked by who holds
 * the repair keys (src/crypto/fragmenttrailer.ts).
 */
import { assert } from '../base/assert.ts';

export const TRAILER_FORMAT = 1;
export const TRAILER_BYTES = 80;
/** Of the opaque name that a fragment is stored under; the MAC covers it. */
export const FRAGMENT_NAME_BYTES = 32;
/** What the MAC covers besides the name. */
export const TRAILER_BODY_BYTES = 48;
export const FRAGMENTS_MAX = 255;
const ROOT_OFFSET_BYTES = 16;
const U32_MAX = 2 ** 32 - 1;

export interface TrailerFields {
  readonly codec: number;
  readonly k: number;
  readonly m: number;
  readonly index: number;
  readonly keyGeneration: number;
  /** Bytes of the fragment, trailer not counted. */
  readonly fragmentLengthBytes: number;
  /** Payload bytes of the stripe before zero filling. */
  readonly stripeLengthBytes: number;
  /** BLAKE3 of the fragment's bytes, 32 bytes. */
  readonly root: Uint8Array;
}

export interface Trailer extends TrailerFields {
  /** A view into the parsed bytes. */
  readonly root: Uint8Array;
  /** A view into the parsed bytes, 32 bytes. */
  readonly mac: Uint8Array;
}

/** True when such a stripe can exist: 1 ≤ k, k + m ≤ 255, index < k + m, payload ≤ k fragments. */
function isShape(fields: Omit<TrailerFields, 'root'>): boolean {
  const fragments = fields.k + fields.m;
  return (
    fields.k >= 1 &&
    fragments <= FRAGMENTS_MAX &&
    fields.index < fragments &&
    fields.stripeLengthBytes <= fields.k * fields.fragmentLengthBytes
  );
}

/** Writes the 48 bytes before the MAC to the start of `target`. Flags are 0 in format 1. */
export function encodeTrailerBody(fields: TrailerFields, target: Uint8Array): void {
  assert(isShape(fields), 'a trailer describes an impossible stripe');
  assert(fields.root.length === TRAILER_BODY_BYTES - ROOT_OFFSET_BYTES, 'a BLAKE3 root has 32 bytes');
  assert(fields.fragmentLengthBytes <= U32_MAX && fields.stripeLengthBytes <= U32_MAX, 'lengths are u32');
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  view.setUint8(0, TRAILER_FORMAT);
  view.setUint8(1, fields.codec);
  view.setUint8(2, fields.k);
  view.setUint8(3, fields.m);
  view.setUint8(4, fields.index);
  view.setUint8(5, 0);
  view.setUint16(6, fields.keyGeneration);
  view.setUint32(8, fields.fragmentLengthBytes);
  view.setUint32(12, fields.stripeLengthBytes);
  target.set(fields.root, ROOT_OFFSET_BYTES);
}

/**
 * The fields of a trailer of 80 bytes; undefined for another length, format or flags, and for a stripe that cannot be.
 * Nothing is verified: compare `fragmentLengthBytes` and `root` with the bytes, or the MAC.
 */
export function parseTrailer(bytes: Uint8Array): Trailer | undefined {
  if (bytes.length !== TRAILER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint8(0) !== TRAILER_FORMAT || view.getUint8(5) !== 0) return undefined;
  const trailer = {
    codec: view.getUint8(1),
    k: view.getUint8(2),
    m: view.getUint8(3),
    index: view.getUint8(4),
    keyGeneration: view.getUint16(6),
    fragmentLengthBytes: view.getUint32(8),
    stripeLengthBytes: view.getUint32(12),
    root: bytes.subarray(ROOT_OFFSET_BYTES, TRAILER_BODY_BYTES),
    mac: bytes.subarray(TRAILER_BODY_BYTES),
  };
  return isShape(trailer) ? trailer : undefined;
}
