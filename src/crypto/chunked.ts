/**
 * C2SP chunked-encryption as Cobblestone-256: HKDF-Expand-SHA-512 and AES-256-GCM (c2sp.org/chunked-encryption).
 *
 *   message = salt (24) ‖ commitment (32) ‖ chunk 0 ‖ chunk 1 ‖ …      chunk = ciphertext ‖ tag (16)
 *
 * Every chunk but the last holds 16,384 plaintext bytes and the last strictly fewer, possibly none: its length alone
 * says that it is the last, and there is no flag in the nonce. The nonce is base nonce ⊕ chunk index.
 *
 * Limits: synchronous; node's cipher forces one output buffer a chunk, which is copied to the target after the tag was
 * checked. The cipher takes its key as a KeyObject, because a key given as bytes costs 10 µs more at every chunk; whoever
 * has several chunks of a stream calls sealRun and openRun, which make that object once. All views may lie in shared
 * memory; nothing here comes from node's buffer pool. A key and salt must never seal two messages: salts are random.
 */
import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';
import { assert } from '../base/assert.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { hkdfExpandSha512 } from './hkdf.ts';

export const CHUNK_PLAINTEXT_BYTES = 16_384;
export const TAG_BYTES = 16;
export const CHUNK_SEALED_BYTES = CHUNK_PLAINTEXT_BYTES + TAG_BYTES;
export const STREAM_KEY_BYTES = 32;
export const SALT_BYTES = 24;
export const COMMITMENT_BYTES = 32;
export const STREAM_HEADER_BYTES = SALT_BYTES + COMMITMENT_BYTES;
export const NONCE_BYTES = 12;
/** A stream has at most 2³⁸ chunks (4 PiB). */
export const CHUNK_INDEX_MAX = 2 ** 38 - 1;

const CIPHER = 'aes-256-gcm';
const infoPrefix = Buffer.alloc(48);
const infoPrefixBytes = infoPrefix.write('c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM') + 1;
assert(infoPrefixBytes === infoPrefix.length, 'the prefix ends in one zero byte');

/** What seals and opens the chunks of one stream. */
export interface ChunkKeys {
  /** 32 bytes. */
  readonly aeadKey: Uint8Array;
  /** 12 bytes. */
  readonly baseNonce: Uint8Array;
}

export interface StreamKeys extends ChunkKeys {
  readonly aeadKey: Buffer;
  readonly baseNonce: Buffer;
  /** 32 bytes, public: stands in the stream's header. */
  readonly commitment: Buffer;
}

function failed(detail: string): HoldfastError {
  return new HoldfastError('AuthenticationFailed', { detail });
}

/** `key` 32 uniformly random bytes, `salt` 24 bytes, `context` of any length. */
export function deriveStreamKeys(key: Uint8Array, context: Uint8Array, salt: Uint8Array): StreamKeys {
  assert(key.length === STREAM_KEY_BYTES, 'a stream key has 32 bytes');
  assert(salt.length === SALT_BYTES, 'a salt has 24 bytes');
  const lengthBytes = STREAM_KEY_BYTES + NONCE_BYTES + COMMITMENT_BYTES;
  const material = hkdfExpandSha512(key, lengthBytes, infoPrefix, salt, context);
  return {
    aeadKey: material.subarray(0, STREAM_KEY_BYTES),
    baseNonce: material.subarray(STREAM_KEY_BYTES, STREAM_KEY_BYTES + NONCE_BYTES),
    commitment: material.subarray(STREAM_KEY_BYTES + NONCE_BYTES),
  };
}

/** A fresh salt with its keys, and the 56-byte header (salt ‖ commitment) that begins the stream. */
export function newStreamHeader(
  random: Random,
  key: Uint8Array,
  context: Uint8Array,
): { readonly header: Buffer; readonly keys: StreamKeys } {
  const salt = random.bytes(SALT_BYTES);
  const keys = deriveStreamKeys(key, context, salt);
  const header = Buffer.alloc(STREAM_HEADER_BYTES);
  header.set(salt);
  header.set(keys.commitment, SALT_BYTES);
  return { header, keys };
}

/**
 * The keys of a stream whose header says that it was made with this key and context.
 * @throws AuthenticationFailed for another key, another context or an altered header
 */
export function openStreamHeader(header: Uint8Array, key: Uint8Array, context: Uint8Array): StreamKeys {
  if (header.length !== STREAM_HEADER_BYTES) throw failed('a stream header is cut short');
  const keys = deriveStreamKeys(key, context, header.subarray(0, SALT_BYTES));
  if (!timingSafeEqual(keys.commitment, header.subarray(SALT_BYTES))) {
    throw failed('a stream was not sealed with this key and context');
  }
  return keys;
}

/** Base nonce ⊕ index, big-endian; the index reaches the last five bytes. */
export function chunkNonce(baseNonce: Uint8Array, chunkIndex: number): Buffer {
  assert(
    Number.isInteger(chunkIndex) && chunkIndex >= 0 && chunkIndex <= CHUNK_INDEX_MAX,
    'chunk index out of range',
  );
  assert(baseNonce.length === NONCE_BYTES, 'a base nonce has 12 bytes');
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.set(baseNonce);
  nonce[7] = (nonce[7] ?? 0) ^ Math.floor(chunkIndex / 2 ** 32);
  nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ (chunkIndex % 2 ** 32)) >>> 0, 8);
  return nonce;
}

/**
 * Seals one chunk of at most 16,384 bytes into the first `plaintext.length + 16` bytes of `target`, and returns that
 * count. A chunk shorter than 16,384 bytes ends the stream.
 */
