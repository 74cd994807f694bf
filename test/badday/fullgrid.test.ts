/**
 * Node folders that fill up, once by their configured capacity and once because their disk is full: writes get 507, what is stored stays
 * readable, deletes work, and their space comes back so that writing goes on.
 */
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { KIB, MIB } from '../../src/base/units.ts';
import { TestS3 } from '../harness/s3.ts';
import { type RunningServer, startServer, temporaryDirectory, waitUntil } from '../harness/server.ts';
import { body, canMount, mountTmpfs, removeData, scrubOf, statusOf, unmount } from './support.ts';

const cleanups: (() => Promise<void> | void)[] = [];
afterAll(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

const OBJECT_BYTES = 12 * MIB;
const OBJECTS_MAX = 60;

async function start(options: Parameters<typeof startServer>[0]): Promise<RunningServer> {
  const server = await startServer(options);
  cleanups.push(async () => {
    await server.stop('SIGKILL');
    removeData(server.data);
  });
  return server;
}

/** Writes until a PUT is refused; returns how many were taken, and the refusal. */
async function fill(s3: TestS3) {
  for (let count = 0; count < OBJECTS_MAX; count++) {
    const reply = await s3.send('PUT', `/full/${count}`, { body: body(OBJECT_BYTES, count) });
    if (reply.status !== 200) return { count, reply };
  }
  throw new Error(`${OBJECTS_MAX} objects of ${OBJECT_BYTES} bytes did not fill the grid`);
}

async function expectRoundOfFullGrid(server: RunningServer) {
  const s3 = new TestS3(server);
  await s3.ok('PUT', '/full');
  await s3.ok('PUT', '/full/old', { body: 'the old version' });
  const { count, reply } = await fill(s3);
  expect([reply.status, reply.body.toString()]).toEqual([
    507,
    expect.stringContaining('<Code>InsufficientStorage</Code>'),
  ]);
  expect(count).toBeGreaterThan(1);
  const replaced = await s3.send('PUT', '/full/old', { body: body(OBJECT_BYTES, 99) });
  expect(replaced.status).toBe(507);
  expect((await s3.ok('GET', '/full/old')).body.toString()).toBe('the old version');
  for (let i = 0; i < count; i++) {
    expect((await s3.ok('GET', `/full/${i}`)).body.equals(body(OBJECT_BYTES, i)), `object ${i}`).toBe(true);
  }
  expect((await s3.send('GET', `/full/${count}`)).status).toBe(404);
  for (let i = 0; i < count; i++) await s3.ok('DELETE', `/full/${i}`);
  for (let i = 0; i < count - 1; i++) {
    const again = body(OBJECT_BYTES, 200 + i);
    await waitUntil(
      async () => (await s3.send('PUT', `/full/again/${i}`, { body: again })).status === 200,
      20_000,
      () => `no room for object ${i} after ${count} were deleted`,
    );
    expect((await s3.ok('GET', `/full/again/${i}`)).body.equals(again)).toBe(true);
  }
  expect((await s3.ok('GET', '/full/old')).body.toString()).toBe('the old version');
  await scrubOf(server);
  expect(await scrubOf(server)).toMatchObject({ corrupt: 0, missing: 0, orphans: 0, unrepairable: 0 });
  expect((await statusOf(server)).stripes.unreadable).toBe(0);
}

describe('a grid that is full', () => {
  test('by its configured capacity is readable, can be emptied and written again', async () => {
    const server = await start({
      flags: ['--log-level', 'error'],
      environment: { HOLDFAST_GRID_NODE_CAPACITY: '24MiB' },
    });
    await expectRoundOfFullGrid(server);
  });

  test('with the small objects that fill it is readable and can be emptied', async () => {
    const server = await start({
      flags: ['--log-level', 'error'],
      environment: { HOLDFAST_GRID_NODE_CAPACITY: '4MiB' },
    });
    const s3 = new TestS3(server);
    await s3.ok('PUT', '/small');
    let taken = 0;
    for (let refused = false; !refused; ) {
      const puts = Array.from({ length: 32 }, (_, i) =>
        s3.send('PUT', `/small/${taken + i}`, { body: body(30 * KIB, taken + i) }),
      );
      const statuses = (await Promise.all(puts)).map(({ status }) => status);
      expect(statuses.every((status) => status === 200 || status === 507)).toBe(true);
      refused = statuses.includes(507);
      taken += 32;
    }
    for (let i = 0; i < taken - 32; i += 7) {
      expect((await s3.ok('GET', `/small/${i}`)).body.equals(body(30 * KIB, i)), `object ${i}`).toBe(true);
    }
    for (let i = 0; i < taken; i++) await s3.ok('DELETE', `/small/${i}`);
    await waitUntil(
      async () => (await s3.send('PUT', '/small/again', { body: body(MIB, 1) })).status === 200,
      20_000,
    );
  });
});

test.skipIf(!canMount)('a disk that fills half-way through a PUT (needs root, to mount)', async () => {
  const disk = temporaryDirectory();
  mountTmpfs(disk, '140m');
  cleanups.push(() => unmount(disk));
  const folders = [1, 2, 3, 4, 5, 6].flatMap((id) => ['--folder', join(disk, `node-${id}`)]);
  const server = await start({ flags: [...folders, '--log-level', 'error'] });
  await expectRoundOfFullGrid(server);
});
