/**
 * HMAC-SHA-512 (RFC 2104, FIPS 198-1) and HKDF-Expand-SHA-512 (RFC 5869 section 2.3) on node's one-shot `crypto.hash`.
 * Small PUTs derive three keys each, and `createHmac` costs five times what its two hashes cost. `hkdfSync` cannot be used: it
 * always extracts first, and our keys are uniform already.
 *
 * Limits: synchronous, one thread at a time (every thread has scratch memory of its own, wiped after use as well as
 * JavaScript allows). Inputs may be views on shared memory; results are buffers of their own, outside the pool.
 */
import { hash } from 'node:crypto';
import { assert } from '../base/assert.ts';

const BLOCK_BYTES = 128;
export const SHA512_BYTES = 64;
/** RFC 5869: a counter of one byte. */
export const HKDF_LENGTH_BYTES_MAX = 255 * SHA512_BYTES;

/** Inner messages up to this length are put together in scratch memory; it holds every derivation of this code. */
const SCRATCH_MESSAGE_BYTES = 1024;
const innerScratch = Buffer.alloc(BLOCK_BYTES + SCRATCH_MESSAGE_BYTES);
const outerScratch = Buffer.alloc(BLOCK_BYTES + SHA512_BYTES);

function sha512(bytes: Uint8Array): Buffer {
  return hash('sha512', bytes, 'buffer');
}

/** Puts key ⊕ ipad and key ⊕ opad at the start of both scratches. */
function loadKey(key: Uint8Array, inner: Buffer, outer: Buffer): void {
  const block = key.length > BLOCK_BYTES ? sha512(key) : key;
  inner.fill(0x36, 0, BLOCK_BYTES);
  outer.fill(0x5c, 0, BLOCK_BYTES);
  for (let i = 0; i < block.length; i++) {
    const byte = block[i] ?? 0;
    inner[i] = 0x36 ^ byte;
    outer[i] = 0x5c ^ byte;
  }
}

/** HMAC of the `messageBytes` bytes that already follow the key block in `inner`. */
function finish(inner: Buffer, messageBytes: number, outer: Buffer): Buffer {
  outer.set(sha512(inner.subarray(0, BLOCK_BYTES + messageBytes)), BLOCK_BYTES);
  return sha512(outer);
}

function innerFor(messageBytes: number): Buffer {
  return messageBytes <= SCRATCH_MESSAGE_BYTES ? innerScratch : Buffer.alloc(BLOCK_BYTES + messageBytes);
}

/** HMAC-SHA-512 of the concatenation of `pieces`: 64 bytes. */
export function hmacSha512(key: Uint8Array, ...pieces: readonly Uint8Array[]): Buffer {
  const messageBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const inner = innerFor(messageBytes);
  loadKey(key, inner, outerScratch);
  let at = BLOCK_BYTES;
  for (const piece of pieces) {
    inner.set(piece, at);
    at += piece.length;
  }
  const mac = finish(inner, messageBytes, outerScratch);
  inner.fill(0, 0, at);
  outerScratch.fill(0);
  return mac;
}

/**
 * HKDF-Expand: `lengthBytes` (1 … 16,320) from a uniformly random `key`, the `pieces` together being `info`.
 * T(i) = HMAC(key, T(i − 1) ‖ info ‖ i).
 */
export function hkdfExpandSha512(
  key: Uint8Array,
  lengthBytes: number,
  ...pieces: readonly Uint8Array[]
): Buffer {
  assert(lengthBytes > 0 && lengthBytes <= HKDF_LENGTH_BYTES_MAX, 'HKDF length out of range');
  const infoBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const inner = innerFor(SHA512_BYTES + infoBytes + 1);
  loadKey(key, inner, outerScratch);
  // The first block has no T before info; later ones do, so info moves once.
  const output = Buffer.alloc(lengthBytes);
  let previousBytes = 0;
  for (let block = 1, written = 0; written < lengthBytes; block++) {
    if (block <= 2) placeInfo(inner, BLOCK_BYTES + previousBytes, pieces);
    inner[BLOCK_BYTES + previousBytes + infoBytes] = block;
    const t = finish(inner, previousBytes + infoBytes + 1, outerScratch);
    t.copy(output, written);
    inner.set(t, BLOCK_BYTES);
    t.fill(0);
    previousBytes = SHA512_BYTES;
    written += SHA512_BYTES;
  }
  inner.fill(0, 0, BLOCK_BYTES + SHA512_BYTES + infoBytes + 1);
  outerScratch.fill(0);
  return output;
}

function placeInfo(inner: Buffer, offsetBytes: number, pieces: readonly Uint8Array[]): void {
  let at = offsetBytes;
  for (const piece of pieces) {
    inner.set(piece, at);
    at += piece.length;
  }
}
