/**
 * `Seal(key, context, plaintext)` of design/keys.md for messages held in memory: key wraps, epoch keys, authenticators,
 * small records. Header and chunks of C2SP chunked-encryption in one buffer; a 32-byte key becomes 104 bytes.
 */
import { HoldfastError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import {
  newStreamHeader,
  openRun,
  openStreamHeader,
  plaintextLength,
  STREAM_HEADER_BYTES,
  sealedLength,
  sealRun,
} from './chunked.ts';

/** Header ‖ chunks, under a fresh salt. The result has memory of its own. */
export function seal(key: Uint8Array, context: Uint8Array, plaintext: Uint8Array, random: Random): Buffer {
  const { header, keys } = newStreamHeader(random, key, context);
  const sealed = Buffer.alloc(STREAM_HEADER_BYTES + sealedLength(plaintext.length));
  sealed.set(header);
  sealRun(keys, 0, plaintext, true, sealed.subarray(STREAM_HEADER_BYTES));
  return sealed;
}

/**
 * The plaintext of a whole message, in memory of its own.
 * @throws AuthenticationFailed for a wrong key or context, and for any altered, cut or extended message
 */
export function open(key: Uint8Array, context: Uint8Array, sealed: Uint8Array): Buffer {
  if (sealed.length < STREAM_HEADER_BYTES) {
    throw new HoldfastError('AuthenticationFailed', { detail: 'a sealed message is cut short' });
  }
  const keys = openStreamHeader(sealed.subarray(0, STREAM_HEADER_BYTES), key, context);
  const chunks = sealed.subarray(STREAM_HEADER_BYTES);
  const plaintext = Buffer.alloc(plaintextLength(chunks.length));
  openRun(keys, 0, chunks, true, plaintext);
  return plaintext;
}

/** Length of a sealed message with its header. */
export function sealedMessageLength(plaintextLengthBytes: number): number {
  return STREAM_HEADER_BYTES + sealedLength(plaintextLengthBytes);
}
