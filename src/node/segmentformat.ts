/**
 * The bytes of a segment, and nothing else: encoding, decoding, checking. Big-endian. Vectors: test/vectors/segment.json.
 *
 * Segment = a block of 4,096 bytes, then records, each starting at a multiple of 64. The block holds the same header
 * twice, at 0 and at 2,048, so that one rotten sector does not take a segment with it:
 *
 *   0  magic "HFSEGMNT"          8      48  sequence of the first record     u64
 *   8  format (1)              u16      56  durable through                  u64
 *  10  zero                    u16      64  made at, ms since 1970           u64
 *  12  segment number          u32      72  CRC-32C of the 72 bytes before   u32
 *  16  node uuid                16
 *  32  salt                     16
 *
 * Record = header, key, value, zeros up to the next multiple of 64:
 *
 *   0  magic "HFrc"            u32      24  durable through                  u64
 *   4  CRC-32C                 u32      32  timestamp, ms since 1970         u64
 *   8  flags                    u8      40  previous record's segment        u32   0: none
 *   9  key length               u8      44  previous record's offset         u32
 *  10  namespace               u16      48  CRC-32C of trailer or value      u32
 *  12  value length            u32      52  key
 *  16  append sequence         u64
 *
 * The CRC of a record covers salt ‖ segment number ‖ record offset (u32) ‖ the record's bytes from 8 to the end of the
 * key. The salt is known to the node alone and the position is part of it, so neither a value made to look like a record,
 * nor a sector written to the wrong place, passes for a record when replay looks for the next good one.
 *
 * "Durable through" is the highest append sequence that was on stable storage when the record was written. The largest one
 * found proves everything up to it: a bad record there is damage; only behind it can there be an unsynced tail, which is
 * the last group commit at most. So replay checks values of that tail only, and the write path pays for no checksum
 * over values: a fragment is checked by the BLAKE3 root in its trailer, and the trailer (80 bytes, of which the root covers
 * none) by the CRC at 48. Of a value that has no trailer which fits its length, a flag says that the CRC covers all of it.
 *
 * A "void" record fills a gap that a torn tail left before whole records, or rounds a group commit out to whole blocks (committer.ts).
 * Sequences are contiguous within a segment, those of void records apart.
 */
import { crc32c } from './crc32c.ts';

export const SEGMENT_FORMAT = 1;
export const SEGMENT_HEADER_BYTES = 4096;
const SEGMENT_HEADER_COPIES = [0, 2048] as const;
const SEGMENT_HEADER_CRC_AT = 72;
const SEGMENT_MAGIC = Buffer.from('HFSEGMNT', 'latin1');
export const SALT_BYTES = 16;

export const RECORD_HEADER_BYTES = 52;
export const RECORD_ALIGNMENT_BYTES = 64;
export const RECORD_KEY_BYTES_MAX = 255;
export const RECORD_MAGIC = 0x48467263;

export const FLAG_DELETE = 1;
/** Compaction moved it; "previous" is where it came from. */
export const FLAG_COPY = 2;
/** The CRC covers the whole value. Without it the value is a fragment and the CRC covers its trailer. */
export const FLAG_VALUE_CRC = 4;
export const FLAG_VOID = 8;
export const FLAGS_KNOWN = FLAG_DELETE | FLAG_COPY | FLAG_VALUE_CRC | FLAG_VOID;

export interface SegmentHeader {
  readonly format: number;
  readonly number: number;
  readonly nodeUuid: Buffer;
  readonly salt: Buffer;
  readonly firstSequence: number;
  readonly durableThrough: number;
  readonly madeAtMs: number;
}

export interface RecordHeader {
  flags: number;
  keyLengthBytes: number;
  namespace: number;
  valueLengthBytes: number;
  sequence: number;
  durableThrough: number;
  timestampMs: number;
  previousSegment: number;
  previousOffset: number;
  valueCrc: number;
}

function writeU64(target: Buffer, value: number, at: number): void {
  target.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  target.writeUInt32BE(value >>> 0, at + 4);
}

function readU64(source: Buffer, at: number): number {
  return source.readUInt32BE(at) * 2 ** 32 + source.readUInt32BE(at + 4);
}

/** Bytes that a record occupies in its segment, padding included. */
export function recordSpanBytes(keyLengthBytes: number, valueLengthBytes: number): number {
  const length = RECORD_HEADER_BYTES + keyLengthBytes + valueLengthBytes;
  return Math.ceil(length / RECORD_ALIGNMENT_BYTES) * RECORD_ALIGNMENT_BYTES;
}

/** The block of SEGMENT_HEADER_BYTES that a segment starts with. */
export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const block = Buffer.alloc(SEGMENT_HEADER_BYTES);
  for (const at of SEGMENT_HEADER_COPIES) {
    const copy = block.subarray(at, at + SEGMENT_HEADER_CRC_AT + 4);
    SEGMENT_MAGIC.copy(copy, 0);
    copy.writeUInt16BE(header.format, 8);
    copy.writeUInt32BE(header.number, 12);
    header.nodeUuid.copy(copy, 16);
    header.salt.copy(copy, 32);
    writeU64(copy, header.firstSequence, 48);
    writeU64(copy, header.durableThrough, 56);
    writeU64(copy, header.madeAtMs, 64);
    copy.writeUInt32BE(crc32c(copy, 0, SEGMENT_HEADER_CRC_AT), SEGMENT_HEADER_CRC_AT);
  }
  return block;
}

