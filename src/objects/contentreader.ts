/**
 * Reads one content: from plaintext offsets to runs of chunks in stripes. A window never crosses a stripe and has at most as
 * many chunks as the stripe layer opens at once.
 *
 * Compaction may move a content while it is read, extent for extent; the old fragments stay for an hour. A window whose stripe is
 * gone all the same resolves the content again, once.
 */
import { defined } from '../base/assert.ts';
import { HoldfastError, hasCode } from '../base/errors.ts';
import {
  CHUNK_PLAINTEXT_BYTES,
  CHUNK_SEALED_BYTES,
  type ChunkKeys,
  chunkCount,
  TAG_BYTES,
} from '../crypto/chunked.ts';
import type { AuthenticContent } from '../crypto/content.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { decodeRecord, type Extent, type StripeRecord } from '../metadata/records.ts';
import type { OpenedPiece, OpenRun, StripeStore } from '../stripes/types.ts';
import type { ContentKeys } from './contentkeys.ts';
import { extentsOf, readContent } from './contents.ts';
import type { ByteRange } from './ranges.ts';

export interface ContentWindow {
  /** Bytes of the opened plaintext before those that were asked for. */
  readonly skipBytes: number;
  readonly lengthBytes: number;
  open(signal: AbortSignal): Promise<OpenedPiece>;
}

interface Parts {
  readonly engine: MetadataEngine;
  readonly stripes: StripeStore;
  readonly contentKeys: ContentKeys;
}

interface Located {
  readonly extents: readonly Extent[];
  readonly streamKeys: ChunkKeys;
}

/** `sizeBytes` is what version or part list say. @throws AuthenticationFailed, DataUnavailable when the content is gone */
export async function openContentReader(
  parts: Parts,
  content: AuthenticContent,
  sizeBytes: number,
): Promise<ContentReader> {
  return new ContentReader(parts, content, sizeBytes, await locate(parts, content, sizeBytes));
}

async function locate(parts: Parts, content: AuthenticContent, sizeBytes: number): Promise<Located> {
  const record = await readContent(parts.engine, content.contentId);
  if (record === undefined) throw gone();
  if (record.sizeBytes !== sizeBytes) {
    throw new HoldfastError('AuthenticationFailed', {
      detail: 'a content does not have the length it should',
    });
  }
  const streamKeys = await parts.contentKeys.open(content, record);
  const extents = await extentsOf((key) => parts.engine.get(key), content.contentId, record);
  return { extents, streamKeys };
}

function gone(): HoldfastError {
  return new HoldfastError('DataUnavailable', { detail: 'the object was deleted while it was being read' });
}

class ContentReader {
  readonly #parts: Parts;
  readonly #content: AuthenticContent;
  readonly #sizeBytes: number;
  #located: Located;
  /** The record that the last window needed: the next is mostly in the same stripe. */
  #stripe: { readonly stripeId: Buffer; readonly record: StripeRecord } | undefined;

  constructor(parts: Parts, content: AuthenticContent, sizeBytes: number, located: Located) {
    this.#parts = parts;
    this.#content = content;
    this.#sizeBytes = sizeBytes;
    this.#located = located;
  }

  /** In order. `range` is not empty and lies inside the content. */
  *windows(range: ByteRange): Generator<ContentWindow, void, void> {
    const endByte = range.firstByte + range.lengthBytes;
    const endChunk = Math.ceil(endByte / CHUNK_PLAINTEXT_BYTES);
    let chunk = Math.floor(range.firstByte / CHUNK_PLAINTEXT_BYTES);
    let firstChunkOfExtent = 0;
    for (let i = 0; i < this.#located.extents.length && chunk < endChunk; i++) {
      const extent = defined(this.#located.extents[i], 'extent');
      const nextExtent = firstChunkOfExtent + Math.ceil(extent.lengthBytes / CHUNK_SEALED_BYTES);
      while (chunk < Math.min(nextExtent, endChunk)) {
        const count = Math.min(this.#parts.stripes.openChunksMax, Math.min(nextExtent, endChunk) - chunk);
        yield this.#window(i, chunk, chunk - firstChunkOfExtent, count, range.firstByte, endByte);
        chunk += count;
      }
      firstChunkOfExtent = nextExtent;
    }
    if (chunk < endChunk) {
      throw new HoldfastError('AuthenticationFailed', { detail: 'a content has fewer bytes than it should' });
    }
  }

  #window(
    extentIndex: number,
    firstChunk: number,
    chunkInExtent: number,
    count: number,
    firstByte: number,
    endByte: number,
  ): ContentWindow {
    const windowStart = firstChunk * CHUNK_PLAINTEXT_BYTES;
    const windowEnd = (firstChunk + count) * CHUNK_PLAINTEXT_BYTES;
    const skipBytes = Math.max(0, firstByte - windowStart);
    return {
      skipBytes,
      lengthBytes: Math.min(windowEnd, endByte) - windowStart - skipBytes,
      open: (signal) => this.#open(extentIndex, firstChunk, chunkInExtent, count, signal),
    };
  }

  async #open(
    extentIndex: number,
    firstChunk: number,
    chunkInExtent: number,
    count: number,
    signal: AbortSignal,
  ): Promise<OpenedPiece> {
    const final = firstChunk + count === chunkCount(this.#sizeBytes);
    const lastBytes = final ? (this.#sizeBytes % CHUNK_PLAINTEXT_BYTES) + TAG_BYTES : CHUNK_SEALED_BYTES;
    const run = (extent: Extent) => ({
      stripeId: extent.stripeId,
      payloadOffsetBytes: extent.offsetBytes + chunkInExtent * CHUNK_SEALED_BYTES,
      chunkCount: count,
      lastChunkLengthBytes: lastBytes,
      firstChunkIndex: firstChunk,
      final,
    });
    try {
      return await this.#openRun(run(this.#extent(extentIndex)), signal);
    } catch (error) {
      if (signal.aborted || !hasCode(error, 'DataUnavailable')) throw error;
      this.#stripe = undefined;
      this.#located = await locate(this.#parts, this.#content, this.#sizeBytes);
      return await this.#openRun(run(this.#extent(extentIndex)), signal);
    }
  }

  #extent(index: number): Extent {
    return defined(this.#located.extents[index], 'extent');
  }

  async #openRun(
    run: Omit<OpenRun, 'record' | 'aeadKey' | 'baseNonce'>,
    signal: AbortSignal,
  ): Promise<OpenedPiece> {
    const unpin = this.#parts.stripes.pin(run.stripeId);
    try {
      const record = await this.#stripeRecord(run.stripeId);
      const { aeadKey, baseNonce } = this.#located.streamKeys;
      const piece = await this.#parts.stripes.open({ ...run, record, aeadKey, baseNonce }, signal);
      return {
        plaintext: piece.plaintext,
        release: () => {
          piece.release();
          unpin();
        },
      };
    } catch (error) {
      unpin();
      throw error;
    }
  }

  async #stripeRecord(stripeId: Buffer): Promise<StripeRecord> {
    if (this.#stripe?.stripeId.equals(stripeId)) return this.#stripe.record;
    const bytes = await this.#parts.engine.get(keys.stripe(stripeId));
    if (bytes === undefined) throw gone();
    const record = decodeRecord<StripeRecord>(bytes);
    this.#stripe = { stripeId, record };
    return record;
  }
}
