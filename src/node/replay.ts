/**
 * Rebuilds what a node knows from its segments, oldest first: the index, what is live, which tombstones are needed and
 * which segments compaction was working on. Later records win. A tombstone deletes the record that it names and older
 * ones: moved by compaction, it must not delete what was stored under the same name after it.
 */
import { HoldfastError } from '../base/errors.ts';
import { type Address, addressOf, copyOf, SYSTEM_NAMESPACE } from './address.ts';
import type { Disk } from './disk.ts';
import type { EntryId, FragmentIndex } from './fragmentindex.ts';
import {
  decodeSegmentHeader,
  FLAG_COPY,
  FLAG_DELETE,
  FLAG_VOID,
  FLAGS_KNOWN,
  type RecordHeader,
  recordSpanBytes,
  SEGMENT_FORMAT,
  SEGMENT_HEADER_BYTES,
} from './segmentformat.ts';
import { Segment, type SegmentSet, segmentNumber, segmentPath } from './segments.ts';
import { SegmentScanner } from './segmentscan.ts';
import { repairTail } from './tailrepair.ts';

export interface ReplayReport {
  readonly segments: number;
  readonly records: number;
  /** Acknowledged records that could not be read any more. */
  readonly damagedRecords: number;
  /** Segments of which not even the header could be read. They are left alone. */
  readonly unreadableSegments: number;
  /** What an unsynced group commit left behind, and was cut off or covered. */
  readonly tornRecords: number;
  readonly tornBytes: number;
}

export interface Replayed {
  readonly report: ReplayReport;
  readonly lastSequence: number;
  /** Segments that copies were already taken from: compaction goes on with them first. */
  readonly draining: ReadonlySet<number>;
  /** Records that a later one took the place of, without the tombstone that has to say so. */
  readonly superseded: readonly Superseded[];
}

export interface Superseded {
  readonly address: Address;
  readonly segment: number;
  readonly offset: number;
}

function placeKey(segment: number, offset: number): string {
  return `${segment}:${offset}`;
}

class Replay {
  readonly #disk: Disk;
  readonly #segments: SegmentSet;
  readonly #index: FragmentIndex;
  readonly #memory = SegmentScanner.makeMemory();
  readonly #draining = new Set<number>();
  readonly #superseded = new Map<string, Superseded>();
  #records = 0;
  #damaged = 0;
  #lastSequence = 0;

  constructor(segments: SegmentSet, index: FragmentIndex) {
    this.#disk = segments.disk;
    this.#segments = segments;
    this.#index = index;
  }