/** The header from whichever copy is whole; undefined when none is. A newer format is returned, not judged. */
export function decodeSegmentHeader(block: Buffer): SegmentHeader | undefined {
  for (const at of SEGMENT_HEADER_COPIES) {
    const copy = block.subarray(at, at + SEGMENT_HEADER_CRC_AT + 4);
    if (copy.length < SEGMENT_HEADER_CRC_AT + 4 || !copy.subarray(0, 8).equals(SEGMENT_MAGIC)) continue;
    if (copy.readUInt32BE(SEGMENT_HEADER_CRC_AT) !== crc32c(copy, 0, SEGMENT_HEADER_CRC_AT)) continue;
    return {
      format: copy.readUInt16BE(8),
      number: copy.readUInt32BE(12),
      nodeUuid: Buffer.from(copy.subarray(16, 32)),
      salt: Buffer.from(copy.subarray(32, 48)),
      firstSequence: readU64(copy, 48),
      durableThrough: readU64(copy, 56),
      madeAtMs: readU64(copy, 64),
    };
  }
  return undefined;
}

const u32Scratch = Buffer.alloc(4);

/** CRC of salt ‖ segment number, from which every record's CRC in the segment continues. */
export function recordCrcSeed(salt: Uint8Array, segmentNumber: number): number {
  u32Scratch.writeUInt32BE(segmentNumber);
  return crc32c(u32Scratch, 0, 4, crc32c(salt));
}

function recordCrc(bytes: Buffer, at: number, keyLengthBytes: number, offset: number, seed: number): number {
  u32Scratch.writeUInt32BE(offset);
  const positioned = crc32c(u32Scratch, 0, 4, seed);
  return crc32c(bytes, at + 8, at + RECORD_HEADER_BYTES + keyLengthBytes, positioned);
}

/**
 * Writes header and key at `at` of `target`; the record will lie at `offset` of the segment with this seed. Returns the
 * number of bytes written.
 */
export function encodeRecord(
  target: Buffer,
  at: number,
  record: RecordHeader,
  key: Uint8Array,
  offset: number,
  seed: number,
): number {
  target.writeUInt32BE(RECORD_MAGIC, at);
  target[at + 8] = record.flags;
  target[at + 9] = record.keyLengthBytes;
  target.writeUInt16BE(record.namespace, at + 10);
  target.writeUInt32BE(record.valueLengthBytes, at + 12);
  writeU64(target, record.sequence, at + 16);
  writeU64(target, record.durableThrough, at + 24);
  writeU64(target, record.timestampMs, at + 32);
  target.writeUInt32BE(record.previousSegment, at + 40);
  target.writeUInt32BE(record.previousOffset, at + 44);
  target.writeUInt32BE(record.valueCrc, at + 48);
  target.set(key, at + RECORD_HEADER_BYTES);
  target.writeUInt32BE(recordCrc(target, at, key.length, offset, seed), at + 4);
  return RECORD_HEADER_BYTES + key.length;
}

export function emptyRecordHeader(): RecordHeader {
  return {
    flags: 0,
    keyLengthBytes: 0,
    namespace: 0,
    valueLengthBytes: 0,
    sequence: 0,
    durableThrough: 0,
    timestampMs: 0,
    previousSegment: 0,
    previousOffset: 0,
    valueCrc: 0,
  };
}

/**
 * Reads the record header at `at` of `source`, which lies at `offset` of its segment, into `out`; the key follows it in
 * `source`. False when there is no whole, matching header and key.
 */
export function decodeRecord(
  source: Buffer,
  at: number,
  offset: number,
  seed: number,
  out: RecordHeader,
): boolean {
  if (at + RECORD_HEADER_BYTES > source.length || source.readUInt32BE(at) !== RECORD_MAGIC) return false;
  const keyLengthBytes = source[at + 9]!;
  if (at + RECORD_HEADER_BYTES + keyLengthBytes > source.length) return false;
  if (source.readUInt32BE(at + 4) !== recordCrc(source, at, keyLengthBytes, offset, seed)) return false;
  out.flags = source[at + 8]!;
  out.keyLengthBytes = keyLengthBytes;
  out.namespace = source.readUInt16BE(at + 10);
  out.valueLengthBytes = source.readUInt32BE(at + 12);
  out.sequence = readU64(source, at + 16);
  out.durableThrough = readU64(source, at + 24);
  out.timestampMs = readU64(source, at + 32);
  out.previousSegment = source.readUInt32BE(at + 40);
  out.previousOffset = source.readUInt32BE(at + 44);
  out.valueCrc = source.readUInt32BE(at + 48);
  return true;
}
