/**
 * What the parts of an open node share: segments, index and committer, and the four ways to touch a record: read, store,
 * delete, move. Index and live bytes change only when a record is on stable storage.
 */

import { mapKey } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import { type Address, addressOf, DEFAULT_NAMESPACE, isPlain, namespaceOf } from './address.ts';
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
import { type FragmentVerifier, type ReadStored, trailerFits, trailerOfPieces } from './trailercheck.ts';

/** Where a record lies, and how long its key and its value are. */
export interface Location {
  readonly segment: Segment;
  readonly offset: number;
  readonly lengthBytes: number;
  readonly keyLengthBytes: number;
}

/** What a namespace holds. */
export interface Holdings {
  readonly entries: number;
  /** Of values. */
  readonly dataBytes: number;
  /** Of keys. */
  readonly keyBytes: number;
}

function valueAt({ offset, keyLengthBytes }: Location): number {
  return offset + RECORD_HEADER_BYTES + keyLengthBytes;
}

function spanBytesAt({ lengthBytes, keyLengthBytes }: Location): number {
  return appendSpanBytes(lengthBytes, keyLengthBytes);
}

/** A read that meets compaction looks the name up again this often. */
export const LOOKUPS_MAX = 8;

/** How replay can tell whether the value is whole: by its trailer if it has one that fits, else by a CRC over all of it. */
function valueCheck(
  pieces: readonly Uint8Array[],
  lengthBytes: number,
  isFragment: boolean,
): { readonly flags: number; readonly valueCrc: number } {
  const trailer = trailerOfPieces(pieces);
  if (isFragment && trailerFits(trailer, lengthBytes)) return { flags: 0, valueCrc: crc32c(trailer) };
  let valueCrc = 0;
  for (const piece of pieces) valueCrc = crc32c(piece, 0, piece.length, valueCrc);
  return { flags: FLAG_VALUE_CRC, valueCrc };
}

export interface StoreOptions {
  /** What the value takes the place of. */
  readonly previous?: Location | undefined;
  readonly timestampMs?: number | undefined;
  /** Its trailer vouches for it; where that is not known, false. */
  readonly isFragment?: boolean;
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
  readonly #holdings = new Map<number, { entries: number; dataBytes: number; keyBytes: number }>();

  constructor(options: CoreOptions) {
    this.directory = options.directory;
    this.clock = options.clock;
    this.segments = options.segments;
    this.index = options.index;
    this.committer = options.committer;
    this.#verifier = options.verifier;
    for (const segment of this.segments.all()) this.#liveBytes += segment.liveBytes;
    for (let id = 0; id < this.index.entryLimit; id++) if (this.index.isLive(id)) this.#count(id, 1);
  }

  /** Bytes of records that are neither deleted nor superseded. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  holdings(namespace: number): Holdings {
    return this.#holdings.get(namespace) ?? { entries: 0, dataBytes: 0, keyBytes: 0 };
  }

  locate({ name, tag }: Address): Location | undefined {
    const id = this.index.find(name, tag);
    return id < 0 ? undefined : this.locationOf(id);
  }

  /** The whole address of an entry; undefined when its key cannot be read any more. */
  async addressOfEntry(id: EntryId): Promise<Address | undefined> {
    const tag = this.index.tag(id);
    const name = Buffer.from(this.index.name(id));
    if (isPlain(tag)) return { namespace: namespaceOf(tag), key: name, name, tag };
    const location = this.locationOf(id);
    const key = Buffer.alloc(location.keyLengthBytes);
    const count = await this.segments.read(location.segment, key, location.offset + RECORD_HEADER_BYTES);
    const address = addressOf(namespaceOf(tag), key);
    return count === key.length && name.equals(address.name) ? address : undefined;
  }

  locationOf(id: EntryId): Location {
    const segment = this.segments.get(this.index.segment(id));
    if (!segment)
      throw new RangeError(`the index names segment ${this.index.segment(id)}, which is not there`);
    return {
      segment,
      offset: this.index.offset(id),
      lengthBytes: this.index.lengthBytes(id),
      keyLengthBytes: this.index.keyLengthBytes(id),
    };
  }

