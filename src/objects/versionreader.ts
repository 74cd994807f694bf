/**
 * Streams bytes of a version: part by part, in windows of whole chunks, each authenticated before it is given out. While the
 * consumer drains one window, up to three more are read, as long as the memory set aside for reading ahead lasts.
 *
 * A piece is valid until the next one is asked for. Memory does not depend on the object's size: a few windows, and the extents
 * of one content. Windows of large reads stay in the stripe layer's pool while they are sent, so their number is bounded below
 * the pool's; what is small is copied out and never waits behind slow readers of large objects.
 */
import { Gate } from '../base/limits.ts';
import { KIB, MIB } from '../base/units.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import type { OpenedPiece, StripeStore } from '../stripes/types.ts';
import type { ContentKeys } from './contentkeys.ts';
import { type ContentWindow, openContentReader } from './contentreader.ts';
import type { PartIndex } from './partindex.ts';
import type { ByteRange } from './ranges.ts';

/** Windows of one stream that are read or held at the same time. */
const WINDOWS_PER_STREAM_MAX = 4;
/** Large windows in all streams. The pool has 48 buffers (src/stripes/engine/memory.ts): some stay free for small reads. */
const LARGE_WINDOWS_MAX = 40;
/** Of these, windows beyond the first of each stream: who reads slowly must not keep others from beginning. */
const LARGE_WINDOWS_AHEAD_MAX = 24;
const SMALL_WINDOW_BYTES_MAX = 64 * KIB;
/** Copies of small windows that are being sent. */
const SMALL_WINDOWS_BYTES_MAX = 16 * MIB;

interface Pending {
  readonly piece: Promise<OpenedPiece>;
  readonly window: ContentWindow;
}

/** Made once: an abort without a reason makes an exception with a stack each time. */
const STREAM_ENDED = new Error('nobody reads this stream any more');

export class VersionReader {
  readonly #engine: MetadataEngine;
  readonly #stripes: StripeStore;
  readonly #contentKeys: ContentKeys;
  readonly #large = new Gate('large windows being read', LARGE_WINDOWS_MAX);
  readonly #ahead = new Gate('windows read ahead', LARGE_WINDOWS_AHEAD_MAX);
  readonly #small = new Gate('small windows being sent', SMALL_WINDOWS_BYTES_MAX);

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
    let next: ContentWindow | undefined;
    try {
      for (;;) {
        while (pending.length < WINDOWS_PER_STREAM_MAX) {
          next ??= (await windows.next()).value ?? undefined;
          if (next === undefined) break;
          const release = await this.#enter(next, pending.length > 0, stop.signal);
          if (release === undefined) break;
          pending.push({ piece: openWindow(next, release, stop.signal), window: next });
          next = undefined;
        }
        const head = pending.shift();
        if (head === undefined) return;
        const piece = await head.piece;
        try {
          yield piece.plaintext;
        } finally {
          piece.release();
        }
      }
    } finally {
      signal.removeEventListener('abort', stopped);
      if (pending.length > 0) stop.abort(STREAM_ENDED);
      for (const { piece } of pending) piece.then((opened) => opened.release()).catch(() => {});
      await windows.return();
    }
  }

  /** Takes the window's share of memory: waits for the first of a stream, or says at once that there is none to read ahead. */
  async #enter(
    window: ContentWindow,
    isAhead: boolean,
    signal: AbortSignal,
  ): Promise<(() => void) | undefined> {
    const { lengthBytes } = window;
    if (lengthBytes <= SMALL_WINDOW_BYTES_MAX) {
      if (!isAhead) await this.#small.acquire(lengthBytes, signal);
      else if (!this.#small.tryAcquire(lengthBytes)) return undefined;
      return () => this.#small.release(lengthBytes);
    }
    if (!isAhead) {
      await this.#large.acquire(1, signal);
      return () => this.#large.release();
    }
    if (!this.#ahead.tryAcquire()) return undefined;
    if (!this.#large.tryAcquire()) {
      this.#ahead.release();
      return undefined;
    }
    return () => {
      this.#large.release();
      this.#ahead.release();
    };
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

/** The bytes of a window that were asked for. `leave` gives back its share of memory, also when it fails. */
function openWindow(window: ContentWindow, leave: () => void, signal: AbortSignal): Promise<OpenedPiece> {
  const { skipBytes, lengthBytes } = window;
  const piece = window.open(signal).then(
    (opened) => {
      const wanted = opened.plaintext.subarray(skipBytes, skipBytes + lengthBytes);
      if (lengthBytes > SMALL_WINDOW_BYTES_MAX) {
        return {
          plaintext: wanted,
          release: () => {
            opened.release();
            leave();
          },
        };
      }
      const plaintext = Buffer.from(wanted);
      opened.release();
      return { plaintext, release: leave };
    },
    (error: unknown) => {
      leave();
      throw error;
    },
  );
  // Whoever takes it sees the failure; until then it is nobody's.
  piece.catch(() => {});
  return piece;
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
