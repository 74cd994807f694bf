import { randomFillSync } from 'node:crypto';

/** Randomness comes in through this seam; only tests and the simulator pass anything but `systemRandom`. */
export interface Random {
  /** `length` fresh random bytes in a buffer of their own (never a slice of a shared pool). */
  bytes(length: number): Buffer;
}

/** Small requests are served from a block, since a call to the system's generator costs as much for 16 bytes as for these. */
const BLOCK_BYTES = 4096;
const FROM_BLOCK_BYTES_MAX = 128;
const block = Buffer.alloc(BLOCK_BYTES);
let usedBytes = BLOCK_BYTES;

export const systemRandom: Random = {
  bytes(length) {
    if (length > FROM_BLOCK_BYTES_MAX) return randomFillSync(Buffer.alloc(length));
    if (usedBytes + length > BLOCK_BYTES) {
      randomFillSync(block);
      usedBytes = 0;
    }
    const bytes = Buffer.alloc(length);
    const from = block.subarray(usedBytes, usedBytes + length);
    bytes.set(from);
    // What was given out may become a key: it must not stay here as well.
    from.fill(0);
    usedBytes += length;
    return bytes;
  },
};
