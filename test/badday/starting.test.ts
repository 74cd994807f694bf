/**
 * Starts that cannot work: each says in one line what is wrong and where, ends with its exit code, and changes nothing that was there.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keys } from '../../src/metadata/keys.ts';
import { openLevel } from '../../src/metadata/level.ts';
import { encodeRecord } from '../../src/metadata/records.ts';
import { TestS3 } from '../harness/s3.ts';
import { runCommand } from '../harness/server.ts';
import { expectRefused, Original } from './original.ts';
import { canMount, free, linesOf, main, remount, unmount } from './support.ts';

const original = new Original();
const { root } = original;
beforeAll(() => original.make());
afterAll(() => original.end());

const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
const canBeNobody =
  process.getuid?.() === 0 && spawnSync('setpriv', [...asNobody, 'test', '-r', main]).status === 0;

describe('an address in use', () => {
  let blocker: ReturnType<typeof createServer>;
  let address = '';
  beforeAll(async () => {
    blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    const bound = blocker.address();
    address = `127.0.0.1:${typeof bound === 'object' ? bound?.port : ''}`;
  });
  afterAll(() => void blocker.close());

  test.each(['--s3', '--admin'])('of %s is named with the flag', async (flag) => {
    const data = original.copy();
    await expectRefused(data, new RegExp(`^holdfast: ${address} is already in use.*\\(${flag}\\)`), [
      flag,
      address,
    ]);
    expect(existsSync(join(data, 'control.sock'))).toBe(false);
    await original.expectServes(data);
  });
});

describe('a data directory', () => {
  test('below a file cannot be used', async () => {
    const file = join(root, 'file');
    writeFileSync(file, '');
    await expectRefused(
      join(file, 'data'),
      /^holdfast: data directory .*\/file\/data: it is not a directory$/,
    );
    await expectRefused(file, /^holdfast: data directory .*\/file: it is not a directory$/);
  });

  test.skipIf(!canMount)('on a file system mounted read-only cannot be used (needs root)', async () => {
    const data = original.copy();
    try {
      remount(data, 'bind');
      remount(data, 'remount,bind,ro');
      await expectRefused(data, /^holdfast: data directory .*: it cannot be written by this user$/);
    } finally {
      unmount(data);
    }
    await original.expectServes(data);
  });

  const title = 'of another user cannot be used (needs root, and a checkout that others may read)';
  test.skipIf(!canBeNobody)(title, async () => {
    const data = original.copy();
    const flags = ['serve', '--data', data, ...free];
    const result = await runCommand('setpriv', [...asNobody, process.execPath, main, ...flags]);
    expect(linesOf(result)).toEqual([
      expect.stringMatching(/^holdfast: data directory .*: it cannot be written by this user$/),
    ]);
    expect(result.code).toBe(1);
  });

  test('in use by another process is left alone', async () => {
    const server = await original.start({ data: original.copy() });
    await expectRefused(server.data, /^holdfast: .*\/metadata is in use by another process$/);
    await new TestS3(server).ok('GET', '/kept/object');
    const status = await runCommand(process.execPath, [main, 'status', '--data', server.data]);
    expect(status.code).toBe(0);
    await server.stop();
  });

  test('works where it was moved to', async () => {
    const data = original.copy();
    const moved = join(root, 'moved here', 'däta');
    mkdirSync(dirname(moved));
    renameSync(data, moved);
    await original.expectServes(moved);
  });

  test('may have a path longer than a socket address', async () => {
    const data = join(root, 'a'.repeat(100), 'b'.repeat(100), 'data');
    const server = await original.start({ data });
    const status = await runCommand(process.execPath, [main, 'status', '--data', data, '--json']);
    expect(JSON.parse(status.stdout)).toMatchObject({ health: 'ok' });
    await server.stop();
    expect(existsSync(join(data, 'control.path'))).toBe(false);
    await (await original.start({ data })).stop('SIGKILL');
    const dead = await runCommand(process.execPath, [main, 'status', '--data', data]);
    expect(dead).toMatchObject({ code: 1, stderr: expect.stringContaining('no server runs on') });
    await (await original.start({ data })).stop();
  });
});

describe('a newer format', () => {
  test('of the data directory is refused', async () => {
    const data = original.copy();
    writeFileSync(join(data, 'format.json'), '{"product":"holdfast","format":2}\n');
    await expectRefused(
      data,
      /format\.json: format 2 was written by a newer Holdfast; this one reads up to 1$/,
    );
  });

  test('of the keys is refused', async () => {
    const data = original.copy();
    const bundle = JSON.parse(readFileSync(join(data, 'bundle.json'), 'utf8')) as object;
    writeFileSync(join(data, 'bundle.json'), JSON.stringify({ ...bundle, format: 2 }));
    await expectRefused(data, /bundle\.json: format 2 was written by a newer Holdfast/);
  });

  test('of a metadata record is refused', async () => {
    const data = original.copy();
    const engine = await openLevel(join(data, 'metadata'));
    const record = { ...encodeable, v: 2 };
    await engine.batch([{ type: 'put', key: keys.node(1), value: encodeRecord(record) }], { sync: true });
    await engine.close();
    await expectRefused(data, /metadata record of format 2, this version reads 1$/);
  });

  test('of one node leaves that node offline and the others serving', async () => {
    const data = original.copy();
    const path = join(data, 'nodes', 'node-3', 'node.json');
    const identity = JSON.parse(readFileSync(path, 'utf8')) as object;
    writeFileSync(path, JSON.stringify({ ...identity, format: 2 }));
    const server = await original.start({ data });
    await new TestS3(server).ok('GET', '/kept/object');
    const list = await runCommand(process.execPath, [main, 'nodes', 'list', '--data', data]);
    expect(list.code).toBe(3);
    expect(list.stdout).toMatch(/^3 +offline .*has format 2; this version knows 1$/m);
    await server.stop();
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ format: 2 });
  });
});

/** A node record but for its format. */
const encodeable = { nodeUuid: '0'.repeat(32), path: 'nodes/node-1', farm: 'f', state: 'active', addedMs: 0 };

