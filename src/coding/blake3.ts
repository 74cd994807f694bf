/**
 * BLAKE3 (github.com/BLAKE3-team/BLAKE3-specs) through hash-wasm's WebAssembly, about 0.7 GB/s a thread; plain JavaScript
 * (@noble/hashes, the reference in tests) does 0.04. Synchronous once the module is loaded.
 */
import { createBLAKE3 } from 'hash-wasm';

export const BLAKE3_BYTES = 32;

const plain = await createBLAKE3();

/** BLAKE3 of the concatenation of `pieces`: 32 bytes. */
export function blake3(...pieces: readonly Uint8Array[]): Buffer {
  plain.init();
  for (const piece of pieces) plain.update(piece);
  return Buffer.from(plain.digest('binary'));
}

/** A keyed BLAKE3 (its PRF mode). Make one per key and keep it. */
export type KeyedHash = (...pieces: readonly Uint8Array[]) => Buffer;

/** `key` is 32 bytes. */
export async function createKeyedBlake3(key: Uint8Array): Promise<KeyedHash> {
  const keyed = await createBLAKE3(256, new Uint8Array(key));
  return (...pieces) => {
    keyed.init();
    for (const piece of pieces) keyed.update(piece);
    return Buffer.from(keyed.digest('binary'));
  };
}
