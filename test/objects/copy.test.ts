/** Copies: shared contents inside a bucket, bytes across buckets and from multipart objects, directives and refusals. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { checksumOf } from '../../src/objects/checksums.ts';
import { PART_BYTES_MIN } from '../../src/objects/completion.ts';
import type { CopyRequest } from '../../src/objects/types.ts';
import { checkInvariants } from './invariants.ts';
import { bodyOf, createWorld, getBytes, pattern, plain, putRequest, type World } from './world.ts';

const failure = (code: string) => expect.objectContaining({ code });
const attributes = {
  headers: { contentType: 'text/plain', websiteRedirectLocation: '/x' },
  metadata: { a: '1' },
  tags: [['t', 'v']] as const,
  storageClass: 'STANDARD',
};

let world: World;
beforeEach(async () => {
  world = await createWorld({ chunksPerStripe: 64 });
  await world.service.createBucket('bucket', 'us-east-1');
  await world.service.createBucket('other', 'us-east-1');
});
afterEach(async () => {
  await checkInvariants(world);
  await world.close();
});

const copy = (from: string, to: string, more: Partial<CopyRequest> = {}) =>
  world.service.copyObject({ source: { bucket: 'bucket', key: from }, bucket: 'bucket', key: to, ...more });

it.each([0, 100, 2_000_000])('of %i bytes inside a bucket share the content', async (size) => {
  const { service, stripes } = world;
  const bytes = pattern(size);
  const { etag } = await service.putObject({ ...putRequest('bucket', 'a', bytes), ...attributes });
  const writes = stripes.writes;
  expect(await copy('a', 'b')).toMatchObject({ etag });
  await copy('a', 'b');
  await copy('b', 'c');
  expect(stripes.writes).toBe(writes);
  const { info } = await service.headObject({ bucket: 'bucket', key: 'c' });
  expect(info).toMatchObject({
    metadata: { a: '1' },
    tags: [['t', 'v']],
    headers: { contentType: 'text/plain' },
  });
  expect(info.headers.websiteRedirectLocation).toBeUndefined();
  await service.deleteObject('bucket', 'a');
  expect((await getBytes(service, 'bucket', 'b')).equals(bytes)).toBe(true);
  await service.deleteObject('bucket', 'b');
  expect((await getBytes(service, 'bucket', 'c')).equals(bytes)).toBe(true);
  await service.deleteObject('bucket', 'c');
  await checkInvariants(world);
  await world.sweepTombs();
  expect(stripes.payloads.size).toBe(0);
});

it('directives replace metadata, tags and storage class', async () => {
  const { service } = world;
  await service.putObject({ ...putRequest('bucket', 'a', pattern(10)), ...attributes });
  const replaceMetadata = { headers: { contentType: 'x/y' }, metadata: { b: '2' } };
  await copy('a', 'b', { replaceMetadata, replaceTags: [['u', 'w']], storageClass: 'STANDARD_IA' });
  const { info } = await service.headObject({ bucket: 'bucket', key: 'b' });
  expect(info).toMatchObject({ ...replaceMetadata, tags: [['u', 'w']], storageClass: 'STANDARD_IA' });
});

it('onto itself needs a change, and then moves no bytes', async () => {
  const { service, stripes } = world;
  await service.putObject({ ...putRequest('bucket', 'a', pattern(500_000)), ...attributes });
  const writes = stripes.writes;
  await expect(copy('a', 'a')).rejects.toEqual(failure('InvalidRequest'));
  await copy('a', 'a', { replaceMetadata: { headers: {}, metadata: { n: 'new' } } });
  expect(stripes.writes).toBe(writes);
  expect((await service.headObject({ bucket: 'bucket', key: 'a' })).info.metadata).toEqual({ n: 'new' });
  expect((await getBytes(service, 'bucket', 'a')).equals(pattern(500_000))).toBe(true);
});

it.each([0, 100, 2_000_000])('of %i bytes across buckets are sealed again', async (size) => {
  const { service } = world;
  const bytes = pattern(size);
  const { etag } = await service.putObject(putRequest('bucket', 'a', bytes));
  expect(await copy('a', 'x', { bucket: 'other' })).toMatchObject({ etag });
  await service.deleteObject('bucket', 'a');
  expect((await getBytes(service, 'other', 'x')).equals(bytes)).toBe(true);
});

it('of multipart objects are simple objects with the MD5 of their bytes', async () => {
  const { service } = world;
  const upload = { bucket: 'bucket', key: 'multi', uploadId: '' };
  upload.uploadId = await service.createUpload({ ...upload, ...plain });
  const bodies = [pattern(PART_BYTES_MIN, 1), pattern(1000, 2)];
  const parts = [];
  for (const [i, bytes] of bodies.entries()) {
    const { etag } = await service.uploadPart(upload, i + 1, bodyOf(bytes, { pieceBytes: 65_536 }));
    parts.push({ partNumber: i + 1, etag, checksums: {} });
  }
  await service.completeUpload({ ...upload, parts });
  const { etag } = await copy('multi', 'simple');
  expect(etag).toBe(createHash('md5').update(Buffer.concat(bodies)).digest('hex'));
  const { info } = await service.headObject({ bucket: 'bucket', key: 'simple' });
  expect(info.partCount).toBeUndefined();
  expect((await getBytes(service, 'bucket', 'simple')).equals(Buffer.concat(bodies))).toBe(true);
});

it('keep the checksum, or compute the one that is asked for', async () => {
  const { service } = world;
  const request = putRequest('bucket', 'a', pattern(1000), {
    algorithms: ['crc32'],
    verify: (digests) => checksumOf('CRC32', digests),
  });
  const { checksum } = await service.putObject(request);
  expect((await copy('a', 'b')).checksum).toEqual(checksum);
  expect((await copy('a', 'c', { checksumAlgorithm: 'CRC32' })).checksum).toEqual(checksum);
  const expected = createHash('sha256').update(pattern(1000)).digest('base64');
  expect((await copy('a', 'd', { checksumAlgorithm: 'SHA256' })).checksum).toEqual({
    algorithm: 'SHA256',
    value: expected,
    type: 'FULL_OBJECT',
  });
});

it('check conditions of source and target', async () => {
  const { service } = world;
  const { etag } = await service.putObject(putRequest('bucket', 'a', pattern(10)));
  const source = (conditions: CopyRequest['source']['conditions']) => ({
    source: { bucket: 'bucket', key: 'a', ...(conditions && { conditions }) },
  });
  await expect(copy('a', 'b', source({ ifNoneMatch: [etag] }))).rejects.toEqual(
    failure('PreconditionFailed'),
  );
  await expect(copy('a', 'b', source({ ifMatch: ['x'] }))).rejects.toEqual(failure('PreconditionFailed'));
  await copy('a', 'b', source({ ifMatch: [etag] }));
  await expect(copy('a', 'b', { conditions: { ifNoneMatch: '*' } })).rejects.toEqual(
    failure('PreconditionFailed'),
  );
  await expect(copy('none', 'b')).rejects.toEqual(failure('NoSuchKey'));
});
