/** What real SDKs put on the wire, over a memory of one Map: their signatures, framings and checksums hold. */
import { Readable } from 'node:stream';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { Client as MinioClient } from 'minio';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBodyDigest } from '../../src/coding/digest.ts';
import type { OperationContext } from '../../src/s3/operation.ts';
import { type Harness, keys, pattern, pooledBody, start } from './harness.ts';

const stored = new Map<string, Buffer>();
let seen: Record<string, unknown> = {};
let harness: Harness;
let sdk: S3Client;

async function put(context: OperationContext) {
  const body = context.body();
  const digest = createBodyDigest([...body.algorithms, 'md5']);
  const pieces: Uint8Array[] = [];
  for await (const piece of body) {
    digest.update(piece);
    pieces.push(piece);
  }
  const digests = digest.digest();
  const checksum = body.verify(digests);
  seen = { form: context.headers['x-amz-content-sha256'], algorithm: checksum?.algorithm };
  stored.set(`${context.bucket}/${context.key}`, Buffer.concat(pieces));
  return { status: 200, headers: { etag: `"${digests.md5?.toString('hex')}"` } };
}

beforeAll(async () => {
  const base = { selectors: {}, parameters: [], level: 'object' as const };
  harness = await start([
    { ...base, name: 'PutObject', method: 'PUT', headers: ['x-amz-meta-*', 'x-amz-acl'], handle: put },
    {
      ...base,
      name: 'GetObject',
      method: 'GET',
      headers: ['x-amz-checksum-mode'],
      handle: async ({ bucket, key }) => ({
        status: 200,
        body: pooledBody(stored.get(`${bucket}/${key}`) ?? Buffer.alloc(0), 65_536),
      }),
    },
  ]);
  sdk = new S3Client({
    endpoint: `http://${harness.host}`,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: keys,
  });
});
afterAll(async () => {
  sdk.destroy();
  await harness.close();
});

const data = pattern(300_000);
const names = ['plain', 'dir//../a+b c%25&=?#é€😀', "it's (1)!*~.txt", '/lead', 'ctrl\u0001'];

test('@aws-sdk/client-s3: any key, buffers with its default checksum', async () => {
  for (const Key of names) {
    await sdk.send(new PutObjectCommand({ Bucket: 'bucket', Key, Body: data, Metadata: { a: 'b' } }));
    expect(stored.get(`bucket/${Key}`)?.equals(data), Key).toBe(true);
    const got = await sdk.send(new GetObjectCommand({ Bucket: 'bucket', Key }));
    expect(Buffer.from((await got.Body?.transformToByteArray()) ?? []).equals(data)).toBe(true);
  }
  expect(seen['algorithm']).toBe('CRC32');
});

test('@aws-sdk/client-s3: streams with a trailing checksum', async () => {
  for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'SHA1', 'SHA256'] as const) {
    await sdk.send(
      new PutObjectCommand({
        Bucket: 'bucket',
        Key: 'stream',
        Body: Readable.from([data.subarray(0, 100_000), data.subarray(100_000)]),
        ContentLength: data.length,
        ChecksumAlgorithm,
      }),
    );
    expect(stored.get('bucket/stream')?.equals(data)).toBe(true);
    expect(seen).toEqual({ form: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', algorithm: ChecksumAlgorithm });
  }
});

test('@aws-sdk/s3-request-presigner', async () => {
  const get = await getSignedUrl(sdk, new GetObjectCommand({ Bucket: 'bucket', Key: "it's (1)!*~.txt" }));
  expect(Buffer.from(await (await fetch(get)).arrayBuffer()).equals(data)).toBe(true);
  const target = new PutObjectCommand({ Bucket: 'bucket', Key: 'up', Metadata: { a: 'b' } });
  const upload = await fetch(await getSignedUrl(sdk, target), { method: 'PUT', body: 'hello' });
  expect(await upload.text()).toBe('');
  expect(stored.get('bucket/up')?.toString()).toBe('hello');
  const claim = new PutObjectCommand({ Bucket: 'bucket', Key: 'up', ChecksumCRC32: 'NhCmhg==' });
  const claimed = await getSignedUrl(sdk, claim);
  expect(await (await fetch(claimed, { method: 'PUT', body: 'hello' })).text()).toBe('');
  expect(seen['algorithm']).toBe('CRC32');
  const other = await fetch(claimed, { method: 'PUT', body: 'jello' });
  expect(await other.text()).toContain('BadDigest');
});

test('minio-js', async () => {
  const minio = new MinioClient({
    endPoint: '127.0.0.1',
    port: harness.port,
    useSSL: false,
    accessKey: keys.accessKeyId,
    secretKey: keys.secretAccessKey,
    region: 'us-east-1',
  });
  for (const name of names) {
    await minio.putObject('bucket', name, data, data.length, { 'x-amz-meta-a': 'b' });
    expect(stored.get(`bucket/${name}`)?.equals(data), name).toBe(true);
  }
  const url = await minio.presignedPutObject('bucket', 'presigned');
  await fetch(url, { method: 'PUT', body: 'x' });
  expect(stored.get('bucket/presigned')?.toString()).toBe('x');
});
