import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../harness/server.ts';
import { client, clientMatrix, has, makeTree, s3cmdConfig, treeHashes } from './matrix.ts';

clientMatrix('s3cmd', { s3cmd: has('s3cmd') }, ({ server, halfWay }) => {
  test('mb, put, get, multipart, sync, info, del', async () => {
    const config = s3cmdConfig(server());
    const s3cmd = (...args: string[]) => client('s3cmd', ['-c', config, '--no-progress', ...args]);
    await s3cmd('mb', 's3://s3cmd');
    const file = join(temporaryDirectory(), 'large.bin');
    const content = randomBytes(20_000_000);
    writeFileSync(file, content);
    await s3cmd('put', file, 's3://s3cmd/large.bin', '--multipart-chunk-size-mb=5');
    await halfWay();
    await s3cmd('get', 's3://s3cmd/large.bin', `${file}.back`);
    expect(readFileSync(`${file}.back`).equals(content)).toBe(true);
    const tree = makeTree([0, 10, 5000, 2_000_000]);
    await s3cmd('sync', `${tree}/`, 's3://s3cmd/tree/');
    const back = temporaryDirectory();
    await s3cmd('sync', 's3://s3cmd/tree/', `${back}/`);
    expect(treeHashes(back)).toEqual(treeHashes(tree));
    expect((await s3cmd('info', 's3://s3cmd/large.bin')).stdout).toContain('20000000');
    await s3cmd('cp', 's3://s3cmd/large.bin', 's3://s3cmd/copy.bin');
    await s3cmd('del', '--recursive', '--force', 's3://s3cmd');
    await s3cmd('rb', 's3://s3cmd');
  });
});
