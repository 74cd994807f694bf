import { randomFillSync } from 'node:crypto';

/** Randomness comes in through this seam; only tests and the simulator pass anything but `systemRandom`. */
export interface Random {
  /** `length` fresh random bytes in a buffer of their own (never a slice of a shared pool). */
  bytes(length: number): Buffer;
}

export const systemRandom: Random = {
  bytes: (length) => randomFillSync(Buffer.alloc(length)),
};
