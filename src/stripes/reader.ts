/**
 * Reads plaintext out of stripes. The plain path touches only the data fragments in which the range lies, and of them only the bytes
 * it needs, and trusts the AEAD. When a fragment is missing, fails or is late, the same columns of k others are read and decoded.
 * When a tag fails, every fragment is verified to find the one that lies. A wrong byte never leaves this file: what is returned
 * has passed its authentication tag.
 */
import { assert } from '../base/assert.ts';
import { hasCode } from '../base/errors.ts';
import { roundUp } from '../base/units.ts';
import { codecById } from '../coding/registry.ts';
import { CHUNK_SEALED_BYTES } from '../crypto/chunked.ts';
import type { StripeRecord } from '../metadata/records.ts';
import { isGood } from './condition.ts';
import type { ReadBuffer } from './engine/types.ts';
import { allSettled } from './exchange.ts';
import { cheapestFirst, gather, holder, readFragment } from './gather.ts';
import { readLocally } from './localread.ts';
import { type FragmentPiece, piecesOf } from './pieces.ts';
import { type LateRead, Scratch } from './scratch.ts';
import type { OpenedPiece, OpenRun } from './types.ts';
import { readVerified, type VerifyParts } from './verified.ts';

/** Columns are decoded in whole steps of this size, as codec 2 wants it. */
const COLUMN_STEP_BYTES = 64;

export class StripeReader {
  readonly #parts: VerifyParts;

  constructor(parts: VerifyParts) {
    this.#parts = parts;
  }

  async open(run: OpenRun, signal?: AbortSignal): Promise<OpenedPiece> {
    const lengthBytes = (run.chunkCount - 1) * CHUNK_SEALED_BYTES + run.lastChunkLengthBytes;
    const pieces = piecesOf(run.record, run.payloadOffsetBytes, lengthBytes);
    const opened = await this.#openLocally(run, pieces, lengthBytes, signal);
    if (opened !== undefined) return opened;
    const buffer = await this.#readInto(run, pieces, lengthBytes, signal);
    try {
      const plaintext = await this.#authenticate(run, pieces, lengthBytes, buffer, signal);
      return { plaintext, release: () => buffer.release() };
    } catch (error) {
      buffer.release();
      throw error;
    }
  }

