/**
 * Pulls a request body into memory that the caller provides: one copy from the network's buffer to where the bytes are sealed.
 * A piece is used up before the next one is asked for, so the source may reuse its memory.
 */
import { HoldfastError } from '../base/errors.ts';
import type { IncomingBody } from './types.ts';

/** Ends a wait for the next bytes without losing them. */
export interface FillDeadline {
  readonly passed: Promise<void>;
  leftMs(): number;
}

type BodySource = AsyncIterable<Uint8Array> & Partial<Pick<IncomingBody, 'receive' | 'receiving'>>;

export class BodyReader {
  readonly #source: BodySource;
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #sizeBytesMax: number;
  /** What is pulled and not taken: at most what was put back, and one piece of the source. */
  readonly #pieces: Uint8Array[] = [];
  #pulling: Promise<void> | undefined;
  #ended = false;
  #pulledBytes = 0;

  /** More than `sizeBytesMax` bytes are refused with EntityTooLarge. */
  constructor(body: BodySource, sizeBytesMax: number) {
    this.#source = body;
    this.#iterator = body[Symbol.asyncIterator]();
    this.#sizeBytesMax = sizeBytesMax;
  }

  /** Waits for a byte or the end. @throws EntityTooLarge, or what the source throws */
  async atEnd(): Promise<boolean> {
    while (this.#pieces.length === 0 && !this.#ended) {
      if (this.#source.receiving === true) return false;
      await this.#pull();
    }
    return this.#pieces.length === 0;
  }

  /** Asks the source for one piece; who comes while it is on its way waits for the same. */
  #pull(): Promise<void> {
    this.#pulling ??= this.#pullOnce().finally(() => {
      this.#pulling = undefined;
    });
    return this.#pulling;
  }

  async #pullOnce(): Promise<void> {
    const { done, value } = await this.#iterator.next();
    if (done) {
      this.#ended = true;
      return;
    }
    this.#pulledBytes += value.length;
    if (this.#pulledBytes > this.#sizeBytesMax) throw tooLarge(this.#pulledBytes, this.#sizeBytesMax);
    if (value.length > 0) this.#pieces.push(value);
  }

  /**
   * Fills `target` from its start; returns the count. Fewer bytes than it has room for at the end of the body, or when the
   * deadline passes while the source has nothing.
   */
  async fill(target: Uint8Array, deadline?: FillDeadline): Promise<number> {
    let filled = 0;
    let late = false;
    const passed = deadline?.passed.then(() => {
      late = true;
    });
    while (filled < target.length) {
      const piece = this.#pieces[0];
      if (piece === undefined) {
        if (this.#ended || late) break;
        const received = deadline && (await this.#receive(target.subarray(filled), deadline));
        if (received !== undefined) {
          filled += received;
          continue;
        }
        await (passed === undefined ? this.#pull() : Promise.race([this.#pull(), passed]));
        continue;
      }
      const taken = Math.min(piece.length, target.length - filled);
      target.set(taken === piece.length ? piece : piece.subarray(0, taken), filled);
      filled += taken;
      if (taken === piece.length) this.#pieces.shift();
      else this.#pieces[0] = piece.subarray(taken);
    }
    return filled;
  }

  /** Bytes that come the shorter way; undefined when the source has to be pulled. */
  async #receive(target: Uint8Array, deadline: FillDeadline): Promise<number | undefined> {
    if (this.#pulling !== undefined) return undefined;
    const lengthBytes = await this.#source.receive?.(target, deadline.leftMs());
    this.#pulledBytes += lengthBytes ?? 0;
    return lengthBytes;
  }

  /** Tells the source that no more is wanted. Does not wait for one that is waiting for its client. */
  async cancel(): Promise<void> {
    if (this.#ended) return;
    const returned = this.#iterator.return?.();
    if (this.#pulling === undefined) await returned;
    else returned?.catch(() => {});
  }

  /** Puts bytes that were taken out back in front; their memory must stay as it is until they are taken again. */
  prepend(head: Uint8Array): void {
    if (head.length > 0) this.#pieces.unshift(head);
  }
}

export function tooLarge(sizeBytes: number, sizeBytesMax: number): HoldfastError {
  return new HoldfastError('EntityTooLarge', {
    fields: { ProposedSize: String(sizeBytes), MaxSizeAllowed: String(sizeBytesMax) },
  });
}