  async run(nodeUuid: Buffer): Promise<Replayed> {
    const { segments, unreadable } = await this.#openAll(nodeUuid);
    const last = segments.at(-1);
    const tail = last && (await repairTail(this.#disk, last, this.#memory));
    this.#damaged += tail?.damagedRecords ?? 0;
    for (const segment of segments) this.#segments.add(segment);
    for (const segment of segments) await this.#replaySegment(segment);
    this.#countLive();
    return {
      report: {
        segments: segments.length,
        records: this.#records,
        damagedRecords: this.#damaged,
        unreadableSegments: unreadable,
        tornRecords: tail?.tornRecords ?? 0,
        tornBytes: tail?.tornBytes ?? 0,
      },
      lastSequence: Math.max(this.#lastSequence, tail?.lastSequence ?? 0),
      draining: this.#draining,
      superseded: [...this.#superseded.values()],
    };
  }

  /**
   * A small file without a header that is newer than every readable segment was being made when the power went, or its
   * making failed and its removal was lost: nothing was ever acknowledged from it.
   */
  async #openAll(nodeUuid: Buffer): Promise<{ segments: Segment[]; unreadable: number }> {
    const directory = this.#segments.directory;
    const numbers: number[] = [];
    for (const name of await this.#disk.list(directory)) {
      const number = segmentNumber(name);
      if (number !== undefined) numbers.push(number);
    }
    const segments: Segment[] = [];
    const unreadable: { number: number; path: string; sizeBytes: number }[] = [];
    for (const number of numbers.sort((a, b) => a - b)) {
      const path = segmentPath(directory, number);
      const found = await this.#readSegment(path, number, nodeUuid);
      if (found instanceof Segment) segments.push(found);
      else unreadable.push({ number, path, sizeBytes: found.sizeBytes });
      this.#segments.nextNumber = number + 1;
    }
    const newest = segments.at(-1)?.number ?? 0;
    const unborn = unreadable.filter((f) => f.number > newest && f.sizeBytes <= SEGMENT_HEADER_BYTES);
    for (const { path } of unborn) await this.#disk.remove(path);
    // A process that was killed may have made a segment and never synced its name; what is appended to it from now on counts on it.
    await this.#disk.syncDirectory(directory);
    this.#damaged += unreadable.length - unborn.length;
    return { segments, unreadable: unreadable.length - unborn.length };
  }

  async #readSegment(
    path: string,
    number: number,
    nodeUuid: Buffer,
  ): Promise<Segment | { sizeBytes: number }> {
    const file = await this.#disk.open(path, 'read');
    try {
      const sizeBytes = await file.sizeBytes();
      const block = Buffer.alloc(SEGMENT_HEADER_BYTES);
      await file.read(block, 0);
      const header = decodeSegmentHeader(block);
      if (!header || header.number !== number || sizeBytes < SEGMENT_HEADER_BYTES) return { sizeBytes };
      if (header.format > SEGMENT_FORMAT) {
        throw new HoldfastError('FormatTooNew', {
          detail: `${path} has format ${header.format}; this version knows ${SEGMENT_FORMAT}`,
        });
      }
      if (!header.nodeUuid.equals(nodeUuid)) {
        throw new HoldfastError('NodeUnavailable', { detail: `${path} belongs to another node` });
      }
      return new Segment(path, header, sizeBytes);
    } finally {
      await file.close();
    }
  }

  async #replaySegment(segment: Segment): Promise<void> {
    const file = await this.#segments.hold(segment);
    try {
      let last = segment.header.firstSequence - 1;
      let badAtEnd = false;
      const scanner = new SegmentScanner(file, segment.crcSeed, segment.sizeBytes, this.#memory);
      await scanner.scan(SEGMENT_HEADER_BYTES, {
        record: (header, key, offset, spanBytes) => {
          badAtEnd = false;
          if (!(header.flags & FLAG_VOID)) {
            this.#damaged += Math.max(0, header.sequence - last - 1);
            this.#apply(segment, header, key, offset, spanBytes);
          }
          last = Math.max(last, header.sequence);
          return undefined;
        },
        damage: () => {
          badAtEnd = true;
        },
      });
      this.#damaged += this.#missingAtEnd(segment, last, badAtEnd);
      this.#lastSequence = Math.max(this.#lastSequence, last);
    } finally {
      this.#segments.release(segment);
    }
  }

  /** Records lost behind the last good one; the next segment tells how many there were. */
  #missingAtEnd(segment: Segment, lastSequence: number, badAtEnd: boolean): number {
    const next = this.#segments.get(segment.number + 1);
    const missing = next ? Math.max(0, next.header.firstSequence - lastSequence - 1) : 0;
    return missing > 0 ? missing : badAtEnd ? 1 : 0;
  }

  #apply(
    segment: Segment,
    header: Readonly<RecordHeader>,
    key: Buffer,
    offset: number,
    spanBytes: number,
  ): void {
    if (header.flags & ~FLAGS_KNOWN || header.namespace > SYSTEM_NAMESPACE) {
      throw new HoldfastError('FormatTooNew', {
        detail: `${segment.path}: the record at ${offset} was written by a newer version`,
      });
    }
    this.#records++;
    const { previousSegment, previousOffset } = header;
    const address = addressOf(header.namespace, key);
    const { name, tag } = address;
    const id = this.#index.find(name, tag);
    if (!(header.flags & FLAG_DELETE)) {
      if (header.flags & FLAG_COPY) {
        if (this.#segments.has(previousSegment)) this.#draining.add(previousSegment);
      } else if (id >= 0) this.#supersede(id, address);
      this.#index.set(name, segment.number, offset, header.valueLengthBytes, tag, key.length);
      return;
    }
    segment.tombstones.set(previousSegment, (segment.tombstones.get(previousSegment) ?? 0) + spanBytes);
    this.#superseded.delete(placeKey(previousSegment, previousOffset));
    if (id < 0) return;
    const at = this.#index.segment(id);
    const covered =
      at < previousSegment || (at === previousSegment && this.#index.offset(id) <= previousOffset);
    if (covered) this.#index.delete(name, tag);
  }

  /** A later record took the place of this entry; the tombstone that says so comes right behind it, unless a crash came first. */
  #supersede(id: EntryId, address: Address): void {
    const [segment, offset] = [this.#index.segment(id), this.#index.offset(id)];
    this.#superseded.set(placeKey(segment, offset), { address: copyOf(address), segment, offset });
  }

  #countLive(): void {
    const index = this.#index;
    for (let id = 0; id < index.entryLimit; id++) {
      const segment = index.isLive(id) ? this.#segments.get(index.segment(id)) : undefined;
      if (segment) segment.liveBytes += recordSpanBytes(index.keyLengthBytes(id), index.lengthBytes(id));
    }
  }
}

/** Fills `segments` and `index`, both empty. @throws NodeUnavailable, FormatTooNew, or the disk's error */
export function replay(segments: SegmentSet, index: FragmentIndex, nodeUuid: Buffer): Promise<Replayed> {
  return new Replay(segments, index).run(nodeUuid);
}