describe('node folders given by the configuration', () => {
  const folders = [1, 2, 3, 4, 5, 6].map((id) => join(root, 'disks', `disk${id}`, 'holdfast'));
  const config = join(root, 'holdfast.toml');
  const data = join(root, 'with-folders');
  const idsAndPaths = async () => {
    const list = await runCommand(process.execPath, [main, 'nodes', 'list', '--data', data, '--json']);
    const nodes = JSON.parse(list.stdout) as { id: number; path: string; admin: string }[];
    return nodes.filter(({ admin }) => admin !== 'lost').map(({ id, path }) => [id, path]);
  };

  test('are made, found again, and not doubled', async () => {
    writeFileSync(config, `[grid]\nfolders = ${JSON.stringify(folders)}\n`);
    for (let round = 0; round < 2; round++) {
      const server = await original.start({ data, flags: ['--config', config] });
      expect(await idsAndPaths()).toEqual(folders.map((path, i) => [i + 1, path]));
      expect(existsSync(join(data, 'nodes'))).toBe(false);
      await server.stop();
    }
  });

  test('that replaced another are the ones used after a restart', async () => {
    const elsewhere = join(root, 'disks', 'disk7');
    const server = await original.start({ data, flags: ['--config', config] });
    const replace = ['nodes', 'replace', '2', '--path', elsewhere, '--data', data];
    expect((await runCommand(process.execPath, [main, ...replace])).code).toBe(0);
    await server.stop();
    const again = await original.start({ data, flags: ['--config', config] });
    expect((await idsAndPaths()).map(([, path]) => path)).toEqual([
      ...folders.filter((_, i) => i !== 1),
      elsewhere,
    ]);
    await again.stop();
  });

  test('that hold fragments of another grid, or are a file, are refused', async () => {
    const foreign = join(original.copy(), 'nodes', 'node-1');
    const fresh = join(root, 'fresh');
    await expectRefused(fresh, /node folder .*node-1/, ['--folder', foreign]);
    writeFileSync(join(root, 'a-file'), '');
    await expectRefused(join(root, 'fresher'), /node folder .*a-file/, ['--folder', join(root, 'a-file')]);
  });
});
