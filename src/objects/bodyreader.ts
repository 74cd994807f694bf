/**
 * Pulls a request body into memory that the caller provides: one copy from the network's buffer to where the bytes are sealed.
 * A piece is used up before the next one is asked for, so the source may reuse its memory.
 */
import { HoldfastError } from '../base/errors.ts';

export class BodyReader {
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #sizeBytesMax: number;
  #piece: Uint8Array = new Uint8Array(0);
  /** What follows `#piece` and is pulled already. */
  #next: Uint8Array | undefined;
  #ended = false;
  #pulledBytes = 0;

  /** More than `sizeBytesMax` bytes are refused with EntityTooLarge. */
  constructor(body: AsyncIterable<Uint8Array>, sizeBytesMax: number) {
    this.#iterator = body[Symbol.asyncIterator]();
    this.#sizeBytesMax = sizeBytesMax;
  }

  /** Waits for a byte or the end. @throws EntityTooLarge, or what the source throws */
  async atEnd(): Promise<boolean> {
    if (this.#piece.length === 0 && this.#next !== undefined) {
      this.#piece = this.#next;
      this.#next = undefined;
    }
    while (this.#piece.length === 0 && !this.#ended) {
      const { done, value } = await this.#iterator.next();
      if (done) {
        this.#ended = true;
      } else {
        this.#piece = value;
        this.#pulledBytes += value.length;
        if (this.#pulledBytes > this.#sizeBytesMax) throw tooLarge(this.#pulledBytes, this.#sizeBytesMax);
      }
    }
    return this.#ended && this.#piece.length === 0;
  }

  /** Fills `target` from its start; fewer bytes than it has room for only at the end of the body. Returns the count. */
  async fill(target: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < target.length) {
      if (this.#piece.length === 0 && (await this.atEnd())) break;
      const taken = Math.min(this.#piece.length, target.length - filled);
      target.set(taken === this.#piece.length ? this.#piece : this.#piece.subarray(0, taken), filled);
      this.#piece = this.#piece.subarray(taken);
      filled += taken;
    }
    return filled;
  }

  /** Tells the source that no more is wanted. */
  async cancel(): Promise<void> {
    if (!this.#ended) await this.#iterator.return?.();
  }

  /** Puts bytes that were taken out back in front. At most once. */
  prepend(head: Uint8Array): void {
    if (this.#piece.length > 0) this.#next = this.#piece;
    this.#piece = head;
  }
}

export function tooLarge(sizeBytes: number, sizeBytesMax: number): HoldfastError {
  return new HoldfastError('EntityTooLarge', {
    fields: { ProposedSize: String(sizeBytes), MaxSizeAllowed: String(sizeBytesMax) },
  });
}
