import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory, waitUntil } from '../harness/server.ts';
import { client, clientMatrix, has, makeTree, rcloneEnvironment, treeHashes } from './matrix.ts';

const fuse = { '/dev/fuse': existsSync('/dev/fuse'), fusermount: has('fusermount', ['-V']) };
const rcloneThere = { rclone: has('rclone', ['version']) };

clientMatrix('rclone', rcloneThere, ({ server, halfWay }) => {
  const rclone = (...args: string[]) => client('rclone', args, rcloneEnvironment(server()));

  test('sync, check --download, sync back, delete', async () => {
    const tree = makeTree();
    const back = temporaryDirectory();
    await rclone('sync', tree, 'holdfast:rclone/tree');
    await halfWay();
    await rclone('check', '--download', tree, 'holdfast:rclone/tree');
    await rclone('check', tree, 'holdfast:rclone/tree');
    await rclone('sync', 'holdfast:rclone/tree', back);
    expect(treeHashes(back)).toEqual(treeHashes(tree));
    writeFileSync(join(tree, 'plain', 'new'), 'new');
    await rclone('sync', tree, 'holdfast:rclone/tree');
    expect((await rclone('lsf', 'holdfast:rclone/tree/plain')).stdout).toContain('new');
    await rclone('moveto', 'holdfast:rclone/tree/plain/new', 'holdfast:rclone/moved');
    expect((await rclone('cat', 'holdfast:rclone/moved')).stdout).toBe('new');
    await rclone('purge', 'holdfast:rclone');
  });
});

clientMatrix('rclone mount', { ...rcloneThere, ...fuse }, ({ server, halfWay }) => {
  const rclone = (...args: string[]) => client('rclone', args, rcloneEnvironment(server()));

  test('real file operations', async () => {
    const point = temporaryDirectory();
    await rclone('mkdir', 'holdfast:mounted');
    // Without a write cache a mount cannot append (rclone's manual, "VFS File Caching").
    const mount = spawn('rclone', ['mount', 'holdfast:mounted', point, '--vfs-cache-mode', 'writes'], {
      env: { ...process.env, ...rcloneEnvironment(server()) },
      stdio: 'ignore',
    });
    const stored = async (text: string) =>
      (await rclone('lsf', '-R', '--format', 'ps', 'holdfast:mounted')).stdout.includes(text);
    try {
      await waitUntil(() => spawnSync('mountpoint', ['-q', point]).status === 0, 20_000);
      const large = randomBytes(25_000_000);
      mkdirSync(join(point, 'folder'));
      writeFileSync(join(point, 'folder', 'large.bin'), large);
      writeFileSync(join(point, 'folder', 'a.txt'), 'first');
      appendFileSync(join(point, 'folder', 'a.txt'), ' and second');
      // What is closed is uploaded five seconds later.
      await waitUntil(() => stored('folder/a.txt;16'), 30_000);
      await waitUntil(() => stored('folder/large.bin;25000000'), 30_000);
      await halfWay();
      renameSync(join(point, 'folder', 'a.txt'), join(point, 'folder', 'b.txt'));
      expect(readFileSync(join(point, 'folder', 'b.txt'), 'utf8')).toBe('first and second');
      await waitUntil(async () => (await stored('folder/b.txt')) && !(await stored('folder/a.txt')), 30_000);
      expect((await rclone('cat', 'holdfast:mounted/folder/b.txt')).stdout).toBe('first and second');
      const copy = join(temporaryDirectory(), 'large.bin');
      await rclone('copyto', 'holdfast:mounted/folder/large.bin', copy);
      expect(readFileSync(copy).equals(large)).toBe(true);
      truncateSync(join(point, 'folder', 'large.bin'), 1000);
      expect(readFileSync(join(point, 'folder', 'large.bin')).equals(large.subarray(0, 1000))).toBe(true);
      rmSync(join(point, 'folder'), { recursive: true });
      expect(readdirSync(point)).toEqual([]);
    } finally {
      spawnSync('fusermount', ['-u', '-z', point]);
      mount.kill();
    }
  });
});