  /** In one trip, where all that it takes is at hand; undefined when that does not come to plaintext. */
  async #openLocally(
    run: OpenRun,
    pieces: readonly FragmentPiece[],
    lengthBytes: number,
    signal: AbortSignal | undefined,
  ): Promise<OpenedPiece | undefined> {
    const { engine } = this.#parts;
    if (!engine.canRead()) return undefined;
    const buffer = await engine.acquireRead(signal);
    let kept = false;
    let late: Promise<unknown> | undefined;
    try {
      assert(lengthBytes <= buffer.ciphertext.length, 'a read asks for more chunks than a window holds');
      const plain = this.#goesPlain(run.record, pieces);
      const read = await readLocally(this.#parts, run, pieces, lengthBytes, buffer, plain, signal);
      late = read.late;
      const { plaintext } = read;
      if (plaintext === undefined) return undefined;
      kept = true;
      return { plaintext, release: () => buffer.release() };
    } finally {
      if (late !== undefined) buffer.releaseAfter(late);
      else if (!kept) buffer.release();
    }
  }

  /** The sealed range, not yet authenticated, in a buffer that nothing else writes to. */
  async #readInto(
    run: OpenRun,
    pieces: readonly FragmentPiece[],
    lengthBytes: number,
    signal: AbortSignal | undefined,
  ): Promise<ReadBuffer> {
    const { engine } = this.#parts;
    const first = await engine.acquireRead(signal);
    const late: LateRead[] = [];
    let plain = false;
    try {
      assert(lengthBytes <= first.ciphertext.length, 'a read asks for more chunks than a window holds');
      plain = this.#goesPlain(run.record, pieces) && (await this.#readPlain(run, pieces, first, late));
    } finally {
      // A late read may still write to this buffer: what is decoded goes to another one.
      if (late.length > 0) first.releaseAfter(Promise.all(late.map(({ ended }) => ended)));
      else if (!plain) first.release();
    }
    if (plain) return first;
    const buffer = await engine.acquireRead(signal);
    try {
      await this.#readDegraded(run, pieces, buffer.ciphertext, signal);
      return buffer;
    } catch (error) {
      buffer.release();
      throw error;
    }
  }

  /**
   * Whether the data fragments themselves are asked. Not when one is known to be bad or its node does not answer; nor when its node is
   * suspect and others hold enough to do without it.
   */
  #goesPlain(record: StripeRecord, pieces: readonly FragmentPiece[]): boolean {
    const { grid } = this.#parts;
    const isSuspect = (index: number) => holder(grid, record, index)?.state !== 'online';
    if (!pieces.some(({ index }) => !isGood(record, index) || isSuspect(index))) return true;
    const isOut = ({ index }: FragmentPiece) =>
      !isGood(record, index) || holder(grid, record, index) === undefined;
    if (pieces.some(isOut)) return false;
    const sound = record.nodes.filter((_, index) => isGood(record, index) && !isSuspect(index));
    return sound.length < record.k;
  }

  /** True when every data fragment of the range answered in time. */
  async #readPlain(
    run: OpenRun,
    pieces: readonly FragmentPiece[],
    { ciphertext }: ReadBuffer,
    late: LateRead[],
  ): Promise<boolean> {
    const reads = pieces.map(({ index, offsetBytes, lengthBytes, targetBytes }) => {
      const target = ciphertext.subarray(targetBytes, targetBytes + lengthBytes);
      return readFragment(this.#parts, run, index, offsetBytes, target, late);
    });
    return (await allSettled(reads)).every((done) => done);
  }

  /** Decrypts; when a tag fails, finds out which fragment lies, goes without it, and decrypts again. */
  async #authenticate(
    run: OpenRun,
    pieces: readonly FragmentPiece[],
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

  /** Columns of k fragments, not verified: the tag will tell. Doubtful fragments are the last resort. */
  async #readDegraded(
    run: OpenRun,
    pieces: readonly FragmentPiece[],
    ciphertext: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { record } = run;
    const { offsetBytes, lengthBytes } = columnsOf(record, pieces);
    const needed = new Set(pieces.map(({ index }) => index));
    const scratch = new Scratch(await this.#parts.engine.acquireRescue(signal), lengthBytes);
    try {
      const order = cheapestFirst(
        this.#parts.grid,
        record,
        record.nodes.map((_, index) => index),
        needed,
      );
      const indices = await gather(this.#parts, run, order, record.k, offsetBytes, scratch);
      const present = record.nodes.map((_, index) =>
        indices.includes(index) ? scratch.area(index) : undefined,
      );
      await this.#reconstruct(record, present, needed, scratch, signal);
      assemble(pieces, present, offsetBytes, ciphertext);
    } finally {
      scratch.release();
    }
  }

  /** The range from fragments whose roots and MACs were checked. */
  async #readFromVerified(
    run: OpenRun,
    pieces: readonly FragmentPiece[],
    ciphertext: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { record } = run;
    const needed = new Set(pieces.map(({ index }) => index));
    const rescue = await this.#parts.engine.acquireRescue(signal);
    const scratch = new Scratch(rescue, record.fragmentLengthBytes);
    try {
      const { present } = await readVerified(this.#parts, run, scratch, record.k, { preferred: needed });
      await this.#reconstruct(record, present, needed, scratch, signal);
      assemble(pieces, present, 0, ciphertext);
    } finally {
      scratch.release();
    }
  }

  /** Decodes what is needed and not present, and puts it among `present`. */
  async #reconstruct(
    record: StripeRecord,
    present: (Uint8Array | undefined)[],
    needed: ReadonlySet<number>,
    scratch: Scratch,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const wanted = new Map<number, Uint8Array>();
    for (const index of needed) if (present[index] === undefined) wanted.set(index, scratch.target(index));
    if (wanted.size === 0) return;
    const profile = { k: record.k, m: record.m, codecId: record.codec };
    await this.#parts.engine.reconstruct(profile, present, wanted, signal);
    for (const [index, area] of wanted) present[index] = area;
  }
}

/** The columns that hold all pieces, in whole steps; all of them for a codec that cannot decode a part. */
function columnsOf(
  record: StripeRecord,
  pieces: readonly FragmentPiece[],
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
  pieces: readonly FragmentPiece[],
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
