/**
 * SIGKILL in the middle of a PUT, of a multipart completion and of deletes: what was acknowledged is there,
 * what was not is there whole or not at all. HOLDFAST_TEST_SEED repeats the delays of a run.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MIB } from '../../src/base/units.ts';
import { body } from '../badday/support.ts';
import { ABSENT, completion, digest, durationOf, Killer, random, seed } from './killer.ts';

const ROUNDS = 3;
const PART_BYTES = 5 * MIB;

const killer = new Killer();
beforeAll(() => killer.begin());
afterAll(() => killer.end());

test(`kills in the middle of a PUT (seed ${seed})`, async () => {
  const path = '/moments/replaced';
  await killer.put(path, body(12 * MIB, 10));
  const wholeMs = await durationOf(() => killer.put(path, body(12 * MIB, 11)));
  for (let i = 0; i < ROUNDS; i++) {
    await killer.killDuring(
      () => killer.put(path, body(12 * MIB, 20 + i)),
      ((i + random()) / ROUNDS) * wholeMs,
    );
  }
});

test(`kills in the middle of a multipart completion, which can be repeated (seed ${seed})`, async () => {
  const parts = [body(PART_BYTES, 30), body(PART_BYTES, 31), body(1000, 32)];
  const whole = digest(Buffer.concat(parts));
  for (let i = 0; i < ROUNDS; i++) {
    const path = `/moments/completed/${i}`;
    const uploadId = await killer.createUpload(path);
    const etags: string[] = [];
    for (const [index, part] of parts.entries()) {
      const query = { partNumber: String(index + 1), uploadId };
      etags.push((await killer.s3.ok('PUT', path, { query, body: part })).headers.get('etag') ?? '');
    }
    killer.allowed.set(path, new Set([ABSENT, whole]));
    const complete = () => killer.s3.ok('POST', path, { query: { uploadId }, body: completion(etags) });
    await killer.killDuring(complete, random() * 12);
    expect((await complete()).body.toString()).toContain('<ETag>');
    killer.allowed.set(path, new Set([whole]));
    expect(digest((await killer.s3.ok('GET', path)).body)).toBe(whole);
  }
});

test(`kills in the middle of deletes (seed ${seed})`, async () => {
  for (let i = 0; i < ROUNDS; i++) {
    const paths = Array.from({ length: 6 }, (_, n) => `/moments/deleted/${i}/${n}`);
    await Promise.all(paths.map((path, n) => killer.put(path, body(n % 2 === 0 ? 20_000 : 2 * MIB, 40 + n))));
    await killer.killDuring(() => Promise.all(paths.map((path) => killer.remove(path))), random() * 15);
  }
});

test('after all of them nothing is missing, and nothing is left that nobody needs', () =>
  killer.expectClean());
