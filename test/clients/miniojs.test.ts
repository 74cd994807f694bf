import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { Client } from 'minio';
import { expect, test } from 'vitest';
import { clientMatrix } from './matrix.ts';

async function collect<T>(stream: Readable): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item as T);
  return items;
}

clientMatrix('minio-js', {}, ({ server, halfWay }) => {
  test('put, stat, get, multipart, list, copy-free rename, presign, remove', async () => {
    const minio = new Client({
      endPoint: '127.0.0.1',
      port: server().port,
      useSSL: false,
      accessKey: server().accessKeyId,
      secretKey: server().secretAccessKey,
    });
    await minio.makeBucket('minio-js', 'eu-central-1');
    expect(await minio.bucketExists('minio-js')).toBe(true);
    const small = randomBytes(5000);
    const large = randomBytes(70_000_000);
    await minio.putObject('minio-js', 'a/small', small, small.length, { 'X-Amz-Meta-Colour': 'blue' });
    await minio.putObject('minio-js', 'a/large', large, large.length);
    await halfWay();
    const stat = await minio.statObject('minio-js', 'a/small');
    expect(stat.size).toBe(5000);
    expect(stat.metaData).toMatchObject({ colour: 'blue' });
    expect((await buffer(await minio.getObject('minio-js', 'a/small'))).equals(small)).toBe(true);
    expect((await buffer(await minio.getObject('minio-js', 'a/large'))).equals(large)).toBe(true);
    const part = await buffer(await minio.getPartialObject('minio-js', 'a/large', 12_345_678, 1000));
    expect(part.equals(large.subarray(12_345_678, 12_346_678))).toBe(true);
    const names = await collect<{ name: string }>(minio.listObjectsV2('minio-js', '', true));
    expect(names.map(({ name }) => name)).toEqual(['a/large', 'a/small']);
    const url = await minio.presignedGetObject('minio-js', 'a/small', 60);
    expect(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(small)).toBe(true);
    await minio.setObjectTagging('minio-js', 'a/small', { team: 'storage' });
    expect(await minio.getObjectTagging('minio-js', 'a/small')).toEqual([{ Key: 'team', Value: 'storage' }]);
    await minio.removeObjects('minio-js', ['a/small', 'a/large']);
    await minio.removeBucket('minio-js');
  });
});
