import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { crc32c } from '../../src/node/crc32c.ts';
import type { DiskFile } from '../../src/node/disk.ts';
import {
  decodeRecord,
  decodeSegmentHeader,
  emptyRecordHeader,
  encodeRecord,
  encodeSegmentHeader,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  recordCrcSeed,
  recordSpanBytes,
} from '../../src/node/segmentformat.ts';
import { SegmentScanner } from '../../src/node/segmentscan.ts';
import { SimulatedDisk } from '../simulation/disk.ts';
import { Prng } from '../simulation/prng.ts';

interface RecordVector {
  offset: number;
  header: RecordHeader;
  key: string;
  bytes: string;
}

interface Vectors {
  segmentHeader: {
    number: number;
    nodeUuid: string;
    salt: string;
    firstSequence: number;
    durableThrough: number;
    madeAtMs: number;
    bytes: string;
  };
  records: RecordVector[];
  alignedCommit: { records: RecordVector[] };
}

const vectors: Vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, '../vectors/segment.json'), 'utf8'),
);

describe('CRC-32C', () => {
  it('gives the values of RFC 3720 appendix B.4, also in pieces', () => {
    expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
    expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
    expect(crc32c(Buffer.from(Array.from({ length: 32 }, (_, i) => i)))).toBe(0x46dd794e);
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    const bytes = new Prng(1).bytes(100);
    expect(crc32c(bytes, 40, 100, crc32c(bytes, 0, 40))).toBe(crc32c(bytes));
  });
});

describe('the segment format', () => {
  it('encodes and decodes the header of the vectors', () => {
    const { bytes, nodeUuid, salt, ...rest } = vectors.segmentHeader;
    const header = {
      ...rest,
      format: 1,
      nodeUuid: Buffer.from(nodeUuid, 'hex'),
      salt: Buffer.from(salt, 'hex'),
    };
    const block = encodeSegmentHeader(header);
    expect(block.length).toBe(4096);
    expect(block.toString('hex', 0, 76)).toBe(bytes);
    expect(block.toString('hex', 2048, 2048 + 76)).toBe(bytes);
    expect(decodeSegmentHeader(block)).toEqual(header);
    block[50] = block[50]! ^ 1;
    expect(decodeSegmentHeader(block)).toEqual(header);
    block[2048] = block[2048]! ^ 1;
    expect(decodeSegmentHeader(block)).toBeUndefined();
  });

  it('encodes and decodes the records of the vectors', () => {
    const { salt, number } = vectors.segmentHeader;
    const seed = recordCrcSeed(Buffer.from(salt, 'hex'), number);
    for (const { offset, header, key, bytes } of [...vectors.records, ...vectors.alignedCommit.records]) {
      const target = Buffer.alloc(bytes.length / 2);
      encodeRecord(target, 0, header, Buffer.from(key, 'hex'), offset, seed);
      expect(target.toString('hex')).toBe(bytes);
      const out = emptyRecordHeader();
      expect(decodeRecord(target, 0, offset, seed, out)).toBe(true);
      expect(out).toEqual(header);
      expect(decodeRecord(target, 0, offset + 64, seed, out)).toBe(false);
      expect(decodeRecord(target, 0, offset, seed ^ 1, out)).toBe(false);
    }
  });

  it('finds every flipped bit of a header or key', () => {
    const { bytes, offset, header } = vectors.records[0]!;
    const seed = recordCrcSeed(Buffer.from(vectors.segmentHeader.salt, 'hex'), vectors.segmentHeader.number);
    const record = Buffer.from(bytes, 'hex');
    for (let bit = 0; bit < record.length * 8; bit++) {
      record[bit >>> 3] = record[bit >>> 3]! ^ (1 << (bit & 7));
      expect(decodeRecord(record, 0, offset, seed, { ...header }), `bit ${bit}`).toBe(false);
      record[bit >>> 3] = record[bit >>> 3]! ^ (1 << (bit & 7));
    }
  });
});

describe('scanning a segment', () => {
  const seed = 77;

  async function segmentOf(
    lengths: readonly number[],
  ): Promise<{ file: DiskFile; offsets: number[]; end: number }> {
    const disk = new SimulatedDisk(1);
    const file = await disk.open('/s', 'create');
    const prng = new Prng(9);
    const offsets: number[] = [];
    let end = 4096;
    for (const [i, length] of lengths.entries()) {
      const span = recordSpanBytes(32, length);
      const bytes = Buffer.alloc(span);
      const header = {
        ...emptyRecordHeader(),
        keyLengthBytes: 32,
        valueLengthBytes: length,
        sequence: i + 1,
      };
      encodeRecord(bytes, 0, header, Buffer.alloc(32, i), end, seed);
      prng.bytes(length).copy(bytes, RECORD_HEADER_BYTES + 32);
      await file.writev([bytes], end);
      offsets.push(end);
      end += span;
    }
    return { file, offsets, end };
  }

  async function scan(file: DiskFile, end: number, offsets: readonly number[]) {
    const found: number[] = [];
    const damage: [number, number][] = [];
    await new SegmentScanner(file, seed, end).scan(4096, {
      record(_header, key, offset) {
        expect(offsets.indexOf(offset) & 0xff).toBe(key[0]);
        found.push(offset);
        return undefined;
      },
      damage(from, to) {
        damage.push([from, to]);
      },
    });
    return { found, damage };
  }

  it('finds small and large records alike', async () => {
    const lengths = Array.from({ length: 300 }, (_, i) => (i % 50 === 7 ? 300_000 : i * 3));
    const { file, offsets, end } = await segmentOf(lengths);
    expect(await scan(file, end, offsets)).toEqual({ found: offsets, damage: [] });
  });

  it('finds the next good record behind a bad one, and does not take a copied record for one', async () => {
    const { file, offsets, end } = await segmentOf([100, 5000, 100, 100]);
    const copy = Buffer.alloc(64 * 4);
    await file.read(copy, offsets[0]!);
    await file.writev([Buffer.from('rot')], offsets[1]! + 20);
    await file.writev([copy], offsets[1]! + 640);
    const { found, damage } = await scan(file, end, offsets);
    expect(found).toEqual([offsets[0], offsets[2], offsets[3]]);
    expect(damage).toEqual([[offsets[1], offsets[2]]]);
  });

  it('gets past what the disk cannot read', async () => {
    const disk = new SimulatedDisk(1);
    const { file, offsets, end } = await segmentOf([100, 100, 9000, 100]);
    const copy = await disk.open('/copy', 'create');
    const all = Buffer.alloc(end);
    await file.read(all, 0);
    await copy.writev([all], 0);
    disk.failReads('/copy', offsets[2]! + 10, offsets[2]! + 20);
    const { found } = await scan(copy, end, offsets);
    expect(found).toContain(offsets[3]);
    expect(found).not.toContain(offsets[2]);
  });
});
