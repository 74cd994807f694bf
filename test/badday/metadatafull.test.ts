/**
 * The disk of the data directory is full, those of the nodes are not: writes are refused, reads go on, and writing goes on by itself when
 * there is space again.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { KIB, MIB } from '../../src/base/units.ts';
import { TestS3 } from '../harness/s3.ts';
import { type RunningServer, startServer, temporaryDirectory, waitUntil } from '../harness/server.ts';
import { body, canMount, mountTmpfs, scrubOf, statusOf, unmount } from './support.ts';

let server: RunningServer | undefined;
const mount = temporaryDirectory();
const nodes = temporaryDirectory();
afterAll(async () => {
  await server?.stop('SIGKILL');
  if (canMount) unmount(mount);
  for (const folder of [mount, nodes]) rmSync(folder, { recursive: true, force: true });
});

test.skipIf(!canMount)('a full disk under the metadata (needs root, to mount)', async () => {
  mountTmpfs(mount, '48m');
  const folders = [1, 2, 3, 4, 5, 6].flatMap((id) => ['--folder', join(nodes, `node-${id}`)]);
  const start = () => startServer({ data: join(mount, 'data'), flags: [...folders, '--log-level', 'error'] });
  server = await start();
  let s3 = new TestS3(server);
  await s3.ok('PUT', '/meta');
  const old = body(2 * MIB, 1);
  await s3.ok('PUT', '/meta/old', { body: old });

  const ballast = join(mount, 'ballast');
  try {
    writeFileSync(ballast, Buffer.alloc(64 * MIB));
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENOSPC' });
  }
  const acknowledged = new Set<number>();
  const undecided: Promise<unknown>[] = [];
  let refused = 0;
  for (let i = 0; refused < 3; i++) {
    expect(i, 'a full disk refuses writes').toBeLessThan(5000);
    const put = s3.send('PUT', `/meta/${i}`, { body: body(40 * KIB, i) }).then((reply) => {
      if (reply.status === 200) acknowledged.add(i);
      else {
        expect([503, 507], reply.body.toString()).toContain(reply.status);
        refused += 1;
      }
    });
    // The commits of the batch that failed are answered when it is known whether they were made.
    undecided.push(put);
    await Promise.race([put, new Promise((resolve) => setTimeout(resolve, 500))]);
  }
  expect((await s3.ok('GET', '/meta/old')).body.equals(old)).toBe(true);
  expect((await s3.send('PUT', '/meta/old', { body: 'new' })).status).toBe(503);
  expect((await s3.send('DELETE', '/meta/old')).status).toBe(503);
  expect((await s3.ok('GET', '/meta/old')).body.equals(old)).toBe(true);
  expect((await statusOf(server)).warnings.join()).toContain('Metadata cannot be written');

  rmSync(ballast);
  await waitUntil(
    async () => (await s3.send('PUT', '/meta/again', { body: old })).status === 200,
    20_000,
    () => server?.output().slice(-2000) ?? '',
  );
  await Promise.all(undecided);
  await server.stop();
  server = await start();
  s3 = new TestS3(server);
  for (const i of acknowledged) {
    expect((await s3.ok('GET', `/meta/${i}`)).body.equals(body(40 * KIB, i)), `object ${i}`).toBe(true);
  }
  expect((await s3.ok('GET', '/meta/again')).body.equals(old)).toBe(true);
  expect((await s3.ok('GET', '/meta/old')).body.equals(old)).toBe(true);
  await scrubOf(server);
  expect(await scrubOf(server)).toMatchObject({ corrupt: 0, missing: 0, orphans: 0, unrepairable: 0 });
});
