/**
 * Too few nodes: writes are refused with 503 below m + 1 of them, reads go on while k fragments of each stripe are there, and everything
 * comes back by itself. And two nodes lost while the others flip bits, one after another.
 */
import { closeSync, openSync, readdirSync, readSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { ScrubResult } from '../../src/admin/report.ts';
import { MIB } from '../../src/base/units.ts';
import { TestS3 } from '../harness/s3.ts';
import { holdfast, loseNodes, type RunningServer, startServer, waitUntil } from '../harness/server.ts';
import { body, removeData, scrubOf, statusOf } from './support.ts';

let server: RunningServer;
let s3: TestS3;
afterEach(async () => {
  await server.stop('SIGKILL');
  removeData(server.data);
});

const sizes = [0, 10, 30_000, 40_000, 1_000_000, 9 * MIB];

async function startWithObjects(): Promise<void> {
  server = await startServer({ flags: ['--log-level', 'error'] });
  s3 = new TestS3(server);
  await s3.ok('PUT', '/nodes');
  for (const [i, size] of sizes.entries()) await s3.ok('PUT', `/nodes/${i}`, { body: body(size, i) });
}

async function expectReadable(): Promise<void> {
  for (const [i, size] of sizes.entries()) {
    const reply = await s3.ok('GET', `/nodes/${i}`);
    expect(reply.body.equals(body(size, i)), `object ${i} of ${size} bytes`).toBe(true);
  }
}

async function nodes(verb: 'stop' | 'start', ...ids: number[]): Promise<void> {
  for (const id of ids) {
    const result = await holdfast(['nodes', verb, String(id), '--data', server.data]);
    expect(result, result.stderr).toMatchObject({ code: 0 });
  }
}

async function expectHealthy(): Promise<void> {
  await waitUntil(
    async () => {
      const { health, stripes, healing } = await statusOf(server);
      return health === 'ok' && stripes.narrow + stripes.incomplete + healing.queuedStripes === 0;
    },
    30_000,
    () => 'not at full redundancy again',
  );
}

test('writes need m + 1 nodes, reads k fragments', async () => {
  await startWithObjects();
  await nodes('stop', 1, 2);
  await expectReadable();
  await s3.ok('PUT', '/nodes/on-four', { body: body(MIB, 50) });
  await nodes('stop', 3);
  await s3.ok('PUT', '/nodes/on-three', { body: body(MIB, 51) });
  const away = await s3.send('GET', '/nodes/4');
  expect([away.status, away.body.toString()]).toEqual([
    503,
    expect.stringContaining('<Code>ServiceUnavailable<'),
  ]);
  expect((await s3.ok('GET', '/nodes/on-four')).body.equals(body(MIB, 50))).toBe(true);
  await nodes('stop', 4);
  for (const path of ['/nodes/refused', '/nodes/0', '/nodes/5']) {
    const refused = await s3.send('PUT', path, { body: body(100_000, 52) });
    expect([refused.status, refused.body.toString()]).toEqual([
      503,
      expect.stringContaining('<Code>ServiceUnavailable<'),
    ]);
  }
  expect((await s3.ok('GET', '/nodes/on-three')).body.equals(body(MIB, 51))).toBe(true);
  expect((await s3.ok('GET', '/nodes', { query: { 'list-type': '2' } })).body.toString()).toContain(
    'on-three',
  );
  expect((await fetch(`${server.endpoint}/health/ready`)).status).toBe(503);
  expect((await statusOf(server)).warnings.join()).toContain(
    'Only 2 nodes answer: writes get 503 until there are 3',
  );
  await nodes('start', 1, 2, 3, 4);
  await expectReadable();
  expect((await s3.send('GET', '/nodes/refused')).status).toBe(404);
  await s3.ok('PUT', '/nodes/again', { body: 'again' });
  await expectHealthy();
  await expectReadable();
});

/** The repair may be under way in the background beside the scrub that found the damage. */
async function scrubUntilClean(): Promise<void> {
  let last = '';
  await waitUntil(
    async () => {
      const result = await holdfast(['scrub', '--data', server.data, '--json']);
      last = result.stdout + result.stderr;
      if (result.stdout === '') return false;
      const { corrupt, missing, unreachable, unrepairable } = JSON.parse(result.stdout) as ScrubResult;
      return corrupt + missing + unreachable + unrepairable === 0;
    },
    20_000,
    () => last,
  );
}

/** Flips one bit in every `stepBytes` of a node's segments, behind the running server's back. */
function flipBits(folder: string, stepBytes: number, phaseBytes: number): void {
  const directory = join(server.data, 'nodes', folder);
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const path = join(directory, name);
    if (!/segment|\.seg/.test(name) || !statSync(path).isFile()) continue;
    const file = openSync(path, 'r+');
    const byte = Buffer.alloc(1);
    for (let at = phaseBytes; at < statSync(path).size; at += stepBytes) {
      readSync(file, byte, 0, 1, at);
      byte[0] = (byte[0] ?? 0) ^ 4;
      writeSync(file, byte, 0, 1, at);
    }
    closeSync(file);
  }
}

test('two nodes are lost, and when that has healed the others flip bits in turn', async () => {
  await startWithObjects();
  await loseNodes(server, ['node-1', 'node-2']);
  await expectReadable();
  await scrubUntilClean();
  for (const folder of ['node-3', 'node-4', 'node-5', 'node-6']) {
    flipBits(folder, 200_000, 5000);
    await expectReadable();
    await scrubUntilClean();
    await expectReadable();
  }
  await expectHealthy();
});

test('two nodes are down and a third flips bits: nothing wrong is answered, and it heals when one is back', async () => {
  await startWithObjects();
  await nodes('stop', 1, 2);
  flipBits('node-3', 200_000, 5000);
  for (const [i, size] of sizes.entries()) {
    const reply = await s3.send('GET', `/nodes/${i}`).catch(() => undefined);
    if (reply === undefined) continue;
    if (reply.status === 200) expect(reply.body.equals(body(size, i))).toBe(true);
    else expect(reply.status).toBe(503);
  }
  await nodes('start', 1);
  await expectReadable();
  await nodes('start', 2);
  await scrubOf(server);
  await expectHealthy();
  expect(await scrubOf(server)).toMatchObject({ corrupt: 0, missing: 0, unrepairable: 0 });
});
