/** Writes over real nodes: acknowledged means that n distinct nodes have their fragment, whatever fails, lags or is full. */
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { farmLimit } from '../../src/grid/placement.ts';
import { failing, stuck } from './faultystore.ts';
import { fastClock, openWorld, pick } from './world.ts';

test('a stripe of every kind of length comes back', async () => {
  const world = await openWorld({ real: true });
  for (const length of [0, 1, 63, 64, 16_383, 16_384, 16_385, 65_536, 1_000_000, 4_194_303, 4_194_304]) {
    const written = await world.write(length, length);
    expect([written.record.k, written.record.m]).toEqual([4, 2]);
    await world.expectComplete(written);
    await world.expectBytes(written, length, length);
  }
  world.expectAllReleased();
});

test('any m nodes away: narrower, complete, with the same tolerance', async () => {
  const world = await openWorld({ real: true });
  for (const away of [...pick([1, 2, 3, 4, 5, 6], 1), [1, 2], [3, 6], [2, 5], [4, 5, 6]]) {
    for (const id of away) world.store(id).faults.put = failing('NodeUnavailable');
    const written = await world.write(100_000);
    expect([written.record.k, written.record.m]).toEqual([4 - away.length, 2]);
    expect(written.record.nodes.filter((id) => away.includes(id))).toEqual([]);
    await world.expectComplete(written);
    for (const lost of pick([...written.record.nodes], 2)) {
      for (const id of lost) world.store(id).faults.read = failing('FragmentMissing');
      await world.expectBytes(written, 100_000);
      for (const id of lost) world.store(id).faults = {};
    }
    for (const id of away) world.store(id).faults = {};
    await world.grid.probeAll();
  }
  expect(world.stripes.relaxedCount).toBe(0);
  world.expectAllReleased();
});

test('fewer than m + 1 nodes: refused, by what ails them', async () => {
  const world = await openWorld();
  for (const [code, expected] of [
    ['NodeUnavailable', 'GridUnavailable'],
    ['NodeFull', 'InsufficientStorage'],
  ] as const) {
    for (const id of [1, 2, 3, 4]) world.store(id).faults.put = failing(code);
    await expect(world.write(1000)).rejects.toMatchObject({ code: expected });
    for (const id of [1, 2, 3, 4]) world.store(id).faults = {};
    await world.grid.probeAll();
    expect((await world.write(1000)).record.k).toBe(4);
  }
  await vi.waitFor(() => world.expectAllReleased());
  expect(world.stripes.surgery.inFlight().size).toBe(2);
});

test('with nodes to spare, what fails goes elsewhere and the stripe stays wide', async () => {
  const world = await openWorld({ nodes: 8, real: true });
  world.store(2).faults.put = failing('NodeFull');
  world.store(5).faults.put = failing('NodeUnavailable');
  for (let round = 0; round < 5; round++) {
    const written = await world.write(100_000, round);
    expect(written.record.k).toBe(4);
    expect(written.record.nodes).not.toContain(2);
    expect(written.record.nodes).not.toContain(5);
    await world.expectComplete(written);
  }
  world.expectAllReleased();
});

test('random nodes that fail, lag, hang or are full: acknowledged is complete, refused leaves nothing behind', async () => {
  const kinds = fc.constantFrom('fine', 'fine', 'fine', 'slow', 'stuck', 'full', 'away', 'flaky');
  await fc.assert(
    fc.asyncProperty(
      fc.array(kinds, { minLength: 6, maxLength: 9 }),
      fc.integer({ min: 1, max: 300_000 }),
      async (nodes, length) => {
        const world = await openWorld({ nodes: nodes.length });
        for (const [i, kind] of nodes.entries()) {
          let calls = 0;
          const { faults } = world.store(i + 1);
          if (kind === 'stuck') faults.put = stuck;
          if (kind === 'full') faults.put = failing('NodeFull');
          if (kind === 'away') faults.put = failing('NodeUnavailable');
          if (kind === 'flaky')
            faults.put = async (name) => (++calls % 2 ? failing('NodeFailed')(name) : undefined);
          if (kind === 'slow') faults.put = () => fastClock.sleep(2300).then(() => undefined);
        }
        try {
          const written = await world.write(length, 1);
          await world.expectComplete(written);
          await world.expectBytes(written, length, 1);
        } catch (error) {
          expect(error).toHaveProperty('code', expect.stringMatching(/GridUnavailable|InsufficientStorage/));
          expect(world.stripes.surgery.inFlight().size).toBe(0);
        }
        await vi.waitFor(() => world.expectAllReleased(), { timeout: 5000 });
      },
    ),
    { numRuns: 12 },
  );
});

test('narrowing comes before relaxing the farm rule, and relaxing is counted', async () => {
  const farms = ['a', 'a', 'b', 'b', 'c', 'c', 'd', 'd'];
  const world = await openWorld({ nodes: 8, farms });
  const farmsOf = (nodes: readonly number[]) => nodes.map((id) => farms[id - 1] ?? '');
  const most = (nodes: readonly number[]) =>
    Math.max(...farms.map((farm) => farmsOf(nodes).filter((other) => other === farm).length));
  const away = (ids: readonly number[]) => {
    for (const id of ids) world.store(id).faults.put = failing('NodeUnavailable');
  };
  const full = await world.write(1000);
  expect(full.record.k).toBe(4);
  expect(most(full.record.nodes)).toBeLessThanOrEqual(farmLimit(4, 2));
  away([1, 2, 3]);
  const narrow = await world.write(1000);
  expect(narrow.record.k).toBe(3);
  expect(most(narrow.record.nodes)).toBeLessThanOrEqual(farmLimit(3, 2));
  expect(world.stripes.relaxedCount).toBe(0);
  away([4]);
  const relaxed = await world.write(1000);
  expect(relaxed.record.k).toBe(2);
  expect(most(relaxed.record.nodes)).toBe(2);
  expect(world.stripes.relaxedCount).toBe(1);
});

test('a node that fails is not replaced by one of a farm that has its share already', async () => {
  const farms = ['a', 'a', 'a', 'a', 'b', 'c', 'd', 'e'];
  const world = await openWorld({ nodes: 8, farms });
  expect((await world.write(1000)).record.k).toBe(4);
  world.store(5).faults.put = failing('NodeUnavailable');
  const { record } = await world.write(1000);
  expect(record.k).toBe(3);
  expect(record.nodes.filter((id) => id <= 4)).toHaveLength(2);
  expect(world.stripes.relaxedCount).toBe(0);
});
