/**
 * BLAKE3 (github.com/BLAKE3-team/BLAKE3-specs), synchronous. Long views go through WebAssembly SIMD (blake3simd.ts, 1.6 GB/s
 * a thread), all else through hash-wasm (0.7); plain JavaScript (@noble/hashes, the reference in tests) does 0.04.
 */
import { createBLAKE3 } from 'hash-wasm';
import { type Blake3Simd, createBlake3Simd } from './blake3simd.ts';

export const BLAKE3_BYTES = 32;

/** From here on four lanes pay: 1.3 against 0.7 GB/s at 4 KiB. */
const SIMD_BYTES_MIN = 4096;

const plain = await createBLAKE3();
/** Made by the first long view, since many processes never have one; null where there is no SIMD. */
let simd: Blake3Simd | null | undefined;

/** BLAKE3 of the concatenation of `pieces`: 32 bytes. */
export function blake3(...pieces: readonly Uint8Array[]): Buffer {
  const [first] = pieces;
  if (first && pieces.length === 1 && first.length >= SIMD_BYTES_MIN) {
    if (simd === undefined) simd = createBlake3Simd() ?? null;
    if (simd) return simd(first);
  }
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
