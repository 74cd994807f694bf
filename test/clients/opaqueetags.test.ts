/**
 * The usual cycle of clients that look at ETags, on a server whose buckets have opaque ones. Each first sees that they are, so that
 * none of this passes for another reason.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { Client, CopyConditions } from 'minio';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../harness/server.ts';
import {
  awsEnvironment,
  client,
  clientMatrix,
  has,
  makeTree,
  rcloneEnvironment,
  s3cmdConfig,
  treeHashes,
} from './matrix.ts';

const environment = { HOLDFAST_S3_ETAG: 'opaque' };
const opaque = /[0-9a-f]{32}-0\b/;
const LARGE_BYTES = 20_000_000;

function largeFile(): { readonly path: string; readonly content: Buffer } {
  const path = join(temporaryDirectory(), 'large.bin');
  const content = randomBytes(LARGE_BYTES);
  writeFileSync(path, content);
  return { path, content };
}

clientMatrix(
  's3cmd, opaque ETags',
  { s3cmd: has('s3cmd') },
  ({ server, halfWay }) => {
    test('put, get, multipart, sync, and again with nothing to do', async () => {
      const config = s3cmdConfig(server());
      const s3cmd = (...args: string[]) => client('s3cmd', ['-c', config, '--no-progress', ...args]);
      const { path, content } = largeFile();
      await s3cmd('mb', 's3://s3cmd');
      // What it lists as MD5 is one of its own making; the ETag is seen in its log.
      const put = await s3cmd('put', path, 's3://s3cmd/whole.bin', '--disable-multipart', '--debug');
      expect(put.stderr).toMatch(opaque);
      await s3cmd('put', path, 's3://s3cmd/parts.bin', '--multipart-chunk-size-mb=5');
      await halfWay();
      for (const name of ['whole', 'parts']) {
        await s3cmd('get', `s3://s3cmd/${name}.bin`, `${path}.${name}`);
        expect(readFileSync(`${path}.${name}`).equals(content)).toBe(true);
      }
      const tree = makeTree([0, 10, 5000, 2_000_000]);
      await s3cmd('sync', `${tree}/`, 's3://s3cmd/tree/');
      expect((await s3cmd('sync', `${tree}/`, 's3://s3cmd/tree/')).stdout).not.toContain('upload');
      const back = temporaryDirectory();
      await s3cmd('sync', 's3://s3cmd/tree/', `${back}/`);
      expect(treeHashes(back)).toEqual(treeHashes(tree));
      await s3cmd('cp', 's3://s3cmd/whole.bin', 's3://s3cmd/copy.bin');
      await s3cmd('get', 's3://s3cmd/copy.bin', `${path}.copy`);
      expect(readFileSync(`${path}.copy`).equals(content)).toBe(true);
      await s3cmd('del', '--recursive', '--force', 's3://s3cmd');
    });
  },
  environment,
);

clientMatrix(
  'rclone, opaque ETags',
  { rclone: has('rclone', ['version']) },
  ({ server, halfWay }) => {
    test('sync, check, and again with nothing to do, sync back, move', async () => {
      const rclone = (...args: string[]) => client('rclone', args, rcloneEnvironment(server()));
      const tree = makeTree();
      const back = temporaryDirectory();
      await rclone('sync', tree, 'holdfast:rclone/tree');
      // rclone takes no ETag with a dash for an MD5, so it has none to show.
      expect((await rclone('hashsum', 'md5', 'holdfast:rclone/tree/plain')).stdout).toMatch(/^ {32}/m);
      await halfWay();
      await rclone('check', tree, 'holdfast:rclone/tree');
      await rclone('check', '--download', tree, 'holdfast:rclone/tree');
      const again = await rclone('sync', '-v', tree, 'holdfast:rclone/tree');
      expect(again.stderr).toContain('There was nothing to transfer');
      await rclone('sync', 'holdfast:rclone/tree', back);
      expect(treeHashes(back)).toEqual(treeHashes(tree));
      writeFileSync(join(tree, 'plain', 'new'), 'new');
      await rclone('sync', tree, 'holdfast:rclone/tree');
      await rclone('moveto', 'holdfast:rclone/tree/plain/new', 'holdfast:rclone/moved');
      expect((await rclone('cat', 'holdfast:rclone/moved')).stdout).toBe('new');
      await rclone('purge', 'holdfast:rclone');
    });
  },
  environment,
);

clientMatrix(
  'AWS CLI, opaque ETags',
  { aws: has('aws') },
  ({ server, halfWay }) => {
    test('cp, multipart, sync, and again with nothing to do, sync back', async () => {
      const aws = (...args: string[]) =>
        client('aws', ['--endpoint-url', server().endpoint, ...args], awsEnvironment(server()));
      const { path, content } = largeFile();
      const tree = makeTree([0, 10, 5000, 2_000_000]);
      await aws('s3', 'mb', 's3://cli');
      await aws('s3', 'cp', '--no-progress', path, 's3://cli/large.bin');
      await aws('s3', 'sync', '--no-progress', tree, 's3://cli/tree');
      const listed = await aws('s3api', 'list-objects-v2', '--bucket', 'cli', '--prefix', 'tree/');
      for (const { ETag } of JSON.parse(listed.stdout).Contents) expect(ETag).toMatch(opaque);
      await halfWay();
      expect((await aws('s3', 'sync', '--no-progress', tree, 's3://cli/tree')).stdout).toBe('');
      await aws('s3', 'cp', '--no-progress', 's3://cli/large.bin', 's3://cli/copy.bin');
      await aws('s3', 'cp', '--no-progress', 's3://cli/copy.bin', `${path}.back`);
      expect(readFileSync(`${path}.back`).equals(content)).toBe(true);
      const back = temporaryDirectory();
      await aws('s3', 'sync', '--no-progress', 's3://cli/tree', back);
      expect(treeHashes(back)).toEqual(treeHashes(tree));
      await aws('s3', 'rb', '--force', 's3://cli');
    });
  },
  environment,
);

clientMatrix(
  'minio-js, opaque ETags',
  {},
  ({ server, halfWay }) => {
    test('put, stat, multipart, get to a file, copy, remove', async () => {
      const minio = new Client({
        endPoint: '127.0.0.1',
        port: server().port,
        useSSL: false,
        accessKey: server().accessKeyId,
        secretKey: server().secretAccessKey,
        partSize: 5 * 1024 * 1024,
      });
      const { path, content } = largeFile();
      await minio.makeBucket('minio-js');
      const { etag } = await minio.putObject('minio-js', 'small', 'small');
      expect(etag).toMatch(opaque);
      await minio.fPutObject('minio-js', 'large', path);
      await halfWay();
      expect((await minio.statObject('minio-js', 'small')).etag).toBe(etag);
      expect((await buffer(await minio.getObject('minio-js', 'small'))).toString()).toBe('small');
      await minio.fGetObject('minio-js', 'large', `${path}.back`);
      expect(readFileSync(`${path}.back`).equals(content)).toBe(true);
      const unchanged = new CopyConditions();
      unchanged.setMatchETag(etag);
      await minio.copyObject('minio-js', 'copy', '/minio-js/small', unchanged);
      expect((await buffer(await minio.getObject('minio-js', 'copy'))).toString()).toBe('small');
      await minio.removeObjects('minio-js', ['small', 'large', 'copy']);
      await minio.removeBucket('minio-js');
    });
  },
  environment,
);
