/** A group commit that is rounded out to whole blocks, to the byte: the vectors were computed by other code than what is tested. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { addressOf, DEFAULT_NAMESPACE } from '../../src/node/address.ts';
import { appendSpanBytes, Committer } from '../../src/node/committer.ts';
import { crc32c } from '../../src/node/crc32c.ts';
import { FLAG_DELETE, FLAG_VALUE_CRC } from '../../src/node/segmentformat.ts';
import { SegmentSet, segmentPath } from '../../src/node/segments.ts';
import { SimulatedClock } from '../simulation/clock.ts';
import { SimulatedDisk } from '../simulation/disk.ts';
import { SIMULATED_DIRECTORY } from './nodes.ts';

interface AppendVector {
  flags: number;
  name: string;
  valueLengthBytes: number;
  timestampMs: number;
  previousSegment: number;
  previousOffset: number;
}

const { segmentHeader, alignedCommit } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../vectors/segment.json'), 'utf8'),
) as {
  segmentHeader: { number: number; nodeUuid: string; salt: string };
  alignedCommit: {
    startBytes: number;
    durableSequence: number;
    madeAtMs: number;
    appends: AppendVector[];
    records: { offset: number; bytes: string }[];
    writtenBytes: number;
    writtenCrc32c: number;
  };
};

/** Byte i of value n is (7 i + n) mod 256, in two pieces. */
function piecesOf(lengthBytes: number, n: number): Buffer[] {
  const value = Buffer.from(Array.from({ length: lengthBytes }, (_, i) => (7 * i + n) % 256));
  return lengthBytes > 100 ? [value.subarray(0, 100), value.subarray(100)] : [value];
}

async function appendTo(committer: Committer, vector: AppendVector, n: number): Promise<number> {
  const { name, valueLengthBytes, ...rest } = vector;
  const pieces = piecesOf(valueLengthBytes, n);
  await committer.gate.acquire(appendSpanBytes(valueLengthBytes));
  return new Promise((resolve, reject) => {
    committer.append({
      ...rest,
      address: addressOf(DEFAULT_NAMESPACE, Buffer.from(name, 'hex')),
      pieces,
      valueLengthBytes,
      valueCrc: vector.flags === FLAG_DELETE ? 0 : crc32c(Buffer.concat(pieces)),
      durable: (_segment, offset) => resolve(offset),
      failed: reject,
    });
  });
}

test('a group commit of whole blocks is that of the vectors, a void record at either end', async () => {
  const { startBytes, durableSequence, madeAtMs, appends, records, writtenBytes } = alignedCommit;
  const disk = new SimulatedDisk(1, { direct: true });
  await disk.makeDirectory(SIMULATED_DIRECTORY);
  await (await disk.open(`${SIMULATED_DIRECTORY}/node.json`, 'create')).close();
  const segments = new SegmentSet(disk, SIMULATED_DIRECTORY);
  segments.nextNumber = segmentHeader.number;
  const committer = new Committer({
    segments,
    nodeUuid: Buffer.from(segmentHeader.nodeUuid, 'hex'),
    segmentBytesMax: 1024 * 1024,
    lastSequence: durableSequence - 1,
    clock: new SimulatedClock(madeAtMs),
    random: { bytes: () => Buffer.from(segmentHeader.salt, 'hex') },
    alignedBytesMin: 8192,
  });
  const before: AppendVector = {
    ...{ flags: FLAG_VALUE_CRC, name: '11'.repeat(32), valueLengthBytes: 1000, timestampMs: 1 },
    ...{ previousSegment: 0, previousOffset: 0 },
  };
  expect(await appendTo(committer, before, 0)).toBe(4096);
  const offsets = await Promise.all(appends.map((append, n) => appendTo(committer, append, n)));
  expect(offsets).toEqual(records.slice(1, -1).map(({ offset }) => offset));
  const content = await disk.readFile(segmentPath(SIMULATED_DIRECTORY, segmentHeader.number));
  expect(content.length).toBe(startBytes + writtenBytes);
  for (const { offset, bytes } of records)
    expect(content.toString('hex', offset, offset + bytes.length / 2), `record at ${offset}`).toBe(bytes);
  expect(crc32c(content.subarray(startBytes))).toBe(alignedCommit.writtenCrc32c);
  expect(committer.durableSequence).toBe(durableSequence + appends.length);
});
