/** Multipart uploads: parts, completion, checksums, aborts, and what is left when they end. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DAY_MS } from '../../src/base/units.ts';
import { digestNow } from '../../src/coding/digest.ts';
import {
  type ChecksumAlgorithm,
  decodeRecord,
  encodeRecord,
  type PartRecord,
} from '../../src/metadata/records.ts';
import { checksumOf, digestName } from '../../src/objects/checksums.ts';
import { PART_BYTES_MIN } from '../../src/objects/completion.ts';
import type {
  CompletedPart,
  CompleteRequest,
  UploadPointer,
  UploadRequest,
} from '../../src/objects/types.ts';
import { SimulatedClock } from '../simulation/clock.ts';
import { checkInvariants } from './invariants.ts';
import {
  bodyOf,
  createWorld,
  getBytes,
  pattern,
  plain,
  putRequest,
  readAll,
  readBody,
  type World,
} from './world.ts';

const failure = (code: string) => expect.objectContaining({ code });
const md5 = (bytes: Uint8Array) => createHash('md5').update(bytes).digest();
const BIG = PART_BYTES_MIN + 3;
const clock = new SimulatedClock();

let world: World;
beforeEach(async () => {
  world = await createWorld({ clock, chunksPerStripe: 64, openChunksMax: 16, buffers: 8 });
  await world.service.createBucket('bucket', 'us-east-1');
});
afterEach(async () => {
  await checkInvariants(world);
  await world.close();
});

async function begin(options: Partial<UploadRequest> = {}, key = 'k'): Promise<UploadPointer> {
  const uploadId = await world.service.createUpload({ bucket: 'bucket', key, ...plain, ...options });
  return { bucket: 'bucket', key, uploadId };
}

async function part(
  pointer: UploadPointer,
  partNumber: number,
  bytes: Uint8Array,
  algorithm?: ChecksumAlgorithm,
): Promise<CompletedPart> {
  const body = bodyOf(bytes, {
    pieceBytes: 65_536,
    algorithms: algorithm ? [digestName(algorithm)] : [],
    verify: (digests) => algorithm && checksumOf(algorithm, digests),
  });
  const { etag, checksum } = await world.service.uploadPart(pointer, partNumber, body);
  return { partNumber, etag, checksums: checksum ? { [checksum.algorithm]: checksum.value } : {} };
}

const complete = (pointer: UploadPointer, parts: CompletedPart[], more: Partial<CompleteRequest> = {}) =>
  world.service.completeUpload({ ...pointer, parts, ...more });

it('parts become one object, read whole, by range and by part', async () => {
  const pointer = await begin({ metadata: { a: 'b' } });
  const bodies = [pattern(BIG, 1), pattern(BIG + 40_000, 2), pattern(77, 3)];
  const numbers = [2, 5, 10_000];
  const parts: CompletedPart[] = [];
  for (const [i, bytes] of bodies.entries()) parts.push(await part(pointer, numbers[i] as number, bytes));
  const { etag, sizeBytes } = await complete(pointer, parts);
  const whole = Buffer.concat(bodies);
  expect(etag).toBe(`${md5(Buffer.concat(bodies.map(md5))).toString('hex')}-3`);
  expect(sizeBytes).toBe(whole.length);
  expect((await getBytes(world.service, 'bucket', 'k')).equals(whole)).toBe(true);
  const range = { firstByte: BIG - 5, lastByte: BIG + 5 };
  expect(
    (await getBytes(world.service, 'bucket', 'k', { range })).equals(whole.subarray(BIG - 5, BIG + 6)),
  ).toBe(true);
  const second = await getBytes(world.service, 'bucket', 'k', { partNumber: 5 });
  expect(second.equals(bodies[1] as Buffer)).toBe(true);
  const { info, range: last } = await world.service.headObject({
    bucket: 'bucket',
    key: 'k',
    partNumber: 10_000,
  });
  expect(info).toMatchObject({ partCount: 3, metadata: { a: 'b' }, etag });
  expect(last).toEqual({ firstByte: whole.length - 77, lengthBytes: 77, partial: true });
  const missing = world.service.getObject({ bucket: 'bucket', key: 'k', partNumber: 3 });
  await expect(missing).rejects.toEqual(failure('InvalidPartNumber'));
  const page = await world.service.objectParts('bucket', 'k', 2, 1);
  expect(page).toMatchObject({ parts: [{ partNumber: 5, sizeBytes: BIG + 40_000 }], truncated: true });
  expect((await world.service.objectParts('bucket', 'k', 5, 10)).truncated).toBe(false);
  await expect(world.service.listParts(pointer, 0, 10)).rejects.toEqual(failure('NoSuchUpload'));
  await world.service.deleteObject('bucket', 'k');
  await checkInvariants(world);
  await world.sweepTombs();
  expect(world.stripes.payloads.size).toBe(0);
});

it('completing again answers the same', async () => {
  const pointer = await begin();
  const parts = [await part(pointer, 1, pattern(10))];
  const results = await Promise.all([
    complete(pointer, parts),
    complete(pointer, parts),
    complete(pointer, parts),
  ]);
  expect(results[1]).toEqual(results[0]);
  expect(await complete(pointer, parts)).toEqual(results[0]);
  const other = [{ partNumber: 1, etag: '0'.repeat(32), checksums: {} }];
  await expect(complete(pointer, other)).rejects.toEqual(failure('NoSuchUpload'));
  await world.service.putObject(putRequest('bucket', 'k', pattern(1)));
  await expect(complete(pointer, parts)).rejects.toEqual(failure('NoSuchUpload'));
});

it('a part uploaded again replaces the earlier one; parts that are not named go', async () => {
  const pointer = await begin();
  await part(pointer, 1, pattern(100, 1));
  await part(pointer, 1, pattern(700_000, 2));
  const named = await part(pointer, 1, pattern(50, 3));
  await part(pointer, 2, pattern(2_000_000, 4));
  await part(pointer, 3, pattern(0));
  const { parts } = await world.service.listParts(pointer, 0, 1000);
  expect(parts.map(({ partNumber, sizeBytes }) => [partNumber, sizeBytes])).toEqual([
    [1, 50],
    [2, 2_000_000],
    [3, 0],
  ]);
  expect(await world.service.listParts(pointer, 1, 1)).toMatchObject({
    parts: [{ partNumber: 2 }],
    truncated: true,
    nextPartNumberMarker: 2,
  });
  await complete(pointer, [named]);
  await checkInvariants(world);
  await world.sweepTombs();
  expect(world.stripes.payloads.size).toBe(1);
});

it('empty parts and an empty only part are fine', async () => {
  const pointer = await begin();
  const parts = [await part(pointer, 1, pattern(BIG)), await part(pointer, 2, pattern(0))];
  await complete(pointer, parts);
  expect((await getBytes(world.service, 'bucket', 'k')).equals(pattern(BIG))).toBe(true);
  const alone = await begin({}, 'empty');
  await complete(alone, [await part(alone, 7, pattern(0))]);
  expect((await getBytes(world.service, 'bucket', 'empty')).length).toBe(0);
  expect((await getBytes(world.service, 'bucket', 'empty', { partNumber: 7 })).length).toBe(0);
});

describe('completion is refused', () => {
  it('for wrong order, unknown parts, small parts and wrong sizes, and the upload stays', async () => {
    const pointer = await begin();
    const one = await part(pointer, 1, pattern(10));
    const two = await part(pointer, 2, pattern(10));
    await expect(complete(pointer, [])).rejects.toEqual(failure('MalformedXML'));
    await expect(complete(pointer, [two, one])).rejects.toEqual(failure('InvalidPartOrder'));
    await expect(complete(pointer, [one, one])).rejects.toEqual(failure('InvalidPartOrder'));
    await expect(complete(pointer, [one, two])).rejects.toEqual(failure('EntityTooSmall'));
    await expect(complete(pointer, [{ ...one, partNumber: 9 }])).rejects.toEqual(failure('InvalidPart'));
    await expect(complete(pointer, [{ ...one, etag: two.etag.replace(/./g, '0') }])).rejects.toEqual(
      failure('InvalidPart'),
    );
    await expect(complete(pointer, [{ ...one, checksums: { CRC32: 'AAAAAA==' } }])).rejects.toEqual(
      failure('InvalidPart'),
    );
    await expect(complete(pointer, [one], { sizeBytes: 11 })).rejects.toEqual(failure('InvalidRequest'));
    await world.service.putObject(putRequest('bucket', 'k', pattern(3)));
    await expect(complete(pointer, [one], { conditions: { ifNoneMatch: '*' } })).rejects.toEqual(
      failure('PreconditionFailed'),
    );
    await complete(pointer, [{ ...one, etag: `"${one.etag}"` }], { sizeBytes: 10 });
  });

  it('for uploads that do not exist', async () => {
    const pointer = await begin();
    const one = await part(pointer, 1, pattern(10));
    for (const uploadId of ['', 'nonsense', 'f'.repeat(32)]) {
      const wrong = { ...pointer, uploadId };
      await expect(complete(wrong, [one])).rejects.toEqual(failure('NoSuchUpload'));
      await expect(part(wrong, 1, pattern(10))).rejects.toEqual(failure('NoSuchUpload'));
      await expect(world.service.abortUpload(wrong)).rejects.toEqual(failure('NoSuchUpload'));
    }
    await expect(part({ ...pointer, key: 'other' }, 1, pattern(10))).rejects.toEqual(failure('NoSuchUpload'));
    for (const number of [0, 10_001, 1.5]) {
      await expect(part(pointer, number, pattern(10))).rejects.toEqual(failure('InvalidArgument'));
    }
    await expect(world.service.deleteBucket('bucket')).rejects.toEqual(failure('BucketNotEmpty'));
    await world.service.abortUpload(pointer);
    await expect(world.service.abortUpload(pointer)).rejects.toEqual(failure('NoSuchUpload'));
  });
});

describe('checksums', () => {
  const bodies = [pattern(BIG, 1), pattern(BIG, 2), pattern(1000, 3)];
  const whole = Buffer.concat(bodies);

  async function run(algorithm: ChecksumAlgorithm, checksumType?: 'FULL_OBJECT' | 'COMPOSITE') {
    const pointer = await begin({ checksumAlgorithm: algorithm, ...(checksumType && { checksumType }) });
    const parts = await Promise.all(bodies.map((bytes, i) => part(pointer, i + 1, bytes, algorithm)));
    return { pointer, parts };
  }

  it.each(['CRC32', 'CRC32C', 'CRC64NVME'] as const)(
    'full-object %s is that of the whole',
    async (algorithm) => {
      const { pointer, parts } = await run(algorithm, 'FULL_OBJECT');
      const expected = checksumOf(algorithm, digestNow([digestName(algorithm)], whole));
      const wrong = { checksum: { algorithm, value: 'AAAAAA==' } };
      await expect(complete(pointer, parts, wrong)).rejects.toEqual(failure('BadDigest'));
      const result = await complete(pointer, parts, { checksum: { algorithm, value: expected.value } });
      expect(result.checksum).toEqual(expected);
      expect((await world.service.headObject({ bucket: 'bucket', key: 'k' })).info.checksum).toEqual(
        expected,
      );
    },
  );

  it.each(['CRC32', 'SHA1', 'SHA256'] as const)(
    'composite %s is that of the checksums',
    async (algorithm) => {
      const { pointer, parts } = await run(algorithm);
      const raw = bodies.map(
        (bytes) => digestNow([digestName(algorithm)], bytes)[digestName(algorithm)] as Buffer,
      );
      const { value } = checksumOf(algorithm, digestNow([digestName(algorithm)], Buffer.concat(raw)));
      const { checksum } = await complete(pointer, parts, { checksumType: 'COMPOSITE' });
      expect(checksum).toEqual({ algorithm, value: `${value}-3`, type: 'COMPOSITE' });
    },
  );

  it('that cannot be are refused', async () => {
    await expect(begin({ checksumAlgorithm: 'SHA256', checksumType: 'FULL_OBJECT' })).rejects.toEqual(
      failure('InvalidRequest'),
    );
    await expect(begin({ checksumAlgorithm: 'CRC64NVME', checksumType: 'COMPOSITE' })).rejects.toEqual(
      failure('InvalidRequest'),
    );
    const pointer = await begin();
    const one = await part(pointer, 1, pattern(5));
    const claim = { checksum: { algorithm: 'CRC32', value: 'AAAAAA==' } as const };
    await expect(complete(pointer, [one], claim)).rejects.toEqual(failure('InvalidRequest'));
    await expect(complete(pointer, [one], { checksumType: 'COMPOSITE' })).rejects.toEqual(
      failure('InvalidRequest'),
    );
    expect(await world.service.describeUpload(pointer)).toEqual({
      checksumAlgorithm: undefined,
      checksumType: undefined,
    });
  });
});

it('parts are copied from objects, whole and by range', async () => {
  const source = pattern(BIG * 2, 9);
  await world.service.putObject(putRequest('bucket', 'source', source));
  const pointer = await begin({ checksumAlgorithm: 'CRC32C' });
  const from = { bucket: 'bucket', key: 'source' };
  const range = { firstByte: 1000, lastByte: 1000 + BIG - 1 };
  const one = await world.service.uploadPartCopy(pointer, 1, from, range);
  const two = await world.service.uploadPartCopy(pointer, 2, from);
  expect(one.etag).toBe(md5(source.subarray(1000, 1000 + BIG)).toString('hex'));
  expect(two.checksum?.algorithm).toBe('CRC32C');
  const outside = world.service.uploadPartCopy(pointer, 3, from, { firstByte: 0, lastByte: source.length });
  await expect(outside).rejects.toEqual(failure('InvalidArgument'));
  const unmet = world.service.uploadPartCopy(pointer, 3, { ...from, conditions: { ifMatch: ['x'] } });
  await expect(unmet).rejects.toEqual(failure('PreconditionFailed'));
  const parts = [one, two].map(({ etag }, i) => ({ partNumber: i + 1, etag, checksums: {} }));
  await complete(pointer, parts);
  const expected = Buffer.concat([source.subarray(1000, 1000 + BIG), source]);
  expect((await getBytes(world.service, 'bucket', 'k')).equals(expected)).toBe(true);
});

it('an aborted upload gives everything back, also after a crash', async () => {
  const pointer = await begin();
  for (let i = 1; i <= 300; i++) await part(pointer, i, pattern(20, i));
  await part(pointer, 301, pattern(3_000_000));
  await world.service.abortUpload(pointer);
  await expect(part(pointer, 1, pattern(3))).rejects.toEqual(failure('NoSuchUpload'));
  world = await world.restart();
  await world.upkeep.collectGarbage(1000);
  await checkInvariants(world);
  await world.sweepTombs();
  expect(world.stripes.payloads.size).toBe(0);
  await world.service.deleteBucket('bucket');
});

it('uploads are aborted after seven days without activity', async () => {
  const idle = await begin({}, 'idle');
  await part(idle, 1, pattern(10));
  const busy = await begin({}, 'busy');
  await clock.advance(6 * DAY_MS);
  await part(busy, 1, pattern(10));
  await clock.advance(2 * DAY_MS);
  expect(await world.upkeep.abortIdleUploads(clock.nowMs())).toBe(1);
  await expect(world.service.listParts(idle, 0, 10)).rejects.toEqual(failure('NoSuchUpload'));
  expect((await world.service.listParts(busy, 0, 10)).parts.length).toBe(1);
});

/** Part records that claim the minimum size, so that a test needs no gigabytes; the contents stay as they are. */
async function pretendLarge(count: number): Promise<void> {
  const stored = await readAll(world.engine, Buffer.from('p'));
  const claims = stored.slice(0, count - 1).map(([key, value]) => {
    const record = { ...decodeRecord<PartRecord>(value), sizeBytes: PART_BYTES_MIN };
    return { type: 'put', key, value: encodeRecord(record) } as const;
  });
  await world.committer.commit(claims);
}

