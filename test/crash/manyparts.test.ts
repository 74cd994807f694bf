/**
 * SIGKILL in the middle of the delete of an object of many parts, whose space is given back in steps: the object is there whole or not
 * at all, and in the end all of its space is back.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MIB } from '../../src/base/units.ts';
import { RawRequests } from '../badday/rawclient.ts';
import { body, statusOf } from '../badday/support.ts';
import { waitUntil } from '../harness/server.ts';
import { completion, Killer, random, seed } from './killer.ts';

const PART_BYTES = 5 * MIB;
const PARTS = 105;
const COPIES_AT_ONCE = 4;

const killer = new Killer();
beforeAll(() => killer.begin());
afterAll(() => killer.end());

test(`a kill in the middle of the delete of ${PARTS} parts (seed ${seed})`, async () => {
  const part = body(PART_BYTES, 50);
  await killer.put('/moments/part', part);
  const before = (await statusOf(killer)).objects;
  const path = '/moments/many-parts';
  await completeCopies(path, '/moments/part');
  let acknowledged = false;
  const delayMs = random() * 40;
  await killer.killDuring(async () => {
    await killer.s3.ok('DELETE', path);
    acknowledged = true;
  }, delayMs);
  const last = `bytes=${(PARTS - 1) * PART_BYTES}-`;
  const reply = await killer.s3.send('GET', path, { headers: { range: last } });
  expect(acknowledged ? [404] : [404, 206], `after ${delayMs} ms`).toContain(reply.status);
  if (reply.status === 206) expect(reply.body.equals(part)).toBe(true);
  await killer.s3.ok('DELETE', path);
  await waitUntil(async () => {
    const { objects } = await statusOf(killer);
    return objects.count === before.count && objects.bytes === before.bytes;
  }, 20_000);
});

/** An object of many parts, all of them copies of `source`. */
async function completeCopies(path: string, source: string): Promise<void> {
  const uploadId = await killer.createUpload(path);
  const requests = new RawRequests(running());
  const etags: string[] = [];
  while (etags.length < PARTS) {
    const first = etags.length + 1;
    const batch = Array.from({ length: Math.min(COPIES_AT_ONCE, PARTS - etags.length) }, async (_, n) => {
      const query = [
        ['partNumber', String(first + n)],
        ['uploadId', uploadId],
      ] as const;
      const headers = { 'x-amz-copy-source': source, 'content-length': '0' };
      const reply = await requests.exchange(requests.head({ method: 'PUT', path, query, headers }));
      return /<ETag>(.*?)<\/ETag>/.exec(reply.body.toString())?.[1] ?? reply.body.toString();
    });
    etags.push(...(await Promise.all(batch)));
  }
  await killer.s3.ok('POST', path, { query: { uploadId }, body: completion(etags) });
}

function running() {
  if (killer.server === undefined) throw new Error('the server was not started');
  return killer.server;
}

test('after it nothing is missing, and nothing is left that nobody needs', () => killer.expectClean());
