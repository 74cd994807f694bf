/**
 * What the parts of an open node share: segments, index and committer, and the four ways to touch a record: read, store,
 * delete, move. Index and live bytes change only when a record is on stable storage.
 */

import { mapKey } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import { FRAGMENT_NAME_BYTES } from '../coding/trailer.ts';
import { appendSpanBytes, type Committer } from './committer.ts';
import { crc32c } from './crc32c.ts';
import type { EntryId, FragmentIndex } from './fragmentindex.ts';
import type { HeldBytes } from './fragmentstore.ts';
import { KeyTurns } from './keyturns.ts';
import {
  decodeRecord,
  emptyRecordHeader,
  FLAG_COPY,
  FLAG_DELETE,
  FLAG_VALUE_CRC,
  RECORD_HEADER_BYTES,
  type RecordHeader,
} from './segmentformat.ts';
import type { Segment, SegmentSet } from './segments.ts';
import { type FragmentVerifier, trailerFits, trailerOfPieces } from './trailercheck.ts';

/** Where a record lies and how long its value is. */
export interface Location {
  readonly segment: Segment;
  readonly offset: number;
  readonly lengthBytes: number;
}

const VALUE_AT_BYTES = RECORD_HEADER_BYTES + FRAGMENT_NAME_BYTES;
/** A read that meets compaction looks the name up again this often. */
export const LOOKUPS_MAX = 8;

/** How replay can tell whether the value is whole: by its trailer if it has one that fits, else by a CRC over all of it. */
function valueCheck(
  pieces: readonly Uint8Array[],
  lengthBytes: number,
): { readonly flags: number; readonly valueCrc: number } {
  const trailer = trailerOfPieces(pieces);
  if (trailerFits(trailer, lengthBytes)) return { flags: 0, valueCrc: crc32c(trailer) };
  let valueCrc = 0;
  for (const piece of pieces) valueCrc = crc32c(piece, 0, piece.length, valueCrc);
  return { flags: FLAG_VALUE_CRC, valueCrc };
}

export interface CoreOptions {
  readonly directory: string;
  readonly clock: Clock;
  readonly segments: SegmentSet;
  readonly index: FragmentIndex;
  readonly committer: Committer;
  readonly verifier: FragmentVerifier;
}

export class NodeCore {
  readonly directory: string;
  readonly clock: Clock;
  readonly segments: SegmentSet;
  readonly index: FragmentIndex;
  readonly committer: Committer;
  readonly turns = new KeyTurns();
  readonly #verifier: FragmentVerifier;
  #liveBytes = 0;

  constructor(options: CoreOptions) {
    this.directory = options.directory;
    this.clock = options.clock;
    this.segments = options.segments;
    this.index = options.index;
    this.committer = options.committer;
    this.#verifier = options.verifier;
    for (const segment of this.segments.all()) this.#liveBytes += segment.liveBytes;
  }

  /** Bytes of records that are neither deleted nor superseded. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  locate(name: Uint8Array): Location | undefined {
    const id = this.index.find(name);
    return id < 0 ? undefined : this.locationOf(id);
  }

  locationOf(id: EntryId): Location {
    const segment = this.segments.get(this.index.segment(id));
    if (!segment)
      throw new RangeError(`the index names segment ${this.index.segment(id)}, which is not there`);
    return { segment, offset: this.index.offset(id), lengthBytes: this.index.lengthBytes(id) };
  }

  isAt(name: Uint8Array, location: Location): boolean {
    const id = this.index.find(name);
    return (
      id >= 0 &&
      this.index.segment(id) === location.segment.number &&
      this.index.offset(id) === location.offset
    );
  }

  /** The count is smaller where the file ends too early. */
  read(location: Location, offsetBytes: number, target: Uint8Array): Promise<number> {
    return this.segments.read(location.segment, target, location.offset + VALUE_AT_BYTES + offsetBytes);
  }

  /** The bytes from `offsetBytes` of the value, when its file is open and one of this machine's. */
  hold({ segment, offset }: Location, offsetBytes: number): HeldBytes | undefined {
    const descriptor = this.segments.holdOpen(segment);
    if (descriptor === undefined) return undefined;
    return {
      descriptor,
      positionBytes: offset + VALUE_AT_BYTES + offsetBytes,
      release: () => this.segments.release(segment),
    };
  }

