/** Repair over real nodes: what is rebuilt is what was there, found bad on the way is rebuilt as well, and nothing is held. */
import { expect, test } from 'vitest';
import type { StripeRecord } from '../../src/metadata/records.ts';
import { allGood } from '../../src/stripes/condition.ts';
import type { RebuildResult } from '../../src/stripes/surgery.ts';
import type { WrittenStripe } from '../../src/stripes/types.ts';
import { failing, flipBit, stuck, zeros } from './faultystore.ts';
import { limit, openWorld, pick, type World } from './world.ts';

const LENGTH = 300_000;

function placed(written: WrittenStripe, { placements }: RebuildResult): WrittenStripe {
  const nodes = [...written.record.nodes];
  for (const { index, node } of placements) nodes[index] = node;
  return { ...written, record: { ...written.record, nodes } };
}

async function stored(world: World, written: WrittenStripe, index: number): Promise<Buffer> {
  const bytes = Buffer.alloc(written.record.fragmentLengthBytes + 80);
  await world.holderOf(written, index).inner.read(world.nameOf(written, index), 0, bytes);
  return bytes;
}

test('any m fragments are rebuilt to the same bytes, in one pass', async () => {
  const world = await openWorld({ real: true });
  const written = await world.write(LENGTH);
  const before = await Promise.all(written.record.nodes.map((_, index) => stored(world, written, index)));
  for (const lost of [...pick([0, 1, 2, 3, 4, 5], 1), ...pick([0, 1, 2, 3, 4, 5], 2)]) {
    for (const index of lost) await world.forget(written, index);
    const result = await world.stripes.surgery.rebuild(written.stripeId, written.record, lost);
    expect(result.placements.map(({ index }) => index).sort()).toEqual(lost);
    const after = placed(written, result);
    await world.expectComplete(after);
    for (const index of lost) {
      expect((await stored(world, after, index)).equals(before[index] ?? Buffer.alloc(0))).toBe(true);
    }
    expect(after.record.nodes).toEqual(written.record.nodes);
  }
  world.expectAllReleased();
});

test('a fragment that is found bad while others are rebuilt is rebuilt with them', async () => {
  const world = await openWorld({ nodes: 7, real: true });
  const written = await world.write(LENGTH);
  await world.forget(written, 5);
  await world.forget(written, 1);
  const { stripeId, record } = written;
  const result = await world.stripes.surgery.rebuild(stripeId, record, [5]);
  expect(result.placements.map(({ index }) => index).sort()).toEqual([1, 5]);
  await world.expectComplete(placed(written, result));
  world.expectAllReleased();
});

test('a fragment reported bad that is intact stays where it is', async () => {
  const world = await openWorld({ real: true });
  const { stripeId, record } = await world.write(LENGTH);
  const result = await world.stripes.surgery.rebuild(stripeId, record, [2]);
  expect(result).toEqual({ placements: [{ index: 2, node: record.nodes[2] }], foundBad: [] });
});

test('with a node gone its fragment goes to one that holds nothing of the stripe', async () => {
  const world = await openWorld({ nodes: 7, real: true });
  const written = await world.write(LENGTH);
  const gone = written.record.nodes[0] ?? 0;
  const idle = [1, 2, 3, 4, 5, 6, 7].find((id) => !written.record.nodes.includes(id));
  Object.assign(world.store(gone).faults, {
    read: failing('NodeUnavailable'),
    verify: failing('NodeUnavailable'),
    put: failing('NodeUnavailable'),
    hello: failing('NodeUnavailable'),
  });
  await world.grid.probeAll();
  const result = await world.stripes.surgery.rebuild(written.stripeId, written.record, [0]);
  expect(result.placements).toEqual([{ index: 0, node: idle }]);
});

test('a source that lies is not believed: rebuilt from others, or refused', async () => {
  const world = await openWorld({ real: true });
  const written = await world.write(LENGTH);
  const before = await stored(world, written, 0);
  await world.forget(written, 0);
  world.holderOf(written, 1).lie = flipBit;
  const result = await world.stripes.surgery.rebuild(written.stripeId, written.record, [0]);
  expect((await stored(world, placed(written, result), 0)).equals(before)).toBe(true);
  await world.forget(written, 0);
  await world.forget(written, 2);
  await expect(world.stripes.surgery.rebuild(written.stripeId, written.record, [0, 2])).rejects.toMatchObject(
    { code: 'DataUnavailable' },
  );
  world.expectAllReleased();
});

test('what only hangs is answered by waiting for it, when there is nothing else', async () => {
  const world = await openWorld();
  const written = await world.write(LENGTH);
  await world.forget(written, 0);
  await world.forget(written, 1);
  const gate = Promise.withResolvers<undefined>();
  world.holderOf(written, 2).faults.read = () => gate.promise;
  const rebuilding = world.stripes.surgery.rebuild(written.stripeId, written.record, [0, 1]);
  expect(await limit(rebuilding, 300)).toBe('HANGS');
  gate.resolve(undefined);
  expect((await rebuilding).placements).toHaveLength(2);
  world.expectAllReleased();
});

test('rebuilds go on for ever while a node hangs', async () => {
  const world = await openWorld({ nodes: 7 });
  const written = await world.write(LENGTH);
  Object.assign(world.holderOf(written, 2).faults, { read: stuck, put: stuck, verify: stuck });
  for (let round = 0; round < 12; round++) {
    await world.forget(written, 0);
    const result = await limit(world.stripes.surgery.rebuild(written.stripeId, written.record, [0]));
    if (result === 'HANGS') throw new Error(`rebuild ${round} hangs`);
    expect(result.placements).toHaveLength(1);
  }
  world.expectAllReleased();
});

test('a check names what is intact, corrupt, missing and unreachable', async () => {
  const world = await openWorld({ real: true });
  const written = await world.write(LENGTH);
  const { stripeId } = written;
  const record: StripeRecord = { ...written.record, good: allGood(6) };
  await world.forget(written, 1);
  world.holderOf(written, 2).lie = zeros;
  Object.assign(world.holderOf(written, 3).faults, { verify: failing('NodeUnavailable') });
  expect(await world.stripes.surgery.checkStripe(stripeId, record)).toEqual([
    'intact',
    'missing',
    'corrupt',
    'unreachable',
    'intact',
    'intact',
  ]);
});
