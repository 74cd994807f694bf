/** Request ids as S3 has them: 16 upper-case hex digits. Random, drawn from a block so that one costs no system call. */
import type { Random } from '../base/random.ts';

const ID_BYTES = 8;
const BLOCK_BYTES = 4096;

export class RequestIds {
  readonly #random: Random;
  #block: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  next(): string {
    if (this.#at >= this.#block.length) {
      this.#block = this.#random.bytes(BLOCK_BYTES);
      this.#at = 0;
    }
    this.#at += ID_BYTES;
    return this.#block.toString('hex', this.#at - ID_BYTES, this.#at).toUpperCase();
  }
}
