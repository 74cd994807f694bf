/** Scrubs over real nodes: rot, deleted segments and swapped fragments are found, rebuilt and verified; counts are what is true. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { replaceStripe, withGood } from '../../src/healing/stripestate.ts';
import { keys } from '../../src/metadata/keys.ts';
import { encodeRecord, RECORD_FORMAT, type StripeRecord } from '../../src/metadata/records.ts';
import { goodCount } from '../../src/stripes/condition.ts';
import type { WrittenStripe } from '../../src/stripes/types.ts';
import { flipReal } from '../node/nodes.ts';
import { createHealingWorld, type HealingWorld, STRIPE_BYTES } from './world.ts';

let world: HealingWorld;
beforeEach(async () => {
  world = await createHealingWorld();
});
afterEach(async () => {
  await world.close();
  expect(world.failures).toEqual([]);
});

const store = (id: number) => world.registry.node(id)!.store;

async function stored(id: number, name: Buffer): Promise<Buffer> {
  const bytes = Buffer.alloc((await store(id).length(name))!);
  await store(id).read(name, 0, bytes);
  return bytes;
}

async function expectIntact(...stripes: readonly WrittenStripe[]): Promise<void> {
  for (const { stripeId } of stripes) {
    const record = (await world.record(stripeId))!;
    expect(goodCount(record)).toBe(6);
    expect(new Set(record.nodes).size).toBe(6);
    const conditions = await world.stripes.surgery.checkStripe(stripeId, record);
    expect(conditions).toEqual(Array.from({ length: 6 }, () => 'intact'));
  }
}

test('a flipped byte is found, rebuilt and verified', async () => {
  const stripe = await world.write(STRIPE_BYTES);
  const node = stripe.record.nodes[1]!;
  const bytes = await stored(node, world.nameOf(stripe.stripeId, 1));
  await flipReal(world.folder(node), bytes.subarray(100, 164), 10);
  const outcome = await world.healer.scrubNow({ dryRun: false });
  expect(outcome.counts).toMatchObject({ corrupt: 1, missing: 0, unreachable: 0, verifiedFragments: 5 });
  expect(outcome).toMatchObject({ rebuiltFragments: 1, unrepairable: 0, orphans: 0 });
  expect(await stored(node, world.nameOf(stripe.stripeId, 1))).toEqual(bytes);
  await expectIntact(stripe);
});

test('a dry run finds the same and changes nothing', async () => {
  const stripe = await world.write(STRIPE_BYTES);
  await store(stripe.record.nodes[4]!).delete([world.nameOf(stripe.stripeId, 4)]);
  for (let round = 0; round < 2; round++) {
    const outcome = await world.healer.scrubNow({ dryRun: true });
    expect(outcome.counts).toMatchObject({ missing: 1, corrupt: 0 });
    expect(outcome.rebuiltFragments).toBe(0);
  }
  expect(await world.record(stripe.stripeId)).toEqual(stripe.record);
  expect(world.healer.scrubber.lastCompletedMs).toBeUndefined();
  const outcome = await world.healer.scrubNow({ dryRun: false });
  expect(outcome.counts.missing).toBe(1);
  await expectIntact(stripe);
});

test('a segment deleted while the node was closed is missing after it opens', async () => {
  const stripes = [await world.write(STRIPE_BYTES), await world.write(STRIPE_BYTES)];
  await world.nodes.stop(5);
  for (const name of await readdir(world.folder(5)))
    if (name.endsWith('.seg')) await rm(join(world.folder(5), name));
  await world.nodes.start(5);
  const outcome = await world.healer.scrubNow({ dryRun: false });
  expect(outcome).toMatchObject({ rebuiltFragments: 2, unrepairable: 0 });
  await expectIntact(...stripes);
});

test('the intact fragment of another stripe under a name is corrupt', async () => {
  const [one, two] = [await world.write(STRIPE_BYTES), await world.write(STRIPE_BYTES)];
  const node = one.record.nodes[2]!;
  const other = two.record.nodes.indexOf(node);
  const bytes = await stored(node, world.nameOf(two.stripeId, other));
  const name = world.nameOf(one.stripeId, 2);
  await store(node).delete([name]);
  await store(node).put(name, [bytes]);
  // The node itself sees nothing wrong.
  expect(await store(node).verify(name)).toBe('intact');
  const outcome = await world.healer.scrubNow({ dryRun: false });
  expect(outcome.counts.corrupt).toBe(1);
  expect((await world.record(one.stripeId))!.nodes).toHaveLength(6);
  expect(outcome.counts.verifiedFragments).toBe(11);
});

test('a node that is away is not judged', async () => {
  const stripe = await world.write(STRIPE_BYTES);
  await world.nodes.stop(2);
  const outcome = await world.healer.scrubNow({ dryRun: false });
  expect(outcome).toMatchObject({ nodesAway: 1, rebuiltFragments: 0, unrepairable: 0 });
  expect(outcome.counts).toMatchObject({ unreachable: 1, missing: 0, corrupt: 0 });
  expect(goodCount((await world.record(stripe.stripeId))!)).toBe(6);
});

test('the background pass keeps its place and rests until the next is due', async () => {
  await world.write(1000);
  const { signal } = new AbortController();
  const { scrubber } = world.healer;
  expect(await scrubber.backgroundStep(signal)).toBe(0);
  expect(scrubber.counts.verifiedFragments).toBe(6);
  expect(scrubber.lastCompletedMs).toBe(world.clock.nowMs());
  expect(await scrubber.backgroundStep(signal)).toBe(60_000);
  expect(scrubber.counts.verifiedFragments).toBe(6);
});

test('the summary agrees with a naive count', async () => {
  await world.nodes.stop(6);
  const answering = new Set([1, 2, 3, 4, 5]);
  const stripe = fc.record({
    k: fc.integer({ min: 1, max: 4 }),
    nodes: fc.shuffledSubarray([1, 2, 3, 4, 5, 6], { minLength: 3, maxLength: 6 }),
    bad: fc.uniqueArray(fc.nat(5)),
  });
  let number = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(stripe, { maxLength: 8 }), async (stripes) => {
      const written: Buffer[] = [];
      const expected = { total: 0, complete: 0, atRisk: 0, unreadable: 0, narrow: 0, missingBytes: 0 };
      for (const { k: wanted, nodes, bad } of stripes) {
        const k = Math.min(wanted, nodes.length - 1);
        const whole: StripeRecord = {
          ...{ v: RECORD_FORMAT, codec: 1, k, m: nodes.length - k, generation: 1, createdMs: 0, nodes },
          ...{ fragmentLengthBytes: 64, stripeLengthBytes: 64 * k, good: Buffer.of(2 ** nodes.length - 1) },
        };
        const indices = bad.filter((index) => index < nodes.length);
        const record = withGood(whole, new Map(indices.map((index) => [index, false])), 5);
        const stripeId = Buffer.alloc(16, 2);
        stripeId.writeUInt32BE(++number, 12);
        written.push(stripeId);
        await world.committer.commit([
          { type: 'put', key: keys.stripe(stripeId), value: encodeRecord(whole) },
          ...replaceStripe(stripeId, whole, record, 'test'),
        ]);
        const there = nodes.filter((node, i) => answering.has(node) && !indices.includes(i)).length;
        expected.total += 1;
        expected.complete += there === nodes.length ? 1 : 0;
        expected.unreadable += there < k ? 1 : 0;
        expected.atRisk += there === k && there < nodes.length ? 1 : 0;
        expected.narrow += nodes.length < 6 ? 1 : 0;
        expected.missingBytes += (nodes.length - there) * 64;
      }
      const summary = await world.healer.stripes.summary({ fresh: true });
      expect(summary).toMatchObject({ ...expected, incomplete: expected.total - expected.complete });
      expect(summary.byMissing.reduce((sum, count) => sum + count, 0)).toBe(expected.total);
      await world.committer.commit(
        written.map((stripeId) => ({ type: 'del', key: keys.stripe(stripeId) }) as const),
      );
    }),
    { numRuns: 40 },
  );
});
