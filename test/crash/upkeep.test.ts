/**
 * SIGKILL while nodes compact their segments and in the middle of a scrub: nothing is lost, and nothing comes back. HOLDFAST_TEST_SEED repeats
 * the delays of a run.
 */
import { afterAll, beforeAll, test } from 'vitest';
import { MIB } from '../../src/base/units.ts';
import { body, scrubOf } from '../badday/support.ts';
import { durationOf, Killer, random, seed } from './killer.ts';

const ROUNDS = 3;

const killer = new Killer();
beforeAll(() => killer.begin());
afterAll(() => killer.end());

test(`kills while nodes compact (seed ${seed})`, async () => {
  for (let i = 0; i < ROUNDS; i++) {
    for (let n = 0; n < 4; n++) await killer.put(`/moments/compacted/${n}`, body(10 * MIB, 60 + i * 4 + n));
    await killer.killDuring(
      () => Promise.all([0, 1, 2].map((n) => killer.remove(`/moments/compacted/${n}`))),
      300 + random() * 1500,
    );
  }
});

test(`kills in the middle of a scrub (seed ${seed})`, async () => {
  const wholeMs = await durationOf(() => scrubOf(killer));
  for (let i = 0; i < ROUNDS; i++)
    await killer.killDuring(() => scrubOf(killer), ((i + random()) / ROUNDS) * wholeMs);
});

test('after all of them nothing is missing, and nothing is left that nobody needs', () =>
  killer.expectClean());
