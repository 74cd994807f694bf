/**
 * Memory for the fragments of one stripe while it is read and decoded: one area for each, in a pooled buffer. A stripe that is wider than
 * those of today's profile does not fit; what is missing is allocated for the time being, and the place in the pool bounds how often.
 */
import { HoldfastError } from '../base/errors.ts';
import { MIB } from '../base/units.ts';
import type { RepairBuffer } from './engine/types.ts';

/** Beyond the pooled buffer, for one stripe. Enough for any code with k ≥ m. */
const EXTRA_BYTES_MAX = 64 * MIB;

/** A read that missed its deadline. */
export interface LateRead {
  readonly index: number;
  /** Never rejects; true when the bytes arrived after all. */
  readonly ended: Promise<boolean>;
}

export class Scratch {
  /** Reads that may still write into these areas. */
  readonly late: LateRead[] = [];
  readonly #buffer: RepairBuffer;
  readonly #areaBytes: number;
  readonly #extra = new Map<number, Uint8Array>();
  readonly #users: Promise<unknown>[] = [];
  #extraBytes = 0;

  /** Takes the buffer over: `release` gives it back. */
  constructor(buffer: RepairBuffer, areaBytes: number) {
    this.#buffer = buffer;
    this.#areaBytes = areaBytes;
  }

  /** The area of fragment `index`, in shared memory. @throws DataUnavailable when the stripe is too wide for this server */
  area(index: number): Uint8Array {
    const end = (index + 1) * this.#areaBytes;
    if (end <= this.#buffer.fragments.length)
      return this.#buffer.fragments.subarray(end - this.#areaBytes, end);
    let area = this.#extra.get(index);
    if (area === undefined) {
      area = this.#allocate();
      this.#extra.set(index, area);
    }
    return area;
  }

  /** Where fragment `index` is decoded to: its own area, unless a late read may still write there. */
  target(index: number): Uint8Array {
    return this.late.some((read) => read.index === index) ? this.#allocate() : this.area(index);
  }

  /** The areas are in use until `work` has settled. */
  hold(work: Promise<unknown>): void {
    this.#users.push(work);
  }

  release(): void {
    const users = [...this.#users, ...this.late.map(({ ended }) => ended)];
    if (users.length === 0) this.#buffer.release();
    else this.#buffer.releaseAfter(Promise.allSettled(users));
  }

  #allocate(): Uint8Array {
    this.#extraBytes += this.#areaBytes;
    if (this.#extraBytes > EXTRA_BYTES_MAX) {
      throw new HoldfastError('DataUnavailable', {
        detail: `a stripe with fragments of ${this.#areaBytes} bytes is too wide for this server's memory`,
      });
    }
    return new Uint8Array(new SharedArrayBuffer(this.#areaBytes));
  }
}
