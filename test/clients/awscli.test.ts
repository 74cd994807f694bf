import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../harness/server.ts';
import { awsEnvironment, client, clientMatrix, has, makeTree, treeHashes } from './matrix.ts';

clientMatrix('AWS CLI', { aws: has('aws') }, ({ server, halfWay }) => {
  const aws = (...args: string[]) =>
    client('aws', ['--endpoint-url', server().endpoint, ...args], awsEnvironment(server()));

  const large = join(temporaryDirectory(), 'large.bin');
  const content = randomBytes(64 * 1024 * 1024);
  const tree = makeTree();

  test('multipart upload of 64 MiB', async () => {
    writeFileSync(large, content);
    await aws('s3', 'mb', 's3://cli-large');
    await aws('s3', 'cp', '--no-progress', large, 's3://cli-large/large.bin');
    const head = JSON.parse(
      (await aws('s3api', 'head-object', '--bucket', 'cli-large', '--key', 'large.bin')).stdout,
    );
    expect(head.ETag).toMatch(/^"[0-9a-f]{32}-8"$/);
  });

  test('sync up, and again with nothing to do', async () => {
    await aws('s3', 'mb', 's3://cli-sync');
    await aws('s3', 'sync', '--no-progress', tree, 's3://cli-sync/tree');
    expect((await aws('s3', 'sync', '--no-progress', tree, 's3://cli-sync/tree')).stdout).toBe('');
  });

  test('mb, cp, ls, presign, rm, rb', async () => {
    const file = join(temporaryDirectory(), 'small.txt');
    writeFileSync(file, 'hello from the command line');
    await aws('s3', 'mb', 's3://cli-small');
    await aws('s3', 'cp', file, 's3://cli-small/a b/ü.txt');
    await halfWay();
    expect((await aws('s3', 'ls', '--recursive', 's3://cli-small')).stdout).toContain('a b/ü.txt');
    const url = (await aws('s3', 'presign', 's3://cli-small/a b/ü.txt')).stdout.trim();
    expect(await (await fetch(url)).text()).toBe('hello from the command line');
    await aws('s3', 'cp', 's3://cli-small/a b/ü.txt', `${file}.back`);
    expect(readFileSync(`${file}.back`, 'utf8')).toBe('hello from the command line');
    await aws('s3', 'rm', 's3://cli-small/a b/ü.txt');
    await aws('s3', 'rb', 's3://cli-small');
  });

  test('download and copy of the large object', async () => {
    await aws('s3', 'cp', '--no-progress', 's3://cli-large/large.bin', `${large}.back`);
    expect(readFileSync(`${large}.back`).equals(content)).toBe(true);
    await aws('s3', 'cp', '--no-progress', 's3://cli-large/large.bin', 's3://cli-large/copy.bin');
    await aws('s3', 'cp', '--no-progress', 's3://cli-large/copy.bin', `${large}.copy`);
    expect(readFileSync(`${large}.copy`).equals(content)).toBe(true);
  });

  test('sync down, and up with --delete', async () => {
    const back = temporaryDirectory();
    await aws('s3', 'sync', '--no-progress', 's3://cli-sync/tree', back);
    expect(treeHashes(back)).toEqual(treeHashes(tree));
    await aws('s3', 'sync', '--no-progress', '--delete', temporaryDirectory(), 's3://cli-sync/tree');
    expect((await aws('s3api', 'list-objects-v2', '--bucket', 'cli-sync')).stdout).not.toContain('"Key"');
  });

  test('a wrong secret is refused with a clear code', async () => {
    const environment = { ...awsEnvironment(server()), AWS_SECRET_ACCESS_KEY: 'wrong-secret-wrong-secret' };
    await expect(
      client('aws', ['--endpoint-url', server().endpoint, 's3', 'ls'], environment),
    ).rejects.toThrow(/SignatureDoesNotMatch/);
  });
});
