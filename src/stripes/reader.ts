/**
 * Reads plaintext out of stripes. The plain path touches only the data fragments in which the range lies, and of them only the bytes
 * it needs, and trusts the AEAD. When a fragment is missing, fails or is late, the same columns of k others are read and decoded.
 * When a tag fails, every fragment is verified to find the one that lies. A wrong byte never leaves this file: what is returned
 * has passed its authentication tag.
 */
import { assert } from '../base/assert.ts';
import { HoldfastError, hasCode } from '../base/errors.ts';
import { roundUp } from '../base/units.ts';
import { codecById } from '../coding/registry.ts';
import { CHUNK_SEALED_BYTES } from '../crypto/chunked.ts';
import type { StripeRecord } from '../metadata/records.ts';
import type { ReadBuffer, RepairBuffer, StripeEngine } from './engine/types.ts';
import { isGoodBit } from './fragments.ts';
import { cheapestFirst, gather, type ReadParts, readFragment } from './gather.ts';
import type { OpenedPiece, OpenRun } from './types.ts';
import { readVerified } from './verified.ts';

/** Columns are decoded in whole steps of this size, as codec 2 wants it. */
const COLUMN_STEP_BYTES = 64;

interface Piece {
  readonly index: number;
  /** Within the fragment. */
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Within the range that is read. */
  readonly targetBytes: number;
}

export class StripeReader {
  readonly #parts: ReadParts & { readonly engine: StripeEngine };

  constructor(parts: ReadParts & { readonly engine: StripeEngine }) {
    this.#parts = parts;
  }

  async open(run: OpenRun, signal?: AbortSignal): Promise<OpenedPiece> {
    const lengthBytes = (run.chunkCount - 1) * CHUNK_SEALED_BYTES + run.lastChunkLengthBytes;
    const pieces = piecesOf(run.record, run.payloadOffsetBytes, lengthBytes);
    let buffer = await this.#parts.engine.acquireRead(signal);
    const unsettled: Promise<unknown>[] = [];
    try {
      assert(lengthBytes <= buffer.ciphertext.length, 'a read asks for more chunks than a window holds');
      const plain = await this.#readPlain(run, pieces, buffer.ciphertext, unsettled);
      if (!plain) {
        // A late read may still write to this buffer: what is decoded goes to another one.
        if (unsettled.length > 0) {
          releaseWhenSettled(buffer, unsettled.splice(0));
          buffer = await this.#parts.engine.acquireRead(signal);
        }
        await this.#readDegraded(run, pieces, lengthBytes, buffer.ciphertext, signal);
      }
      const plaintext = await this.#authenticate(run, pieces, lengthBytes, buffer, signal);
      const held = buffer;
      return { plaintext, release: () => held.release() };
    } catch (error) {
      releaseWhenSettled(buffer, unsettled);
      throw error;
    }
  }