export function sealChunk(
  keys: ChunkKeys,
  chunkIndex: number,
  plaintext: Uint8Array,
  target: Uint8Array,
): number {
  return sealWith(createSecretKey(keys.aeadKey), chunkNonce(keys.baseNonce, chunkIndex), plaintext, target);
}

function sealWith(key: KeyObject, nonce: Buffer, plaintext: Uint8Array, target: Uint8Array): number {
  const sealedBytes = plaintext.length + TAG_BYTES;
  assert(plaintext.length <= CHUNK_PLAINTEXT_BYTES, 'a chunk holds at most 16,384 bytes');
  assert(target.length >= sealedBytes, 'no room for the sealed chunk');
  const cipher = createCipheriv(CIPHER, key, nonce);
  if (plaintext.length > 0) target.set(cipher.update(plaintext));
  cipher.final();
  target.set(cipher.getAuthTag(), plaintext.length);
  return sealedBytes;
}

/**
 * Opens one sealed chunk (16 … 16,400 bytes) into the start of `target` and returns the plaintext's length. `target`
 * is untouched when the tag is wrong. Whether a short chunk may stand here is the caller's to say (openRun does).
 * @throws AuthenticationFailed
 */
export function openChunk(
  keys: ChunkKeys,
  chunkIndex: number,
  sealed: Uint8Array,
  target: Uint8Array,
): number {
  return openWith(createSecretKey(keys.aeadKey), keys.baseNonce, chunkIndex, sealed, target);
}

function openWith(
  key: KeyObject,
  baseNonce: Uint8Array,
  chunkIndex: number,
  sealed: Uint8Array,
  target: Uint8Array,
): number {
  const plaintextBytes = sealed.length - TAG_BYTES;
  if (plaintextBytes < 0 || plaintextBytes > CHUNK_PLAINTEXT_BYTES) {
    throw failed(`chunk ${chunkIndex} has an impossible length`);
  }
  assert(target.length >= plaintextBytes, 'no room for the opened chunk');
  const nonce = chunkNonce(baseNonce, chunkIndex);
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(plaintextBytes));
  const plaintext = decipher.update(sealed.subarray(0, plaintextBytes));
  try {
    decipher.final();
  } catch {
    throw failed(`chunk ${chunkIndex} failed its authentication tag`);
  }
  target.set(plaintext);
  return plaintextBytes;
}

/** Chunks of a whole stream, the short last one included. */
export function chunkCount(plaintextLengthBytes: number): number {
  return Math.floor(plaintextLengthBytes / CHUNK_PLAINTEXT_BYTES) + 1;
}

/** Sealed bytes of a whole stream without its 56-byte header. */
export function sealedLength(plaintextLengthBytes: number): number {
  return plaintextLengthBytes + TAG_BYTES * chunkCount(plaintextLengthBytes);
}

/**
 * Plaintext bytes of a whole stream of `sealedLengthBytes` without its header.
 * @throws AuthenticationFailed when no stream has that length: it was cut or extended
 */
export function plaintextLength(sealedLengthBytes: number): number {
  const fullChunks = Math.floor(sealedLengthBytes / CHUNK_SEALED_BYTES);
  const lastBytes = sealedLengthBytes % CHUNK_SEALED_BYTES;
  if (lastBytes < TAG_BYTES) throw failed(`a sealed stream cannot have ${sealedLengthBytes} bytes`);
  return fullChunks * CHUNK_PLAINTEXT_BYTES + lastBytes - TAG_BYTES;
}

/** Sealed bytes of a run: whole chunks, and the stream's short last chunk when `final`. */
export function sealedRunLength(plaintextLengthBytes: number, final: boolean): number {
  if (final) return sealedLength(plaintextLengthBytes);
  assert(plaintextLengthBytes % CHUNK_PLAINTEXT_BYTES === 0, 'only the end of a stream is a part of a chunk');
  return (plaintextLengthBytes / CHUNK_PLAINTEXT_BYTES) * CHUNK_SEALED_BYTES;
}

/** Seals consecutive chunks of a stream from `firstChunkIndex` into `target`; returns the sealed length. */
export function sealRun(
  keys: ChunkKeys,
  firstChunkIndex: number,
  plaintext: Uint8Array,
  final: boolean,
  target: Uint8Array,
): number {
  const totalBytes = sealedRunLength(plaintext.length, final);
  assert(target.length >= totalBytes, 'no room for the sealed run');
  const key = createSecretKey(keys.aeadKey);
  let read = 0;
  let written = 0;
  for (let index = firstChunkIndex; written < totalBytes; index++) {
    const chunk = plaintext.subarray(read, read + CHUNK_PLAINTEXT_BYTES);
    written += sealWith(key, chunkNonce(keys.baseNonce, index), chunk, target.subarray(written));
    read += chunk.length;
  }
  return written;
}

/**
 * Opens consecutive chunks of a stream from `firstChunkIndex` into `target`; returns the plaintext's length. `final` says
 * that the last of them ends the stream: it must then be short, and must be full otherwise.
 * @throws AuthenticationFailed; `target` may then hold the authenticated chunks before the bad one
 */
export function openRun(
  keys: ChunkKeys,
  firstChunkIndex: number,
  sealed: Uint8Array,
  final: boolean,
  target: Uint8Array,
): number {
  if (final) plaintextLength(sealed.length);
  else if (sealed.length % CHUNK_SEALED_BYTES !== 0) throw failed('a run of chunks is cut short');
  const key = createSecretKey(keys.aeadKey);
  let read = 0;
  let written = 0;
  for (let index = firstChunkIndex; read < sealed.length; index++) {
    const chunk = sealed.subarray(read, read + CHUNK_SEALED_BYTES);
    written += openWith(key, keys.baseNonce, index, chunk, target.subarray(written));
    read += chunk.length;
  }
  return written;
}
