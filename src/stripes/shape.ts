/**
 * The shape of a stripe: how many bytes its fragments have, given its payload (design/commits.md, "Codec and stripe
 * shape"). Pure arithmetic; what was written stands in the stripe's record, so nothing but the writer follows these rules.
 *
 * A full stripe has k·⌊256/k⌋ sealed chunks and F = ⌊256/k⌋·16,400, so that each chunk lies in one fragment. Any other
 * payload is padded with zero bytes by Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and
 * Communication with PURBs", 2019, section 4), which hides all but O(log log L) bits of the length L for at most 12 %, and then
 * F = ⌈padded/k⌉ rounded up to 64 bytes; chunks may straddle fragments.
 */
import { assert } from '../base/assert.ts';
import { roundUp } from '../base/units.ts';
import { CHUNK_PLAINTEXT_BYTES, CHUNK_SEALED_BYTES, TAG_BYTES } from '../crypto/chunked.ts';

/** About 4 MiB of plaintext in a stripe, whatever k is. */
const STRIPE_CHUNKS_MAX = 256;
const FRAGMENT_STEP_BYTES = 64;

export interface StripeShape {
  /** Payload and padding: what the record calls stripeLengthBytes. */
  readonly stripeLengthBytes: number;
  readonly fragmentLengthBytes: number;
}

function chunksPerFragment(k: number): number {
  return Math.floor(STRIPE_CHUNKS_MAX / k);
}

/** Plaintext bytes of a full stripe. */
export function stripePlaintextBytesMax(k: number): number {
  return k * chunksPerFragment(k) * CHUNK_PLAINTEXT_BYTES;
}

/** Sealed bytes of a full stripe. */
export function fullPayloadBytes(k: number): number {
  return k * chunksPerFragment(k) * CHUNK_SEALED_BYTES;
}

/** The largest payload: a stripe full of plaintext at whose end the stream ends, in an empty chunk. */
export function payloadBytesMax(k: number): number {
  return fullPayloadBytes(k) + TAG_BYTES;
}

/**
 * The largest payload at any k. What was written narrow, or under another profile, may be written again at the width of today, so
 * the memory of every profile has room for it.
 */
export const ANY_PAYLOAD_BYTES_MAX = payloadBytesMax(1);

/** `lengthBytes` rounded up to a number whose binary form has its low ones cleared, as Padmé has it. */
export function padme(lengthBytes: number): number {
  assert(lengthBytes >= 0 && lengthBytes < 2 ** 31, 'a payload has less than 2 GiB');
  if (lengthBytes < 2) return lengthBytes;
  const exponent = Math.floor(Math.log2(lengthBytes));
  const keptBits = Math.floor(Math.log2(exponent)) + 1;
  return roundUp(lengthBytes, 2 ** (exponent - keptBits));
}

/** The shape of a stripe with this payload (sealed bytes, not yet padded) at k data fragments. */
export function stripeShape(payloadLengthBytes: number, k: number): StripeShape {
  assert(payloadLengthBytes > 0, 'a stripe has a payload');
  if (payloadLengthBytes === fullPayloadBytes(k)) {
    return {
      stripeLengthBytes: payloadLengthBytes,
      fragmentLengthBytes: chunksPerFragment(k) * CHUNK_SEALED_BYTES,
    };
  }
  const stripeLengthBytes = padme(payloadLengthBytes);
  const fragmentLengthBytes = roundUp(Math.ceil(stripeLengthBytes / k), FRAGMENT_STEP_BYTES);
  return { stripeLengthBytes, fragmentLengthBytes };
}

/**
 * Bytes of memory that hold the k + m fragments of the largest payload, side by side, also when the same payload must be
 * written again narrower, with 1 … k data fragments and the same m.
 */
export function fragmentAreaBytesMax(k: number, m: number): number {
  let areaBytes = (k + m) * chunksPerFragment(k) * CHUNK_SEALED_BYTES;
  for (let narrower = 1; narrower <= k; narrower++) {
    areaBytes = Math.max(
      areaBytes,
      (narrower + m) * stripeShape(ANY_PAYLOAD_BYTES_MAX, narrower).fragmentLengthBytes,
    );
  }
  return areaBytes;
}
