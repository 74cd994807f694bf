/**
 * The segment files of one node: their sizes, what of them is live, and a bounded number of open descriptors. Creation
 * and removal are durable before they count; a removed segment stays readable for reads that are under way.
 */
import { assert } from '../base/assert.ts';
import type { Disk, DiskFile } from './disk.ts';
import {
  encodeSegmentHeader,
  recordCrcSeed,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from './segmentformat.ts';

/** Descriptors held open per node, the active segment's apart. */
export const OPEN_SEGMENTS_MAX = 128;
const FILE_PATTERN = /^(\d{10})\.seg$/;

export class Segment {
  readonly number: number;
  readonly path: string;
  readonly header: SegmentHeader;
  readonly crcSeed: number;
  /** Where the next record goes. */
  sizeBytes: number;
  /** Spans of records that the index points to. */
  liveBytes = 0;
  /** Spans of tombstones by the segment of the record that they delete: needed while that one exists. */
  readonly tombstones = new Map<number, number>();
  file: DiskFile | undefined;
  opening: Promise<DiskFile> | undefined;
  users = 0;
  lastUse = 0;
  /** The last user closes the file. */
  retired = false;

  constructor(path: string, header: SegmentHeader, sizeBytes: number) {
    this.path = path;
    this.header = header;
    this.number = header.number;
    this.crcSeed = recordCrcSeed(header.salt, header.number);
    this.sizeBytes = sizeBytes;
  }
}

export function segmentPath(directory: string, number: number): string {
  return `${directory}/${String(number).padStart(10, '0')}.seg`;
}

/** The number in a segment's file name; undefined for other files. */
export function segmentNumber(fileName: string): number | undefined {
  const match = FILE_PATTERN.exec(fileName);
  return match ? Number(match[1]) : undefined;
}

export class SegmentSet {
  readonly disk: Disk;
  readonly directory: string;
  readonly #segments = new Map<number, Segment>();
  #active: Segment | undefined;
  #openFiles = 0;
  #uses = 0;
  #totalBytes = 0;
  /** Numbers are never used twice, whatever became of their file. */
  nextNumber = 1;

  constructor(disk: Disk, directory: string) {
    this.disk = disk;
    this.directory = directory;
  }

  get active(): Segment | undefined {
    return this.#active;
  }

  /** Bytes of all segment files. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  get(number: number): Segment | undefined {
    return this.#segments.get(number);
  }

  has(number: number): boolean {
    return this.#segments.has(number);
  }

  /** In ascending order of number, which is the order of age. */
  all(): Segment[] {
    return [...this.#segments.values()].sort((a, b) => a.number - b.number);
  }

  add(segment: Segment): void {
    this.#segments.set(segment.number, segment);
    this.#totalBytes += segment.sizeBytes;
    this.nextNumber = Math.max(this.nextNumber, segment.number + 1);
  }

  grow(segment: Segment, byBytes: number): void {
    segment.sizeBytes += byBytes;
    this.#totalBytes += byBytes;
  }

  /** Makes an existing segment the one that is appended to. */
  async activate(segment: Segment): Promise<void> {
    const file = await this.disk.open(segment.path, 'readwrite');
    await this.#closeFile(segment);
    segment.file = file;
    segment.users++;
    this.#active = segment;
  }

  /**
   * A new active segment, durable under its name when this resolves. What a failure leaves is removed, durably, before a
   * newer one can be made: only the newest file in a directory may lack a header. When that fails too, its error is thrown.
   */
  async create(header: SegmentHeader): Promise<Segment> {
    assert(header.number === this.nextNumber);
    this.nextNumber++;
    const path = segmentPath(this.directory, header.number);
    const file = await this.disk.open(path, 'create');
    try {
      await file.writev([encodeSegmentHeader(header)], 0);
      await file.sync();
      await this.disk.syncDirectory(this.directory);
    } catch (error) {
      await file.close();
      await this.disk.remove(path);
      await this.disk.syncDirectory(this.directory);
      throw error;
    }
    const before = this.#active;
    const segment = new Segment(path, header, SEGMENT_HEADER_BYTES);
    segment.file = file;
    segment.users = 1;
    this.add(segment);
    this.#active = segment;
    if (before) this.#retire(before);
    return segment;
  }

  /** The former active segment's descriptor joins the others. */
  #retire(segment: Segment): void {
    segment.file?.sealed?.();
    segment.users--;
    segment.lastUse = ++this.#uses;
    this.#openFiles++;
    this.#evict();
  }

  /** Fills `target` from `position`; the count is smaller at the end of the file. ENOENT when it was removed meanwhile. */
  async read(segment: Segment, target: Uint8Array, position: number): Promise<number> {
    segment.users++;
    try {
      const file = segment.file ?? (await this.#open(segment));
      return await file.read(target, position);
    } finally {
      this.release(segment);
    }
  }

  /** The open file, held until `release`. */
  async hold(segment: Segment): Promise<DiskFile> {
    segment.users++;
    try {
      return segment.file ?? (await this.#open(segment));
    } catch (error) {
      this.release(segment);
      throw error;
    }
  }

  /** The descriptor of a file that is open already, held until `release`; undefined for others. */
  holdOpen(segment: Segment): number | undefined {
    const descriptor = segment.file?.descriptor;
    if (descriptor !== undefined) segment.users++;
    return descriptor;
  }

  release(segment: Segment): void {
    segment.users--;
    segment.lastUse = ++this.#uses;
    if (segment.retired && segment.users === 0) void this.#closeFile(segment);
  }

  /** Removes the file for good: when this resolves it will not come back after a power cut. */
  async remove(segment: Segment): Promise<void> {
    assert(segment !== this.#active, 'the active segment is never removed');
    await this.disk.remove(segment.path);
    await this.disk.syncDirectory(this.directory);
    this.#segments.delete(segment.number);
    this.#totalBytes -= segment.sizeBytes;
    segment.retired = true;
    if (segment.users === 0) await this.#closeFile(segment);
  }

  /** Files that are being read are closed by their last reader: a descriptor's number must not be reused under a read. */
  async close(): Promise<void> {
    if (this.#active) this.#active.users--;
    this.#active = undefined;
    for (const segment of this.#segments.values()) {
      segment.retired = true;
      if (segment.users === 0) await this.#closeFile(segment);
    }
  }

  #open(segment: Segment): Promise<DiskFile> {
    segment.opening ??= this.disk
      .open(segment.path, 'read')
      .then((file) => {
        segment.file = file;
        this.#openFiles++;
        this.#evict();
        return file;
      })
      .finally(() => {
        segment.opening = undefined;
      });
    return segment.opening;
  }

  #evict(): void {
    while (this.#openFiles > OPEN_SEGMENTS_MAX) {
      let oldest: Segment | undefined;
      for (const segment of this.#segments.values()) {
        if (!segment.file || segment.users > 0) continue;
        if (!oldest || segment.lastUse < oldest.lastUse) oldest = segment;
      }
      if (!oldest) return;
      void this.#closeFile(oldest);
    }
  }

  async #closeFile(segment: Segment): Promise<void> {
    const file = segment.file;
    if (!file) return;
    segment.file = undefined;
    this.#openFiles--;
    await file.close().catch(() => {});
  }
}
