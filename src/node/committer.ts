/**
 * Group commit without a timer: while one batch is being written and synced, the next one fills. One writev and one
 * fdatasync per batch; pieces of 8 KiB and more are written from where they lie. Batches follow each other strictly, which
 * is what lets a record's "durable through" prove everything before it (segmentformat.ts).
 *
 * Nothing is answered before the batch is synced and the directory was seen to be still there: open descriptors outlive
 * `rm -rf`. A failed write or sync ends the node; a full disk rejects the batch and cuts the segment back.
 */
import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import { Gate } from '../base/limits.ts';
import type { Random } from '../base/random.ts';
import { FRAGMENT_NAME_BYTES } from '../coding/trailer.ts';
import type { Address } from './address.ts';
import { appendDurably } from './append.ts';
import { DIRECT_ALIGNMENT_BYTES, type DiskFile, SyncFailed } from './disk.ts';
import { identityPath } from './identity.ts';
import {
  emptyRecordHeader,
  encodeRecord,
  FLAG_VOID,
  RECORD_HEADER_BYTES,
  recordSpanBytes,
  SALT_BYTES,
  SEGMENT_FORMAT,
} from './segmentformat.ts';
import type { Segment, SegmentSet } from './segments.ts';

/** Bytes of records that wait or are being written, per node. */
export const QUEUED_BYTES_MAX = 16 * 1024 * 1024;
/** Smaller pieces are copied beside their header: an iovec costs more than the copy. */
const COPIED_PIECE_BYTES_MAX = 8 * 1024;
/** The buffer for headers and small pieces is kept up to this size. */
const KEPT_SLAB_BYTES_MAX = 1024 * 1024;
/**
 * Batches of at least this are rounded out to whole blocks with void records, where the file gains by that (disk.ts, `direct`). What is
 * smaller is not worth the blocks, and is read again sooner.
 */
const ALIGNED_BYTES_MIN = 256 * 1024;

export interface Append {
  readonly flags: number;
  readonly address: Address;
  /** Unchanged until settled. */
  readonly pieces: readonly Uint8Array[];
  readonly valueLengthBytes: number;
  readonly valueCrc: number;
  readonly timestampMs: number;
  readonly previousSegment: number;
  readonly previousOffset: number;
  /** The record is on stable storage at `offset`. */
  durable(segment: Segment, offset: number): void;
  failed(error: HoldfastError): void;
}

export interface CommitterOptions {
  readonly segments: SegmentSet;
  readonly nodeUuid: Buffer;
  readonly segmentBytesMax: number;
  readonly lastSequence: number;
  readonly clock: Clock;
  readonly random: Random;
  /** Default ALIGNED_BYTES_MIN; tests want it lower. */
  readonly alignedBytesMin?: number | undefined;
}

const NO_KEY = new Uint8Array(0);

export function appendSpanBytes(valueLengthBytes: number, keyLengthBytes = FRAGMENT_NAME_BYTES): number {
  return recordSpanBytes(keyLengthBytes, valueLengthBytes);
}

function spanBytesFor({ address, valueLengthBytes }: Append): number {
  return recordSpanBytes(address.key.length, valueLengthBytes);
}

export class Committer {
  /** Whoever appends acquires the record's span first; it is released when the append settles. */
  readonly gate = new Gate('node write queue', QUEUED_BYTES_MAX);
  readonly #options: CommitterOptions;
  readonly #segments: SegmentSet;
  readonly #header = emptyRecordHeader();
  readonly #alignedBytesMin: number;
  #queue: Append[] = [];
  #running: Promise<void> | undefined;
  #sealWaiters: (() => void)[] = [];
  #lastSequence: number;
  #slab = Buffer.allocUnsafeSlow(64 * 1024);
  #ended: HoldfastError | undefined;

  constructor(options: CommitterOptions) {
    this.#options = options;
    this.#segments = options.segments;
    this.#alignedBytesMin = options.alignedBytesMin ?? ALIGNED_BYTES_MIN;
    this.#lastSequence = options.lastSequence;
  }

  /** Why this node has ended, when it has. */
  get ended(): HoldfastError | undefined {
    return this.#ended;
  }

  /** Appends on stable storage since the node was made. */
  get durableSequence(): number {
    return this.#lastSequence;
  }

  /** Bytes that wait or are being written. */
  get queuedBytes(): number {
    return this.gate.capacity - this.gate.available;
  }

  append(append: Append): void {
    if (this.#ended) {
      this.#settleFailed(append, this.#ended);
      return;
    }
    this.#queue.push(append);
    this.#start();
  }

  /** Ends the node: everything waiting is rejected, nothing is acknowledged any more. The first reason stays. */
  end(reason: HoldfastError): void {
    this.#ended ??= reason;
    const waiting = this.#queue;
    this.#queue = [];
    for (const append of waiting) this.#settleFailed(append, this.#ended);
    this.#releaseSealWaiters();
  }

