/**
 * After a crash the last group commit may be there in part: a header without its value, a value without its header, a
 * piece of either. Only records behind the highest "durable through" can be concerned. Each of them is read and checked:
 * - a whole one is written again in place: what the page cache shows after a failed fsync or a killed process need not be
 *   on the disk, and only a fresh write makes the next sync mean it;
 * - a torn one before a whole one is covered by a void record, so that later replays do not take it for damage;
 * - what lies behind the last whole one is cut off.
 * When this resolves everything left in the segment is on stable storage. It may be interrupted and repeated at any point.
 */

import { crc32c } from './crc32c.ts';
import type { Disk, DiskFile } from './disk.ts';
import { STORED_FRAGMENT_BYTES_MAX } from './fragmentstore.ts';
import {
  emptyRecordHeader,
  encodeRecord,
  FLAG_DELETE,
  FLAG_VALUE_CRC,
  FLAG_VOID,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  SEGMENT_HEADER_BYTES,
} from './segmentformat.ts';
import type { Segment } from './segments.ts';
import { SegmentScanner } from './segmentscan.ts';
import { storedFragmentIsIntact } from './trailercheck.ts';

export interface TailReport {
  /** Records found in part, and bytes cut off or covered. */
  readonly tornRecords: number;
  readonly tornBytes: number;
  /** Proven records that are missing where the tail begins. */
  readonly damagedRecords: number;
  /** The highest sequence in use. */
  readonly lastSequence: number;
}

interface TailRecord {
  readonly header: RecordHeader;
  readonly offset: number;
  readonly spanBytes: number;
}

interface Tail {
  /** Offset behind the last record that is proven to be durable. */
  startBytes: number;
  provenSequence: number;
  lastSequence: number;
}

async function findTail(segment: Segment, file: DiskFile, memory: Buffer): Promise<Tail> {
  const tail: Tail = {
    startBytes: SEGMENT_HEADER_BYTES,
    provenSequence: segment.header.durableThrough,
    lastSequence: segment.header.firstSequence - 1,
  };
  let sequenceBeforeTail = tail.lastSequence;
  let end = SEGMENT_HEADER_BYTES;
  await new SegmentScanner(file, segment.crcSeed, segment.sizeBytes, memory).scan(SEGMENT_HEADER_BYTES, {
    record(header, _key, offset, spanBytes) {
      if (header.durableThrough > tail.provenSequence) {
        tail.provenSequence = header.durableThrough;
        tail.startBytes = end;
        sequenceBeforeTail = tail.lastSequence;
      }
      tail.lastSequence = Math.max(tail.lastSequence, header.sequence);
      end = offset + spanBytes;
      return undefined;
    },
    damage() {},
  });
  return { ...tail, lastSequence: sequenceBeforeTail };
}

/** @throws the disk's error; the node cannot be opened then */
export async function repairTail(disk: Disk, segment: Segment, memory: Buffer): Promise<TailReport> {
  const file = await disk.open(segment.path, 'readwrite');
  try {
    const tail = await findTail(segment, file, memory);
    const records: TailRecord[] = [];
    await new SegmentScanner(file, segment.crcSeed, segment.sizeBytes, memory).scan(tail.startBytes, {
      record(header, _key, offset, spanBytes) {
        records.push({ header: { ...header }, offset, spanBytes });
        return undefined;
      },
      damage() {},
    });
    return await rewriteTail(file, segment, tail, records);
  } finally {
    await file.close();
  }
}

async function rewriteTail(
  file: DiskFile,
  segment: Segment,
  tail: Tail,
  records: readonly TailRecord[],
): Promise<TailReport> {
  let end = tail.startBytes;
  let lastSequence = Math.max(tail.lastSequence, tail.provenSequence);
  let coveredBytes = 0;
  let tornRecords = 0;
  let endsInVoid = false;
  for (const record of records) {
    const whole = await readWhole(file, record);
    if (!whole) {
      tornRecords++;
      continue;
    }
    if (record.offset > end) {
      await writeVoid(file, segment, end, record, tail.provenSequence);
      coveredBytes += record.offset - end;
    }
    await file.writev([whole], record.offset);
    endsInVoid = (record.header.flags & FLAG_VOID) !== 0;
    end = record.offset + record.spanBytes;
    lastSequence = Math.max(lastSequence, record.header.sequence);
  }
  const cutBytes = Math.max(0, segment.sizeBytes - end);
  if (segment.sizeBytes !== end) await file.truncate(end);
  // Of a void record only the header was written again: without its last byte the file may come back shorter than the record.
  if (endsInVoid) await file.writev([Buffer.alloc(1)], end - 1);
  if (cutBytes > 0 || records.length > 0) await file.sync();
  segment.sizeBytes = end;
  const damagedRecords = Math.max(0, tail.provenSequence - tail.lastSequence);
  const onlyHeaderless = tornRecords === 0 && damagedRecords === 0 && cutBytes + coveredBytes > 0;
  return {
    tornRecords: onlyHeaderless ? 1 : tornRecords,
    tornBytes: cutBytes + coveredBytes,
    damagedRecords,
    lastSequence,
  };
}

/** The record's bytes, padding included, when its value is whole; of a void record only the header is looked at. */
async function readWhole(file: DiskFile, record: TailRecord): Promise<Buffer | undefined> {
  const { header } = record;
  if (header.valueLengthBytes > STORED_FRAGMENT_BYTES_MAX && !(header.flags & FLAG_VOID)) return undefined;
  const valueAt = RECORD_HEADER_BYTES + header.keyLengthBytes;
  const bytes = Buffer.alloc(header.flags & FLAG_VOID ? valueAt : record.spanBytes);
  try {
    await file.read(bytes, record.offset);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EIO') return undefined;
    throw error;
  }
  if (header.flags & (FLAG_VOID | FLAG_DELETE)) return bytes;
  const value = bytes.subarray(valueAt, valueAt + header.valueLengthBytes);
  const whole =
    header.flags & FLAG_VALUE_CRC
      ? crc32c(value) === header.valueCrc
      : storedFragmentIsIntact(value, header.valueCrc);
  return whole ? bytes : undefined;
}

/** Covers [from, next) with a void record. */
async function writeVoid(
  file: DiskFile,
  segment: Segment,
  from: number,
  next: TailRecord,
  durableThrough: number,
): Promise<void> {
  const header = emptyRecordHeader();
  header.flags = FLAG_VOID;
  header.valueLengthBytes = next.offset - from - RECORD_HEADER_BYTES;
  header.sequence = next.header.sequence - 1;
  header.durableThrough = durableThrough;
  const bytes = Buffer.alloc(RECORD_HEADER_BYTES);
  encodeRecord(bytes, 0, header, Buffer.alloc(0), from, segment.crcSeed);
  await file.writev([bytes], from);
}
