import { createHash, randomBytes } from 'node:crypto';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { expect, test } from 'vitest';
import { clientMatrix } from './matrix.ts';

clientMatrix('AWS SDK for JavaScript v3', {}, ({ server, halfWay }) => {
  const connect = () =>
    new S3Client({
      endpoint: server().endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: { accessKeyId: server().accessKeyId, secretAccessKey: server().secretAccessKey },
    });

  const streams = 'sdk-stream';
  const content = randomBytes(23_000_000);

  test('lib-storage uploads a stream of unknown length in parts', async () => {
    const s3 = connect();
    await s3.send(new CreateBucketCommand({ Bucket: streams }));
    const Body = new ReadableStream({
      start(controller) {
        for (let at = 0; at < content.length; at += 1_000_000)
          controller.enqueue(content.subarray(at, at + 1_000_000));
        controller.close();
      },
    });
    await new Upload({ client: s3, params: { Bucket: streams, Key: 'stream', Body } }).done();
    const head = await s3.send(new HeadObjectCommand({ Bucket: streams, Key: 'stream' }));
    expect(head.ContentLength).toBe(content.length);
    expect(head.ETag).toMatch(/-5"$/);
  });

  test('objects, ranges, copies, presigned URLs, listing, deletes', async () => {
    const s3 = connect();
    const Bucket = 'sdk';
    await s3.send(new CreateBucketCommand({ Bucket }));
    const bodies = new Map(
      [0, 1, 4096, 40_000, 2_000_000].map((size) => [`size/${size}`, randomBytes(size)]),
    );
    for (const [Key, Body] of bodies) {
      const { ETag } = await s3.send(new PutObjectCommand({ Bucket, Key, Body, Metadata: { key: Key } }));
      expect(ETag).toBe(`"${createHash('md5').update(Body).digest('hex')}"`);
    }
    await halfWay();
    for (const [Key, body] of bodies) {
      const reply = await s3.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
      expect(Buffer.from((await reply.Body?.transformToByteArray()) ?? []).equals(body)).toBe(true);
      expect(reply.Metadata).toEqual({ key: Key });
      expect(reply.ChecksumCRC32).toBeDefined();
    }
    const range = await s3.send(new GetObjectCommand({ Bucket, Key: 'size/2000000', Range: 'bytes=-17' }));
    expect(Buffer.from((await range.Body?.transformToByteArray()) ?? [])).toEqual(
      bodies.get('size/2000000')?.subarray(-17),
    );
    await s3.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/size/40000` }));
    const url = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: 'copy' }), { expiresIn: 60 });
    expect(
      Buffer.from(await (await fetch(url)).arrayBuffer()).equals(bodies.get('size/40000') as Buffer),
    ).toBe(true);
    const put = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: 'presigned' }), { expiresIn: 60 });
    expect((await fetch(put, { method: 'PUT', body: 'put by URL' })).status).toBe(200);
    const listed = await s3.send(new ListObjectsV2Command({ Bucket, Delimiter: '/' }));
    expect(listed.Contents?.map(({ Key }) => Key)).toEqual(['copy', 'presigned']);
    expect(listed.CommonPrefixes).toEqual([{ Prefix: 'size/' }]);
    const Objects = [...bodies.keys(), 'copy', 'presigned'].map((Key) => ({ Key }));
    expect((await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }))).Deleted).toHaveLength(
      7,
    );
  });

  test('the stream of the first test comes back', async () => {
    const reply = await connect().send(new GetObjectCommand({ Bucket: streams, Key: 'stream' }));
    expect(Buffer.from((await reply.Body?.transformToByteArray()) ?? []).equals(content)).toBe(true);
  });
});