  /** Closes the active segment, so that compaction may take it. Resolves when another one took its place, or could not. */
  seal(): Promise<void> {
    if (this.#ended) return Promise.resolve();
    return new Promise((resolve) => {
      this.#sealWaiters.push(resolve);
      this.#start();
    });
  }

  /** Resolves when nothing is queued or in flight. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  #start(): void {
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    await undefined;
    while (!this.#ended && (this.#queue.length > 0 || this.#sealWaiters.length > 0)) {
      try {
        await this.#commitNext();
      } catch (error) {
        this.end(this.#failure(error));
      }
    }
    this.#running = undefined;
  }

  async #commitNext(): Promise<void> {
    const segment = await this.#segmentForNext();
    if (!segment || this.#queue.length === 0) return;
    const batch = this.#take(segment);
    try {
      await this.#commit(segment, batch);
    } catch (error) {
      const reason = isFull(error) ? await this.#cutBack(segment, error) : this.#failure(error);
      if (!isFull(error)) this.end(reason);
      for (const append of batch) this.#settleFailed(append, this.#ended ?? reason);
    }
  }

  /** The active segment if the next record fits, else a new one; undefined when the disk is too full for that. */
  async #segmentForNext(): Promise<Segment | undefined> {
    const active = this.#segments.active;
    const next = this.#queue[0];
    const span = next ? spanBytesFor(next) : 0;
    const room = active ? this.#options.segmentBytesMax - active.sizeBytes : 0;
    if (active && room >= span && this.#sealWaiters.length === 0) return active;
    try {
      return await this.#segments.create({
        format: SEGMENT_FORMAT,
        number: this.#segments.nextNumber,
        nodeUuid: this.#options.nodeUuid,
        salt: this.#options.random.bytes(SALT_BYTES),
        firstSequence: this.#lastSequence + 1,
        durableThrough: this.#lastSequence,
        madeAtMs: this.#options.clock.nowMs(),
      });
    } catch (error) {
      if (!isFull(error)) throw error;
      const waiting = this.#queue;
      this.#queue = [];
      for (const append of waiting) this.#settleFailed(append, nodeFull(this.#segments.directory, error));
      return undefined;
    } finally {
      this.#releaseSealWaiters();
    }
  }

  #releaseSealWaiters(): void {
    const waiters = this.#sealWaiters;
    this.#sealWaiters = [];
    for (const resolve of waiters) resolve();
  }

  #take(segment: Segment): Append[] {
    let room = this.#options.segmentBytesMax - segment.sizeBytes;
    let count = 0;
    for (const append of this.#queue) {
      const span = spanBytesFor(append);
      if (span > room && count > 0) break;
      room -= span;
      count++;
    }
    if (count === this.#queue.length) {
      const batch = this.#queue;
      this.#queue = [];
      return batch;
    }
    return this.#queue.splice(0, count);
  }

  async #commit(segment: Segment, batch: readonly Append[]): Promise<void> {
    const file = segment.file;
    assert(file, 'the active segment is open');
    const start = segment.sizeBytes;
    const buffers: Uint8Array[] = [];
    const aligned = file.direct === true && spanBytesOf(batch) >= this.#alignedBytesMin;
    const leadBytes = aligned ? bytesToAlignment(start) : 0;
    const writtenBytes = this.#lay(segment, batch, buffers, leadBytes, aligned);
    if (!(await this.#append(file, buffers, start, aligned))) throw directoryGone(this.#segments.directory);
    if (this.#ended) throw this.#ended;
    this.#lastSequence += batch.length;
    this.#segments.grow(segment, writtenBytes);
    let offset = start + leadBytes;
    for (const append of batch) {
      const spanBytes = spanBytesFor(append);
      this.gate.release(spanBytes);
      append.durable(segment, offset);
      offset += spanBytes;
    }
  }

  /** A sync that fails must end the node whatever its code is: ENOSPC from here is no reason to go on. */
  async #append(
    file: DiskFile,
    buffers: readonly Uint8Array[],
    positionBytes: number,
    aligned: boolean,
  ): Promise<boolean> {
    const { disk, directory } = this.#segments;
    try {
      return await appendDurably(disk, file, buffers, positionBytes, identityPath(directory), aligned);
    } catch (error) {
      throw error instanceof SyncFailed ? nodeFailed(directory, error.cause) : error;
    }
  }

  /** Lays the batch out as buffers for one writev; returns how many bytes they are. */
  #lay(
    segment: Segment,
    batch: readonly Append[],
    buffers: Uint8Array[],
    leadBytes: number,
    aligned: boolean,
  ): number {
    const slab = this.#slabFor(batch, aligned);
    let used = this.#layVoid(slab, 0, segment, segment.sizeBytes, leadBytes);
    let from = 0;
    let offset = segment.sizeBytes + leadBytes;
    let sequence = this.#lastSequence;
    for (const append of batch) {
      const spanBytes = spanBytesFor(append);
      this.#fillHeader(append, ++sequence);
      used += encodeRecord(slab, used, this.#header, append.address.key, offset, segment.crcSeed);
      for (const piece of append.pieces) {
        if (piece.length < COPIED_PIECE_BYTES_MAX) {
          slab.set(piece, used);
          used += piece.length;
        } else {
          buffers.push(slab.subarray(from, used), piece);
          from = used;
        }
      }
      const padding = spanBytes - RECORD_HEADER_BYTES - append.address.key.length - append.valueLengthBytes;
      slab.fill(0, used, used + padding);
      used += padding;
      offset += spanBytes;
    }
    const trailBytes = aligned ? bytesToAlignment(offset) : 0;
    used += this.#layVoid(slab, used, segment, offset, trailBytes);
    if (used > from) buffers.push(slab.subarray(from, used));
    return offset + trailBytes - segment.sizeBytes;
  }

  /**
   * A void record of `spanBytes`, which is a multiple of 64, at `at` of the slab; returns its length. It has the sequence that is durable
   * already, so that it hides no record that gets lost beside it.
   */
  #layVoid(slab: Buffer, at: number, segment: Segment, offset: number, spanBytes: number): number {
    if (spanBytes === 0) return 0;
    const header = emptyRecordHeader();
    header.flags = FLAG_VOID;
    header.valueLengthBytes = spanBytes - RECORD_HEADER_BYTES;
    header.sequence = this.#lastSequence;
    header.durableThrough = this.#lastSequence;
    header.timestampMs = this.#options.clock.nowMs();
    slab.fill(0, at, at + spanBytes);
    encodeRecord(slab, at, header, NO_KEY, offset, segment.crcSeed);
    return spanBytes;
  }

  #fillHeader(append: Append, sequence: number): void {
    const header = this.#header;
    header.flags = append.flags;
    header.keyLengthBytes = append.address.key.length;
    header.namespace = append.address.namespace;
    header.valueLengthBytes = append.valueLengthBytes;
    header.sequence = sequence;
    header.durableThrough = this.#lastSequence;
    header.timestampMs = append.timestampMs;
    header.previousSegment = append.previousSegment;
    header.previousOffset = append.previousOffset;
    header.valueCrc = append.valueCrc;
  }

  #slabFor(batch: readonly Append[], aligned: boolean): Buffer {
    let bytes = aligned ? 2 * DIRECT_ALIGNMENT_BYTES : 0;
    for (const append of batch) {
      bytes += spanBytesFor(append);
      for (const piece of append.pieces) if (piece.length >= COPIED_PIECE_BYTES_MAX) bytes -= piece.length;
    }
    if (bytes <= this.#slab.length) return this.#slab;
    const slab = Buffer.allocUnsafeSlow(bytes);
    if (bytes <= KEPT_SLAB_BYTES_MAX) this.#slab = slab;
    return slab;
  }

  /**
   * The disk was full. What the batch left behind the last good record is cut off, durably, because the same sequences and
   * offsets are used again; if that fails the node ends.
   */
  async #cutBack(segment: Segment, cause: unknown): Promise<HoldfastError> {
    try {
      await segment.file!.truncate(segment.sizeBytes);
      await segment.file!.sync();
    } catch (error) {
      this.end(nodeFailed(this.#segments.directory, error));
    }
    return nodeFull(this.#segments.directory, cause);
  }

  #failure(error: unknown): HoldfastError {
    if (error instanceof HoldfastError) return error;
    const code = (error as NodeJS.ErrnoException).code;
    return code === 'ENOENT'
      ? directoryGone(this.#segments.directory)
      : nodeFailed(this.#segments.directory, error);
  }

  #settleFailed(append: Append, error: HoldfastError): void {
    this.gate.release(spanBytesFor(append));
    append.failed(error);
  }
}

function spanBytesOf(batch: readonly Append[]): number {
  let bytes = 0;
  for (const append of batch) bytes += spanBytesFor(append);
  return bytes;
}

function bytesToAlignment(offset: number): number {
  return (DIRECT_ALIGNMENT_BYTES - (offset % DIRECT_ALIGNMENT_BYTES)) % DIRECT_ALIGNMENT_BYTES;
}

function isFull(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

function nodeFull(directory: string, cause: unknown): HoldfastError {
  return new HoldfastError('NodeFull', { detail: `node directory ${directory}: the disk is full`, cause });
}

export function directoryGone(directory: string): HoldfastError {
  return new HoldfastError('NodeUnavailable', {
    detail: `node directory ${directory}: the directory is gone`,
  });
}

export function nodeFailed(directory: string, cause: unknown): HoldfastError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new HoldfastError('NodeFailed', {
    detail: `node directory ${directory}: ended after a disk failure (${reason})`,
    cause,
  });
}
