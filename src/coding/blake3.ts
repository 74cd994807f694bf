/**
 * BLAKE3 (github.com/BLAKE3-team/BLAKE3-specs), synchronous: by the native addon where there is one (blake3native.ts, 3 to 12 GB/s
 * a thread). Without it, long views go through WebAssembly SIMD (blake3simd.ts, 1.6), all else through hash-wasm (0.7); plain
 * JavaScript (@noble/hashes, the reference in tests) does 0.04. The bytes are the same.
 */
import { createBLAKE3 } from 'hash-wasm';
import { native } from '../base/native.ts';
import { createNativeBlake3 } from './blake3native.ts';
import { type Blake3Simd, createBlake3Simd } from './blake3simd.ts';

export const BLAKE3_BYTES = 32;

/** A keyed BLAKE3 (its PRF mode). Make one per key and keep it. */
export type KeyedHash = (...pieces: readonly Uint8Array[]) => Buffer;

/** From here on four lanes pay: 1.3 against 0.7 GB/s at 4 KiB. */
const SIMD_BYTES_MIN = 4096;

const { addon } = native();
const hash = addon ? createNativeBlake3(addon) : await createPortableBlake3();

/** BLAKE3 of the concatenation of `pieces`: 32 bytes. */
export function blake3(...pieces: readonly Uint8Array[]): Buffer {
  return hash(...pieces);
}

/** `key` is 32 bytes. */
export async function createKeyedBlake3(key: Uint8Array): Promise<KeyedHash> {
  if (addon) return createNativeBlake3(addon, key);
  const keyed = await createBLAKE3(256, new Uint8Array(key));
  return (...pieces) => {
    keyed.init();
    for (const piece of pieces) keyed.update(piece);
    return Buffer.from(keyed.digest('binary'));
  };
}

/** What `blake3` is where there is no addon. */
export async function createPortableBlake3(): Promise<KeyedHash> {
  const plain = await createBLAKE3();
  /** Made by the first long view, since many processes never have one; null where there is no SIMD. */
  let simd: Blake3Simd | null | undefined;
  return (...pieces) => {
    const [first] = pieces;
    if (first && pieces.length === 1 && first.length >= SIMD_BYTES_MIN) {
      if (simd === undefined) simd = createBlake3Simd() ?? null;
      if (simd) return simd(first);
    }
    plain.init();
    for (const piece of pieces) plain.update(piece);
    return Buffer.from(plain.digest('binary'));
  };
}
