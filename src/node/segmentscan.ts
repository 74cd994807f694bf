/**
 * Walks the records of one segment in order, skipping over values, and looks for the next good record behind a bad one.
 * Small records are read in large windows, large ones by their headers only; memory is one window.
 */
import type { DiskFile } from './disk.ts';
import {
  decodeRecord,
  emptyRecordHeader,
  FLAG_VOID,
  RECORD_ALIGNMENT_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_KEY_BYTES_MAX,
  type RecordHeader,
  recordSpanBytes,
} from './segmentformat.ts';

const WINDOW_BYTES_MAX = 1024 * 1024;
const WINDOW_BYTES_MIN = 4096;
const HEAD_BYTES_MAX = RECORD_HEADER_BYTES + RECORD_KEY_BYTES_MAX;

export interface ScanVisitor {
  /**
   * A whole header and key. `header` and `key` are reused after the call. The value lies at
   * `offset + RECORD_HEADER_BYTES + key.length` of the file. Returning false stops the scan behind this record.
   */
  record(header: Readonly<RecordHeader>, key: Buffer, offset: number, spanBytes: number): boolean | undefined;
  /** [from, to) holds no good record. Given before the record that follows. */
  damage(from: number, to: number): void;
}

export class SegmentScanner {
  readonly #file: DiskFile;
  readonly #crcSeed: number;
  readonly #endBytes: number;
  #window: Buffer = Buffer.alloc(0);
  #windowAt = 0;
  #windowBytes = WINDOW_BYTES_MIN;
  readonly #memory: Buffer;

  /** `memory` (WINDOW_BYTES_MAX) may be shared by scans that follow each other. */
  constructor(file: DiskFile, crcSeed: number, endBytes: number, memory?: Buffer) {
    this.#file = file;
    this.#crcSeed = crcSeed;
    this.#endBytes = endBytes;
    this.#memory = memory ?? Buffer.allocUnsafeSlow(Math.min(WINDOW_BYTES_MAX, endBytes));
  }

  static makeMemory(): Buffer {
    return Buffer.allocUnsafeSlow(WINDOW_BYTES_MAX);
  }

  /** Scans from `from`, a record boundary. Returns where it stopped: the end, or behind the record that stopped it. */
  async scan(from: number, visitor: ScanVisitor): Promise<number> {
    const header = emptyRecordHeader();
    let position = from;
    let badFrom = -1;
    let lastSequence = 0;
    while (position < this.#endBytes) {
      if (!this.#covers(position)) await this.#load(position);
      const at = position - this.#windowAt;
      const good =
        decodeRecord(this.#window, at, position, this.#crcSeed, header) &&
        (header.sequence > lastSequence || (header.flags & FLAG_VOID) !== 0);
      const keyEnd = RECORD_HEADER_BYTES + header.keyLengthBytes;
      if (!good || position + keyEnd + header.valueLengthBytes > this.#endBytes) {
        if (badFrom < 0) badFrom = position;
        position += RECORD_ALIGNMENT_BYTES;
        continue;
      }
      if (badFrom >= 0) visitor.damage(badFrom, position);
      badFrom = -1;
      lastSequence = Math.max(lastSequence, header.sequence);
      const spanBytes = recordSpanBytes(header.keyLengthBytes, header.valueLengthBytes);
      const key = this.#window.subarray(at + RECORD_HEADER_BYTES, at + keyEnd);
      const goOn = visitor.record(header, key, position, spanBytes);
      position += spanBytes;
      if (goOn === false) return position;
    }
    if (badFrom >= 0) visitor.damage(badFrom, this.#endBytes);
    return this.#endBytes;
  }

  #covers(position: number): boolean {
    const needed = Math.min(position + HEAD_BYTES_MAX, this.#endBytes);
    return position >= this.#windowAt && needed <= this.#windowAt + this.#window.length;
  }

  async #load(position: number): Promise<void> {
    const skippedBytes = position - this.#windowAt - this.#window.length;
    const dense = this.#window.length > 0 && skippedBytes < this.#windowBytes;
    this.#windowBytes = dense ? Math.min(this.#windowBytes * 4, WINDOW_BYTES_MAX) : WINDOW_BYTES_MIN;
    const wanted = Math.min(this.#windowBytes, this.#endBytes - position);
    const target = this.#memory.subarray(0, wanted);
    const count = await readTolerant(this.#file, target, position);
    this.#window = target.subarray(0, count);
    this.#windowAt = position;
  }
}

/** Reads like DiskFile.read, but what the disk cannot read becomes zeros, sector by sector, so that a scan gets past it. */
async function readTolerant(file: DiskFile, target: Buffer, position: number): Promise<number> {
  try {
    const count = await file.read(target, position);
    target.fill(0, count);
    return target.length;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
  }
  const sectorBytes = 4096;
  for (let at = 0; at < target.length; ) {
    const end = Math.min(target.length, at + sectorBytes - ((position + at) % sectorBytes));
    const sector = target.subarray(at, end);
    try {
      sector.fill(0, await file.read(sector, position + at));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
      sector.fill(0);
    }
    at = end;
  }
  return target.length;
}
