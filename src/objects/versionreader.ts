/**
 * Streams bytes of a version: part by part, in windows of whole chunks, each authenticated before it is given out. While the
 * consumer drains one window, up to three more are read, as long as the memory set aside for reading ahead lasts.
 *
 * A piece is valid until the next one is asked for. Memory does not depend on the object's size: a few windows, and the extents
 * of one content.
 */
import { Gate } from '../base/limits.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import type { OpenedPiece, StripeStore } from '../stripes/types.ts';
import type { ContentKeys } from './contentkeys.ts';
import { type ContentWindow, openContentReader } from './contentreader.ts';
import type { PartIndex } from './partindex.ts';
import type { ByteRange } from './ranges.ts';

/** Windows of one stream that are read or held at the same time. */
const WINDOWS_PER_STREAM_MAX = 4;
/** Windows beyond the first of each stream, in all streams: who reads slowly must not keep others from beginning. */
const WINDOWS_AHEAD_MAX = 32;

/** Made once: an abort without a reason makes an exception with a stack each time. */
const STREAM_ENDED = new Error('nobody reads this stream any more');

interface Pending {
  readonly piece: Promise<OpenedPiece>;
  readonly isAhead: boolean;
  readonly window: ContentWindow;
}

export class VersionReader {
  readonly #engine: MetadataEngine;
  readonly #stripes: StripeStore;
  readonly #contentKeys: ContentKeys;
  readonly #ahead = new Gate('windows read ahead', WINDOWS_AHEAD_MAX);

  constructor(engine: MetadataEngine, stripes: StripeStore, contentKeys: ContentKeys) {
    this.#engine = engine;
    this.#stripes = stripes;
    this.#contentKeys = contentKeys;
  }

  /** @throws AuthenticationFailed, DataUnavailable, or the signal's reason */
  async *read(
    index: PartIndex,
    range: ByteRange,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, void> {
    if (range.lengthBytes === 0) return;
    const windows = this.#windows(index, range);
    const stop = new AbortController();
    const stopped = () => stop.abort(signal.reason);
    signal.addEventListener('abort', stopped, { once: true });
    if (signal.aborted) stopped();
    const pending: Pending[] = [];
    try {
      for (;;) {
        await this.#fillAhead(windows, pending, stop.signal);
        const head = pending.shift();
        if (head === undefined) return;
        const piece = await this.#take(head);
        try {
          const { skipBytes, lengthBytes } = head.window;
          yield piece.plaintext.subarray(skipBytes, skipBytes + lengthBytes);
        } finally {
          piece.release();
          if (head.isAhead) this.#ahead.release();
        }
      }
    } finally {
      signal.removeEventListener('abort', stopped);
      if (pending.length > 0) stop.abort(STREAM_ENDED);
      for (const left of pending) this.#drop(left);
      await windows.return();
    }
  }

  async #fillAhead(
    windows: AsyncGenerator<ContentWindow, void, void>,
    pending: Pending[],
    signal: AbortSignal,
  ): Promise<void> {
    while (pending.length < WINDOWS_PER_STREAM_MAX) {
      const isAhead = pending.length > 0;
      if (isAhead && !this.#ahead.tryAcquire()) return;
      const { done, value } = await windows.next().catch((error: unknown) => {
        if (isAhead) this.#ahead.release();
        throw error;
      });
      if (done) {
        if (isAhead) this.#ahead.release();
        return;
      }
      const piece = value.open(signal);
      // Whoever takes it sees the failure; until then it is nobody's.
      piece.catch(() => {});
      pending.push({ piece, isAhead, window: value });
    }
  }

  async #take({ piece, isAhead }: Pending): Promise<OpenedPiece> {
    try {
      return await piece;
    } catch (error) {
      if (isAhead) this.#ahead.release();
      throw error;
    }
  }

  #drop({ piece, isAhead }: Pending): void {
    piece
      .then(
        (opened) => opened.release(),
        () => {},
      )
      .finally(() => isAhead && this.#ahead.release());
  }

  /** The windows that `range` lies in, over all parts. */
  async *#windows(index: PartIndex, range: ByteRange): AsyncGenerator<ContentWindow, void, void> {
    const { contents, starts } = index;
    const endByte = range.firstByte + range.lengthBytes;
    for (let i = partAt(starts, range.firstByte); i < contents.length; i++) {
      const startByte = starts[i] ?? 0;
      const sizeBytes = (starts[i + 1] ?? 0) - startByte;
      if (startByte >= endByte) return;
      const firstByte = Math.max(0, range.firstByte - startByte);
      const lengthBytes = Math.min(sizeBytes, endByte - startByte) - firstByte;
      const content = contents[i];
      if (lengthBytes <= 0 || content === undefined) continue;
      const reader = await openContentReader(
        { engine: this.#engine, stripes: this.#stripes, contentKeys: this.#contentKeys },
        content,
        sizeBytes,
      );
      yield* reader.windows({ firstByte, lengthBytes });
    }
  }
}

/** The last part that begins at or before `byte`, by binary search; empty parts before it do no harm. */
function partAt(starts: Float64Array, byte: number): number {
  let low = 0;
  let high = starts.length - 2;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((starts[middle] ?? 0) <= byte) low = middle;
    else high = middle - 1;
  }
  return low;
}
