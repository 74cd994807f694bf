/** Deleting fragments of dead stripes: spread over time, complete, patient with nodes that are away and with readers. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { mapKey } from '../../src/base/bytes.ts';
import { systemRandom } from '../../src/base/random.ts';
import type { Grid, GridNode } from '../../src/grid/types.ts';
import { TombSweeper } from '../../src/healing/tombs.ts';
import { keys, prefixes } from '../../src/metadata/keys.ts';
import { decodeRecord, encodeRecord, RECORD_FORMAT, type TombRecord } from '../../src/metadata/records.ts';
import { readAll } from '../objects/world.ts';
import { SimulatedClock } from '../simulation/clock.ts';
import { createHealingWorld, type HealingWorld } from './world.ts';

let world: HealingWorld;
let clock: SimulatedClock;
beforeEach(async () => {
  clock = new SimulatedClock();
  world = await createHealingWorld({ clock });
});
afterEach(() => world.close());

/** A stripe that has just been deleted. */
async function bury(notBeforeMs = 0): Promise<Buffer> {
  const { stripeId, record } = await world.write(1000);
  const tomb: TombRecord = {
    ...{ v: RECORD_FORMAT, k: record.k, m: record.m, notBeforeMs },
    fragments: record.nodes.map((node, index) => ({ index, node })),
  };
  await world.committer.commit([
    { type: 'del', key: keys.stripe(stripeId) },
    { type: 'put', key: keys.tomb(stripeId), value: encodeRecord(tomb) },
  ]);
  return stripeId;
}

async function fragments(): Promise<number> {
  const hellos = await Promise.all(
    world.registry
      .nodes()
      .filter(({ state }) => state === 'online')
      .map(({ store }) => store.hello()),
  );
  return hellos.reduce((sum, { fragmentCount }) => sum + fragmentCount, 0);
}

const tombs = () => readAll(world.engine, prefixes.tombs());

function sweeper(options: { readonly grid?: Grid; readonly pinned?: ReadonlySet<string> } = {}): TombSweeper {
  const { engine, committer, stripes } = world;
  return new TombSweeper({
    ...{ engine, committer, clock, surgery: stripes.surgery, random: systemRandom },
    grid: options.grid ?? world.registry,
    isPinned: (stripeId) => options.pinned?.has(mapKey(stripeId)) ?? stripes.isPinned(stripeId),
  });
}

test('fragments go one by one within two minutes, and the tomb with the last', async () => {
  for (let i = 0; i < 10; i++) await bury(clock.nowMs());
  const own = sweeper();
  const left: number[] = [];
  for (let second = 0; second <= 120; second += 10) {
    await own.step();
    left.push(await fragments());
    await clock.advance(10_000);
  }
  expect(left[0]).toBeGreaterThan(40);
  expect(left[6]).toBeGreaterThan(5);
  expect(left[6]).toBeLessThan(55);
  expect(left.at(-1)).toBe(0);
  expect(await tombs()).toEqual([]);
});

test('a grid that is nearly full gets its space back at once', async () => {
  await bury(clock.nowMs());
  const nodes = world.registry.nodes().map((node) => {
    const hello = { ...node.hello!, freeBytes: node.hello!.capacityBytes / 10 };
    return { id: node.id, state: node.state, record: node.record, store: node.store, hello } as GridNode;
  });
  const grid = { nodes: () => nodes, node: (id: number) => nodes.find((node) => node.id === id) };
  expect(await sweeper({ grid: grid as Partial<Grid> as Grid }).step()).toEqual({ buried: 1, more: false });
  expect(await fragments()).toBe(0);
});

test('who asks for a sweep does not wait', async () => {
  for (let i = 0; i < 3; i++) await bury(clock.nowMs());
  expect(await sweeper().sweepNow()).toBe(3);
  expect(await fragments()).toBe(0);
});

test('a node that is away keeps its entry, and only that, until it is back', async () => {
  const stripeId = await bury();
  await world.nodes.stop(3);
  const own = sweeper();
  expect(await own.sweepNow()).toBe(0);
  const [[key, value] = [], ...others] = await tombs();
  expect(others).toEqual([]);
  expect(key).toEqual(keys.tomb(stripeId));
  expect(decodeRecord<TombRecord>(value!).fragments.map(({ node }) => node)).toEqual([3]);
  await world.nodes.start(3);
  expect(await fragments()).toBe(1);
  expect(await own.sweepNow()).toBe(1);
  expect(await fragments()).toBe(0);
});

test('a node that was given up needs not confirm', async () => {
  await bury();
  await world.nodes.declareLost(3);
  expect(await sweeper().sweepNow()).toBe(1);
  expect(await tombs()).toEqual([]);
});

test('fragments of a stripe that is being read stay', async () => {
  const stripeId = await bury();
  const unpin = world.stripes.pin(stripeId);
  const own = sweeper();
  expect(await own.sweepNow()).toBe(0);
  expect(await fragments()).toBe(6);
  unpin();
  expect(await own.sweepNow()).toBe(1);
});

test('fragments that a reader may still look for are kept as long as the tomb says', async () => {
  await bury(clock.nowMs() + 3_600_000);
  const own = sweeper();
  expect(await own.sweepNow()).toBe(0);
  expect(await fragments()).toBe(6);
  await clock.advance(3_600_000);
  expect(await own.sweepNow()).toBe(1);
});