it('a part list of several pages is written in steps and released in steps', async () => {
  const count = 2500;
  const pointer = await begin({ checksumAlgorithm: 'CRC64NVME' });
  const parts: CompletedPart[] = [];
  for (let at = 1; at <= count; at += 100) {
    const batch = Array.from({ length: 100 }, (_, i) =>
      part(pointer, at + i, pattern(20, at + i), 'CRC64NVME'),
    );
    parts.push(...(await Promise.all(batch)));
  }
  await expect(complete(pointer, parts)).rejects.toEqual(failure('EntityTooSmall'));
  await pretendLarge(count);
  const { etag } = await complete(pointer, parts);
  expect(etag.endsWith(`-${count}`)).toBe(true);
  const page = await world.service.objectParts('bucket', 'k', 2040, 1000);
  expect(page.parts.map(({ partNumber }) => partNumber)).toEqual(
    Array.from({ length: 460 }, (_, i) => 2041 + i),
  );
  const body = await world.service.getObject({ bucket: 'bucket', key: 'k', partNumber: count });
  expect(body.range.lengthBytes).toBe(20);
  expect((await readBody(body.stream(new AbortController().signal))).equals(pattern(20, count))).toBe(true);
  await world.service.deleteObject('bucket', 'k');
  world = await world.restart();
  await world.upkeep.collectGarbage(10_000);
  await checkInvariants(world);
  await world.sweepTombs();
  expect(world.stripes.payloads.size).toBe(0);
});
