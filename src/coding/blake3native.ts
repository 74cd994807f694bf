/**
 * BLAKE3 by the addon: 12 GB/s a thread with AVX-512, 3.5 with AVX2. What is short goes through a scratch in shared memory, since a call
 * that is handed views spends more time on looking at them than on hashing (and a small view that V8 keeps in its heap has to be moved
 * out of it first): 0.15 µs for a name against 0.4.
 */
import type { NativeBlake3 } from '../base/native.ts';

const HASH_BYTES = 32;
const SHORT_BYTES_MAX = 1024;
/** What the addon takes in one call. */
const PIECES_MAX = 256;

/** Hashes with the addon, in the keyed mode when there is a key (32 bytes). */
export function createNativeBlake3(
  addon: NativeBlake3,
  key?: Uint8Array,
): (...pieces: readonly Uint8Array[]) => Buffer {
  const ownKey = key && Buffer.from(key);
  const scratch = new Uint8Array(new SharedArrayBuffer(HASH_BYTES + SHORT_BYTES_MAX));
  const shortHash = scratch.subarray(0, HASH_BYTES);
  const hashShort = addon.blake3Short(scratch, ownKey);

  return (...pieces) => {
    let length = 0;
    for (const piece of pieces) length += piece.length;
    const hash = Buffer.allocUnsafe(HASH_BYTES);
    if (length <= SHORT_BYTES_MAX) {
      let at = HASH_BYTES;
      for (const piece of pieces) {
        scratch.set(piece, at);
        at += piece.length;
      }
      hashShort(length);
      hash.set(shortHash);
    } else if (pieces.length > PIECES_MAX) {
      const hasher = new addon.Blake3Hasher(ownKey);
      for (const piece of pieces) hasher.update(piece);
      hasher.digest(hash);
    } else {
      const data = pieces.length === 1 ? pieces[0]! : pieces;
      if (ownKey) addon.blake3Keyed(ownKey, data, hash);
      else addon.blake3Hash(data, hash);
    }
    return hash;
  };
}
