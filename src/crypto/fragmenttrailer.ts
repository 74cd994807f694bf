/**
 * The MAC in a fragment's trailer: BLAKE3 keyed with "fragment-mac" over the fragment's name and the 48 bytes before it
 * (design/commits.md, "Names"). It ties bytes, geometry and place together: a node can withhold a fragment, but neither
 * forge one nor answer with another. The layout is in src/coding/trailer.ts.
 *
 *   const mac = await createKeyedBlake3(keys.fragmentMac);
 *   sealTrailer(mac, name, fields, target);
 */
import { timingSafeEqual } from 'node:crypto';
import { assert } from '../base/assert.ts';
import type { KeyedHash } from '../coding/blake3.ts';
import {
  encodeTrailerBody,
  FRAGMENT_NAME_BYTES,
  parseTrailer,
  TRAILER_BODY_BYTES,
  TRAILER_BYTES,
  type Trailer,
  type TrailerFields,
} from '../coding/trailer.ts';

/** Writes the 80-byte trailer of the fragment called `name` to the start of `target`. */
export function sealTrailer(
  mac: KeyedHash,
  name: Uint8Array,
  fields: TrailerFields,
  target: Uint8Array,
): void {
  assert(name.length === FRAGMENT_NAME_BYTES, 'a fragment name has 32 bytes');
  assert(target.length >= TRAILER_BYTES, 'no room for the trailer');
  encodeTrailerBody(fields, target);
  target.set(mac(name, target.subarray(0, TRAILER_BODY_BYTES)), TRAILER_BODY_BYTES);
}

/**
 * The trailer, when it is one and was made for this name; undefined otherwise. The fragment's bytes are still to be
 * compared with `fragmentLengthBytes` and `root`.
 */
export function verifyTrailer(mac: KeyedHash, name: Uint8Array, bytes: Uint8Array): Trailer | undefined {
  const trailer = parseTrailer(bytes);
  if (!trailer || name.length !== FRAGMENT_NAME_BYTES) return undefined;
  const expected = mac(name, bytes.subarray(0, TRAILER_BODY_BYTES));
  return timingSafeEqual(expected, trailer.mac) ? trailer : undefined;
}