  /** Do the value and its trailer match each other and the record? What the disk cannot read does not. */
  async isIntact(location: Location): Promise<boolean> {
    try {
      const head = await this.#readHead(location);
      const byTrailer = head !== undefined && !(head.flags & FLAG_VALUE_CRC);
      return await this.#verifier.isIntact(
        location.lengthBytes,
        byTrailer ? head.valueCrc : undefined,
        async (target, offsetBytes) => (await this.read(location, offsetBytes, target)) === target.length,
      );
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EIO') return false;
      throw error;
    }
  }

  /** The record's header; undefined when it is damaged. */
  async #readHead(location: Location): Promise<RecordHeader | undefined> {
    const bytes = Buffer.alloc(VALUE_AT_BYTES);
    await this.segments.read(location.segment, bytes, location.offset);
    return this.#decodeHead(location, bytes);
  }

  #decodeHead(location: Location, bytes: Buffer): RecordHeader | undefined {
    const head = emptyRecordHeader();
    return decodeRecord(bytes, 0, location.offset, location.segment.crcSeed, head) ? head : undefined;
  }

  /**
   * Appends a value. The caller holds the name's turn. Resolves when it is durable and found under its name. `admit` is
   * asked when the value counts as queued, and throws when there is no room.
   */
  async store(
    name: Uint8Array,
    pieces: readonly Uint8Array[],
    lengthBytes: number,
    admit: () => void,
  ): Promise<void> {
    const check = valueCheck(pieces, lengthBytes);
    await this.#append({ name, pieces, lengthBytes, ...check, from: undefined, admit });
  }

  /** Appends a tombstone for the record at `location`. The caller holds the name's turn. */
  async tombstone(name: Uint8Array, location: Location): Promise<void> {
    const spanBytes = appendSpanBytes(0);
    await this.#acquire(spanBytes);
    await new Promise<void>((resolve, reject) => {
      this.committer.append({
        flags: FLAG_DELETE,
        name,
        pieces: [],
        valueLengthBytes: 0,
        valueCrc: 0,
        timestampMs: this.clock.nowMs(),
        previousSegment: location.segment.number,
        previousOffset: location.offset,
        durable: (segment) => {
          this.#addTombstone(segment, location.segment.number, spanBytes);
          this.#drop(this.index.find(name));
          this.index.delete(name);
          resolve();
        },
        failed: reject,
      });
    });
  }

  /** Carries a tombstone on to the active segment. */
  async moveTombstone(name: Uint8Array, previousSegment: number, previousOffset: number): Promise<void> {
    const spanBytes = appendSpanBytes(0);
    await this.#acquire(spanBytes);
    await new Promise<void>((resolve, reject) => {
      this.committer.append({
        flags: FLAG_DELETE | FLAG_COPY,
        name,
        pieces: [],
        valueLengthBytes: 0,
        valueCrc: 0,
        timestampMs: this.clock.nowMs(),
        previousSegment,
        previousOffset,
        durable: (segment) => {
          this.#addTombstone(segment, previousSegment, spanBytes);
          resolve();
        },
        failed: reject,
      });
    });
  }

  /**
   * Copies the record at `location` to the active segment unless it is no longer this name's. Returns the bytes written.
   * @throws FragmentCorrupt when the disk cannot read it
   */
  async move(name: Uint8Array, location: Location): Promise<number> {
    const leave = await this.turns.enter(mapKey(name));
    try {
      if (!this.isAt(name, location)) return 0;
      const record = Buffer.allocUnsafeSlow(VALUE_AT_BYTES + location.lengthBytes);
      await this.#readForMove(location, record);
      const value = record.subarray(VALUE_AT_BYTES);
      const check = this.#decodeHead(location, record) ?? valueCheck([value], value.length);
      await this.#append({
        flags: (check.flags & FLAG_VALUE_CRC) | FLAG_COPY,
        name,
        pieces: [value],
        lengthBytes: value.length,
        valueCrc: check.valueCrc,
        from: location,
      });
      return appendSpanBytes(value.length);
    } finally {
      leave();
    }
  }

  async #readForMove(location: Location, record: Buffer): Promise<void> {
    const unreadable = (cause?: unknown) =>
      new HoldfastError('FragmentCorrupt', {
        detail: `${location.segment.path}: the record at ${location.offset} cannot be read`,
        cause,
      });
    let count: number;
    try {
      count = await this.segments.read(location.segment, record, location.offset);
    } catch (error) {
      throw unreadable(error);
    }
    if (count < record.length) throw unreadable();
  }

  async #append(record: {
    flags: number;
    name: Uint8Array;
    pieces: readonly Uint8Array[];
    lengthBytes: number;
    valueCrc: number;
    from: Location | undefined;
    admit?: () => void;
  }): Promise<void> {
    await this.#acquire(appendSpanBytes(record.lengthBytes));
    try {
      record.admit?.();
    } catch (error) {
      this.committer.gate.release(appendSpanBytes(record.lengthBytes));
      throw error;
    }
    await new Promise<void>((resolve, reject) => {
      this.committer.append({
        flags: record.flags,
        name: record.name,
        pieces: record.pieces,
        valueLengthBytes: record.lengthBytes,
        valueCrc: record.valueCrc,
        timestampMs: this.clock.nowMs(),
        previousSegment: record.from?.segment.number ?? 0,
        previousOffset: record.from?.offset ?? 0,
        durable: (segment, offset) => {
          this.#drop(this.index.find(record.name));
          this.index.set(record.name, segment.number, offset, record.lengthBytes);
          const spanBytes = appendSpanBytes(record.lengthBytes);
          segment.liveBytes += spanBytes;
          this.#liveBytes += spanBytes;
          resolve();
        },
        failed: reject,
      });
    });
  }

  async #acquire(spanBytes: number): Promise<void> {
    if (!this.committer.gate.tryAcquire(spanBytes)) await this.committer.gate.acquire(spanBytes);
  }

  #addTombstone(segment: Segment, previousSegment: number, spanBytes: number): void {
    segment.tombstones.set(previousSegment, (segment.tombstones.get(previousSegment) ?? 0) + spanBytes);
  }

  /** What the entry points to is no longer live. */
  #drop(id: EntryId): void {
    if (id < 0) return;
    const spanBytes = appendSpanBytes(this.index.lengthBytes(id));
    const segment = this.segments.get(this.index.segment(id));
    if (segment) segment.liveBytes -= spanBytes;
    this.#liveBytes -= spanBytes;
  }
}