  /** True when every data fragment of the range answered in time. */
  async #readPlain(
    run: OpenRun,
    pieces: readonly Piece[],
    ciphertext: Uint8Array,
    unsettled: Promise<unknown>[],
  ): Promise<boolean> {
    if (pieces.some(({ index }) => !isGoodBit(run.record, index))) return false;
    const reads = pieces.map(({ index, offsetBytes, lengthBytes, targetBytes }) => {
      const target = ciphertext.subarray(targetBytes, targetBytes + lengthBytes);
      return readFragment(this.#parts, run, index, offsetBytes, target, unsettled);
    });
    return (await Promise.all(reads)).every((done) => done);
  }

  /** Decrypts; when a tag fails, finds out which fragment lies, goes without it, and decrypts again. */
  async #authenticate(
    run: OpenRun,
    pieces: readonly Piece[],
    lengthBytes: number,
    buffer: ReadBuffer,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    try {
      return await this.#decrypt(run, buffer, lengthBytes, signal);
    } catch (error) {
      if (!hasCode(error, 'AuthenticationFailed')) throw error;
    }
    await this.#readFromVerified(run, pieces, buffer.ciphertext, signal);
    return this.#decrypt(run, buffer, lengthBytes, signal);
  }

  async #decrypt(
    run: OpenRun,
    buffer: ReadBuffer,
    lengthBytes: number,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    const { aeadKey, baseNonce, firstChunkIndex, final } = run;
    const ciphertext = buffer.ciphertext.subarray(0, lengthBytes);
    const { plaintext } = buffer;
    const request = { ciphertext, plaintext, aeadKey, baseNonce, firstChunkIndex, final };
    return plaintext.subarray(0, await this.#parts.engine.openChunks(request, signal));
  }

  /** Columns of k fragments, not verified: the tag will tell. */
  async #readDegraded(
    run: OpenRun,
    pieces: readonly Piece[],
    lengthBytes: number,
    ciphertext: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { record } = run;
    const columns = columnsOf(record, pieces);
    const needed = new Set(pieces.map(({ index }) => index));
    const all = record.nodes.map((_, index) => index).filter((index) => isGoodBit(record, index));
    const order = cheapestFirst(this.#parts.grid, record, all, needed);
    const memory = await this.#parts.engine.acquireRescue(signal);
    const unsettled: Promise<unknown>[] = [];
    try {
      const areaOf = (index: number) =>
        memory.fragments.subarray(index * columns.lengthBytes, (index + 1) * columns.lengthBytes);
      const { offsetBytes } = columns;
      const gathered = await gather(this.#parts, run, order, record.k, offsetBytes, areaOf, unsettled);
      const present = record.nodes.map((_, index) =>
        gathered.indices.includes(index) ? areaOf(index) : undefined,
      );
      await this.#reconstruct(
        record,
        present,
        needed,
        (index) => this.#freshArea(index, areaOf, unsettled),
        signal,
      );
      assemble(pieces, present, columns.offsetBytes, ciphertext);
      assert(lengthBytes <= ciphertext.length, 'assembled more than there is room for');
    } finally {
      releaseWhenSettled(memory, unsettled);
    }
  }

  /** Where a fragment is decoded to: its own place, unless a late read may still write there. */
  #freshArea(
    index: number,
    areaOf: (index: number) => Uint8Array,
    unsettled: readonly unknown[],
  ): Uint8Array {
    const area = areaOf(index);
    return unsettled.length === 0 ? area : new Uint8Array(new SharedArrayBuffer(area.length));
  }

  /** The range from fragments whose roots and MACs were checked. */
  async #readFromVerified(
    run: OpenRun,
    pieces: readonly Piece[],
    ciphertext: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { record } = run;
    const needed = new Set(pieces.map(({ index }) => index));
    const memory = await this.#parts.engine.acquireRescue(signal);
    const unsettled: Promise<unknown>[] = [];
    try {
      const verified = await readVerified(this.#parts, run, memory.fragments, record.k, unsettled, {
        preferred: needed,
      });
      const areaOf = (index: number) =>
        memory.fragments.subarray(
          index * record.fragmentLengthBytes,
          (index + 1) * record.fragmentLengthBytes,
        );
      const present = [...verified.present];
      await this.#reconstruct(
        record,
        present,
        needed,
        (index) => this.#freshArea(index, areaOf, unsettled),
        signal,
      );
      assemble(pieces, present, 0, ciphertext);
    } finally {
      releaseWhenSettled(memory, unsettled);
    }
  }

  /** Decodes what is needed and not present, and puts it among `present`. */
  async #reconstruct(
    record: StripeRecord,
    present: (Uint8Array | undefined)[],
    needed: ReadonlySet<number>,
    areaOf: (index: number) => Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const wanted = new Map<number, Uint8Array>();
    for (const index of needed) if (present[index] === undefined) wanted.set(index, areaOf(index));
    if (wanted.size === 0) return;
    const profile = { k: record.k, m: record.m, codecId: record.codec };
    await this.#parts.engine.reconstruct(profile, present, wanted, signal);
    for (const [index, area] of wanted) present[index] = area;
  }
}

/** Which bytes of which data fragments a payload range is made of. */
function piecesOf(record: StripeRecord, offsetBytes: number, lengthBytes: number): Piece[] {
  const f = record.fragmentLengthBytes;
  if (lengthBytes <= 0 || offsetBytes + lengthBytes > record.k * f) {
    throw new HoldfastError('InternalError', { detail: 'a content points behind the end of its stripe' });
  }
  const pieces: Piece[] = [];
  for (let at = offsetBytes; at < offsetBytes + lengthBytes; ) {
    const index = Math.floor(at / f);
    const within = at - index * f;
    const taken = Math.min(f - within, offsetBytes + lengthBytes - at);
    pieces.push({ index, offsetBytes: within, lengthBytes: taken, targetBytes: at - offsetBytes });
    at += taken;
  }
  return pieces;
}

/** The columns that hold all pieces, in whole steps; all of them for a codec that cannot decode a part. */
function columnsOf(
  record: StripeRecord,
  pieces: readonly Piece[],
): { offsetBytes: number; lengthBytes: number } {
  const whole = { offsetBytes: 0, lengthBytes: record.fragmentLengthBytes };
  if (!codecById(record.codec).columnwise) return whole;
  const first = Math.min(...pieces.map((piece) => piece.offsetBytes));
  const last = Math.max(...pieces.map((piece) => piece.offsetBytes + piece.lengthBytes));
  const offsetBytes = Math.floor(first / COLUMN_STEP_BYTES) * COLUMN_STEP_BYTES;
  const end = Math.min(roundUp(last, COLUMN_STEP_BYTES), record.fragmentLengthBytes);
  return { offsetBytes, lengthBytes: end - offsetBytes };
}

function assemble(
  pieces: readonly Piece[],
  present: readonly (Uint8Array | undefined)[],
  columnOffsetBytes: number,
  ciphertext: Uint8Array,
): void {
  for (const { index, offsetBytes, lengthBytes, targetBytes } of pieces) {
    const area = present[index];
    assert(area !== undefined, 'a fragment that was to be decoded is not there');
    const from = offsetBytes - columnOffsetBytes;
    ciphertext.set(area.subarray(from, from + lengthBytes), targetBytes);
  }
}

function releaseWhenSettled(buffer: ReadBuffer | RepairBuffer, unsettled: readonly Promise<unknown>[]): void {
  if (unsettled.length === 0) buffer.release();
  else void Promise.allSettled(unsettled).then(() => buffer.release());
}