  isAt({ name, tag }: Address, location: Location): boolean {
    const id = this.index.find(name, tag);
    return (
      id >= 0 &&
      this.index.segment(id) === location.segment.number &&
      this.index.offset(id) === location.offset
    );
  }

  /** The count is smaller where the file ends too early. */
  read(location: Location, offsetBytes: number, target: Uint8Array): Promise<number> {
    return this.segments.read(location.segment, target, valueAt(location) + offsetBytes);
  }

  /** The bytes from `offsetBytes` of the value, when its file is open and one of this machine's. */
  hold(location: Location, offsetBytes: number): HeldBytes | undefined {
    const { segment } = location;
    const descriptor = this.segments.holdOpen(segment);
    if (descriptor === undefined) return undefined;
    return {
      descriptor,
      positionBytes: valueAt(location) + offsetBytes,
      release: () => this.segments.release(segment),
    };
  }

  /** Do the value and its trailer match each other and the record? What the disk cannot read does not. */
  isIntact(location: Location): Promise<boolean> {
    return this.#isIntact(location, false);
  }

  /** The same of any value: one that is no fragment has to match the CRC in its record. */
  isAsStored(location: Location): Promise<boolean> {
    return this.#isIntact(location, true);
  }

  async #isIntact(location: Location, byCrc: boolean): Promise<boolean> {
    try {
      const head = await this.readHead(location);
      const read: ReadStored = async (target, offsetBytes) =>
        (await this.read(location, offsetBytes, target)) === target.length;
      const hasCrc = head !== undefined && (head.flags & FLAG_VALUE_CRC) !== 0;
      if (hasCrc && byCrc) return await this.#verifier.matchesCrc(location.lengthBytes, head.valueCrc, read);
      return await this.#verifier.isIntact(location.lengthBytes, hasCrc ? undefined : head?.valueCrc, read);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EIO') return false;
      throw error;
    }
  }

  /** The record's header; undefined when it is damaged. */
  async readHead(location: Location): Promise<RecordHeader | undefined> {
    const bytes = Buffer.alloc(RECORD_HEADER_BYTES + location.keyLengthBytes);
    await this.segments.read(location.segment, bytes, location.offset);
    return this.#decodeHead(location, bytes);
  }

  #decodeHead(location: Location, bytes: Buffer): RecordHeader | undefined {
    const head = emptyRecordHeader();
    return decodeRecord(bytes, 0, location.offset, location.segment.crcSeed, head) ? head : undefined;
  }

  /**
   * Appends a value. The caller holds the address's turn. Resolves when it is durable and found there. `admit` is
   * asked when the value counts as queued, and throws when there is no room.
   */
  async store(
    address: Address,
    pieces: readonly Uint8Array[],
    lengthBytes: number,
    admit: () => void,
    options: StoreOptions = {},
  ): Promise<void> {
    const check = valueCheck(pieces, lengthBytes, options.isFragment ?? true);
    const { previous: from, timestampMs = this.clock.nowMs() } = options;
    await this.#append({ address, pieces, lengthBytes, ...check, from, timestampMs, admit });
  }

  /** Appends a tombstone for the record at `location`. The caller holds the address's turn. */
  tombstone(address: Address, location: Location): Promise<void> {
    return this.tombstoneAt(address, location.segment, location.offset);
  }

  /** The same for what is no longer found under its address. */
  async tombstoneAt(address: Address, of: Segment, offset: number): Promise<void> {
    const spanBytes = appendSpanBytes(0, address.key.length);
    await this.#acquire(spanBytes);
    await new Promise<void>((resolve, reject) => {
      this.committer.append({
        flags: FLAG_DELETE,
        address,
        pieces: [],
        valueLengthBytes: 0,
        valueCrc: 0,
        timestampMs: this.clock.nowMs(),
        previousSegment: of.number,
        previousOffset: offset,
        durable: (segment) => {
          this.#addTombstone(segment, of.number, spanBytes);
          this.#forget(address, of.number, offset);
          resolve();
        },
        failed: reject,
      });
    });
  }

  /** Carries a tombstone on to the active segment. */
  async moveTombstone(address: Address, previousSegment: number, previousOffset: number): Promise<void> {
    const spanBytes = appendSpanBytes(0, address.key.length);
    await this.#acquire(spanBytes);
    await new Promise<void>((resolve, reject) => {
      this.committer.append({
        flags: FLAG_DELETE | FLAG_COPY,
        address,
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
   * Copies the record at `location` to the active segment unless it is no longer this address's. Returns the bytes written.
   * @throws FragmentCorrupt when the disk cannot read it
   */
  async move(address: Address, location: Location): Promise<number> {
    const leave = await this.enter(address);
    try {
      if (!this.isAt(address, location)) return 0;
      const headBytes = RECORD_HEADER_BYTES + location.keyLengthBytes;
      const record = Buffer.allocUnsafeSlow(headBytes + location.lengthBytes);
      await this.#readForMove(location, record);
      const value = record.subarray(headBytes);
      const check = this.#decodeHead(location, record) ?? valueCheck([value], value.length, true);
      await this.#append({
        flags: (check.flags & FLAG_VALUE_CRC) | FLAG_COPY,
        address,
        pieces: [value],
        lengthBytes: value.length,
        valueCrc: check.valueCrc,
        from: location,
      });
      return spanBytesAt(location);
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

  /** One operation at a time per address; resolves to the function that ends the turn. */
  enter({ name, tag }: Address): Promise<() => void> {
    return this.turns.enter(tag === DEFAULT_NAMESPACE ? mapKey(name) : `${tag}:${mapKey(name)}`);
  }

  async #append(record: {
    flags: number;
    address: Address;
    pieces: readonly Uint8Array[];
    lengthBytes: number;
    valueCrc: number;
    from: Location | undefined;
    timestampMs?: number;
    admit?: () => void;
  }): Promise<void> {
    const { address } = record;
    const spanBytes = appendSpanBytes(record.lengthBytes, address.key.length);
    await this.#acquire(spanBytes);
    try {
      record.admit?.();
    } catch (error) {
      this.committer.gate.release(spanBytes);
      throw error;
    }
    await new Promise<void>((resolve, reject) => {
      this.committer.append({
        flags: record.flags,
        address,
        pieces: record.pieces,
        valueLengthBytes: record.lengthBytes,
        valueCrc: record.valueCrc,
        timestampMs: record.timestampMs ?? this.clock.nowMs(),
        previousSegment: record.from?.segment.number ?? 0,
        previousOffset: record.from?.offset ?? 0,
        durable: (segment, offset) => {
          this.#drop(this.index.find(address.name, address.tag));
          const { name, tag, key } = address;
          this.index.set(name, segment.number, offset, record.lengthBytes, tag, key.length);
          this.#count(this.index.find(name, tag), 1);
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

  /** Takes everything of a namespace out of the index; its records are garbage from now on. */
  dropNamespace(namespace: number): void {
    for (let id = 0; id < this.index.entryLimit; id++) {
      if (!this.index.isLive(id) || namespaceOf(this.index.tag(id)) !== namespace) continue;
      this.#drop(id);
      this.index.delete(Buffer.from(this.index.name(id)), this.index.tag(id));
    }
  }

  /** Takes the entry of an address out, unless it points behind that place: then a later record is meant. */
  #forget({ name, tag }: Address, segment: number, offset: number): void {
    const id = this.index.find(name, tag);
    if (id < 0) return;
    const at = this.index.segment(id);
    if (at > segment || (at === segment && this.index.offset(id) > offset)) return;
    this.#drop(id);
    this.index.delete(name, tag);
  }

  #count(id: EntryId, sign: 1 | -1): void {
    const namespace = namespaceOf(this.index.tag(id));
    let holdings = this.#holdings.get(namespace);
    if (holdings === undefined)
      this.#holdings.set(namespace, (holdings = { entries: 0, dataBytes: 0, keyBytes: 0 }));
    holdings.entries += sign;
    holdings.dataBytes += sign * this.index.lengthBytes(id);
    holdings.keyBytes += sign * this.index.keyLengthBytes(id);
  }

  /** What the entry points to is no longer live. */
  #drop(id: EntryId): void {
    if (id < 0) return;
    this.#count(id, -1);
    const spanBytes = appendSpanBytes(this.index.lengthBytes(id), this.index.keyLengthBytes(id));
    const segment = this.segments.get(this.index.segment(id));
    if (segment) segment.liveBytes -= spanBytes;
    this.#liveBytes -= spanBytes;
  }
}
