/**
 * The handlers between the real server and the real object layer, spoken to by AWS's own SDK with its default
 * checksums and framing: what it parses from our documents and headers is what it would parse from S3's.
 */
import { S3 } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operations } from '../../../src/s3/operations/index.ts';
import { S3Server } from '../../../src/s3/server.ts';
import { createWorld, type World } from '../../objects/world.ts';
import { crc32Base64, md5Hex } from '../call.ts';

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'a secret for tests' };
const Bucket = 'bucket';
let world: World;
let server: S3Server;
let s3: S3;

beforeAll(async () => {
  world = await createWorld();
  server = new S3Server({
    operations,
    objects: world.service,
    credentials: {
      find: (id) =>
        id === credentials.accessKeyId
          ? { ...credentials, ownerId: 'a'.repeat(64), displayName: 'owner' }
          : undefined,
    },
    log: pino({ level: 'silent' }),
    ready: () => true,
  });
  const { port } = await server.listen('127.0.0.1', 0);
  const endpoint = `http://127.0.0.1:${port}`;
  s3 = new S3({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true, maxAttempts: 1 });
  await s3.createBucket({ Bucket });
});

afterAll(async () => {
  s3.destroy();
  await server.close({ graceMs: 0 });
  await world.close();
});

const nameOf = async (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'no error',
    (error: Error) => error.name,
  );

test('keys of every kind are put, listed, copied, read and deleted', async () => {
  const keys = [
    ' sp ',
    '../x',
    '//y',
    'a+b%20c',
    'dir/',
    "it's",
    'q?x=1&y',
    't\tab',
    '\u00fc&<">',
    '\uffee',
    '\u{1f600}',
  ];
  for (const Key of keys) {
    await s3.putObject({ Bucket, Key, Body: Key });
    const CopySource = `${Bucket}/${encodeURIComponent(Key)}`;
    await s3.copyObject({ Bucket, Key: `copy-of/${Key}`, CopySource });
  }
  const listed = await s3.listObjectsV2({ Bucket });
  const expected = [...keys, ...keys.map((key) => `copy-of/${key}`)];
  expect(listed.Contents?.map(({ Key }) => Key)).toEqual(
    expected.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  );
  for (const Key of keys) {
    const got = await s3.getObject({ Bucket, Key: `copy-of/${Key}`, ChecksumMode: 'ENABLED' });
    expect([await got.Body?.transformToString(), got.ChecksumCRC32]).toEqual([Key, crc32Base64(Key)]);
  }
  const deleted = await s3.deleteObjects({ Bucket, Delete: { Objects: expected.map((Key) => ({ Key })) } });
  expect(deleted.Deleted?.map(({ Key }) => Key)).toEqual(expected);
  expect((await s3.listObjectsV2({ Bucket })).KeyCount).toBe(0);
});

test('what is said about an object is what the SDK hears', async () => {
  await s3.putObject({
    Bucket,
    Key: 'said',
    Body: 'body',
    ContentType: 'text/plain',
    CacheControl: 'no-store',
    Expires: new Date('2030-01-02T03:04:05Z'),
    Metadata: { name: 'value' },
    Tagging: 'a=1&b=two%20words',
    StorageClass: 'STANDARD_IA',
    ServerSideEncryption: 'AES256',
    ACL: 'private',
  });
  expect(await s3.headObject({ Bucket, Key: 'said' })).toMatchObject({
    ETag: `"${md5Hex('body')}"`,
    ContentLength: 4,
    ContentType: 'text/plain',
    CacheControl: 'no-store',
    ExpiresString: 'Wed, 02 Jan 2030 03:04:05 GMT',
    Metadata: { name: 'value' },
    StorageClass: 'STANDARD_IA',
    ServerSideEncryption: 'AES256',
  });
  expect((await s3.getObjectTagging({ Bucket, Key: 'said' })).TagSet).toEqual([
    { Key: 'a', Value: '1' },
    { Key: 'b', Value: 'two words' },
  ]);
  expect((await s3.getObjectAcl({ Bucket, Key: 'said' })).Grants).toMatchObject([
    { Permission: 'FULL_CONTROL' },
  ]);
});

describe('multipart uploads', () => {
  test.each(['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const)(
    'with %s',
    async (ChecksumAlgorithm) => {
      const Key = `multipart-${ChecksumAlgorithm}`;
      const Body = Buffer.alloc(6 * 1024 ** 2, 7);
      const done = await new Upload({ client: s3, params: { Bucket, Key, Body, ChecksumAlgorithm } }).done();
      const type = ChecksumAlgorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE';
      expect([done.Key, done.ChecksumType, done.ETag]).toEqual([Key, type, expect.stringMatching(/-2"$/)]);
      const attributes = await s3.getObjectAttributes({
        Bucket,
        Key,
        ObjectAttributes: ['Checksum', 'ObjectParts', 'ObjectSize'],
      });
      expect([attributes.ObjectSize, attributes.ObjectParts?.TotalPartsCount]).toEqual([Body.length, 2]);
      expect(attributes.ObjectParts?.Parts?.[0]).toHaveProperty(
        `Checksum${ChecksumAlgorithm}`,
        expect.any(String),
      );
      const got = await s3.getObject({ Bucket, Key, ChecksumMode: 'ENABLED' });
      expect(Buffer.compare(Buffer.from((await got.Body?.transformToByteArray()) ?? []), Body)).toBe(0);
      const part = await s3.getObject({ Bucket, Key, PartNumber: 2, ChecksumMode: 'ENABLED' });
      expect([part.PartsCount, (await part.Body?.transformToByteArray())?.length]).toEqual([2, 1024 ** 2]);
    },
  );
});

test('errors arrive under their names', async () => {
  await s3.putObject({ Bucket, Key: 'here', Body: 'x' });
  expect(await nameOf(s3.getObject({ Bucket, Key: 'nokey' }))).toBe('NoSuchKey');
  expect(await nameOf(s3.headObject({ Bucket, Key: 'nokey' }))).toBe('NotFound');
  expect(await nameOf(s3.createBucket({ Bucket }))).toBe('BucketAlreadyOwnedByYou');
  expect(await nameOf(s3.putObject({ Bucket, Key: 'here', Body: 'y', IfNoneMatch: '*' }))).toBe(
    'PreconditionFailed',
  );
  await expect(s3.getObject({ Bucket, Key: 'here', IfNoneMatch: `"${md5Hex('x')}"` })).rejects.toMatchObject({
    $metadata: { httpStatusCode: 304 },
  });
  expect(await nameOf(s3.abortMultipartUpload({ Bucket, Key: 'here', UploadId: 'x' }))).toBe('NoSuchUpload');
  expect(await nameOf(s3.getBucketPolicy({ Bucket }))).toBe('NoSuchBucketPolicy');
  expect(
    await nameOf(s3.putBucketVersioning({ Bucket, VersioningConfiguration: { Status: 'Enabled' } })),
  ).toBe('NotImplemented');
});
