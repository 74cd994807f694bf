/** Nodes that take requests and never answer, or answer late: nobody waits for them, and their memory is nobody else's. */
import { describe, expect, test, vi } from 'vitest';
import { HoldfastError, hasCode } from '../../src/base/errors.ts';
import { drop, failing, stuck } from './faultystore.ts';
import { fastClock, limit, openWorld } from './world.ts';

const MB = 1_000_000;

test('a rebuild that fails keeps its memory until its late read has ended, so no other rebuild seals those bytes', async () => {
  const world = await openWorld();
  const [a, b] = [await world.write(3 * MB, 1), await world.write(3 * MB, 2)];
  const gate = Promise.withResolvers<undefined>();
  const [first, second] = [world.nameOf(a, 0), world.nameOf(b, 1)];
  const names = [1, 2, 4].map((index) => world.nameOf(a, index).toString('hex'));
  for (const store of world.stores) {
    store.faults.read = async (name) => {
      if (first.equals(name)) return gate.promise;
      if (second.equals(name)) {
        await fastClock.sleep(300);
        gate.resolve(undefined);
        await fastClock.sleep(300);
      }
      if (names.includes(Buffer.from(name).toString('hex'))) throw new HoldfastError('FragmentMissing');
      return undefined;
    };
  }
  await world.forget(a, 3);
  const failed = await limit(
    world.stripes.surgery.rebuild(a.stripeId, a.record, [3]).catch((error) => error),
  );
  expect(hasCode(failed, 'DataUnavailable')).toBe(true);
  const good = Buffer.alloc(b.record.fragmentLengthBytes + 80);
  await world.holderOf(b, 5).inner.read(world.nameOf(b, 5), 0, good);
  await world.forget(b, 5);
  const rebuilt = await limit(world.stripes.surgery.rebuild(b.stripeId, b.record, [5]));
  if (rebuilt === 'HANGS') throw new Error('the second rebuild hangs');
  const [placed] = rebuilt.placements;
  const stored = Buffer.alloc(good.length);
  await world.store(placed?.node ?? 0).inner.read(world.nameOf(b, 5), 0, stored);
  expect(stored.equals(good)).toBe(true);
  await vi.waitFor(() => world.expectAllReleased());
});

test('a late read that then fails is nobody’s unhandled rejection', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  process.on('unhandledRejection', note);
  try {
    const world = await openWorld();
    const written = await world.write(3 * MB);
    await world.forget(written, 0);
    world.holderOf(written, 1).faults.read = async () => {
      await fastClock.sleep(2600);
      throw new HoldfastError('NodeUnavailable');
    };
    await world.read(written, 3 * MB, 0, 1);
    await fastClock.sleep(4000);
    expect(unhandled).toEqual([]);
    await vi.waitFor(() => world.expectAllReleased());
  } finally {
    process.off('unhandledRejection', note);
  }
});

test('a node that hangs on reads stops no reader, for ever', async () => {
  const world = await openWorld();
  const written = await world.write(3 * MB);
  world.holderOf(written, 0).faults.read = stuck;
  for (let round = 0; round < 24; round++) {
    if (round % 8 === 7) await fastClock.sleep(16_000);
    expect(await limit(world.read(written, 3 * MB, 0, 1))).not.toBe('HANGS');
  }
  expect(world.holderOf(written, 0).reads.length).toBeLessThanOrEqual(8);
  world.expectAllReleased();
});

test('many readers at once, and a node that hangs', async () => {
  const world = await openWorld();
  const written = await world.write(3 * MB);
  world.holderOf(written, 0).faults.read = stuck;
  const reads = Array.from({ length: 60 }, () => world.read(written, 3 * MB, 0, 1));
  expect(await limit(Promise.all(reads), 15_000)).not.toBe('HANGS');
  world.expectAllReleased();
});

test('a node that hangs on writes stops no writer, for ever', async () => {
  const world = await openWorld();
  world.store(6).faults.put = stuck;
  for (let round = 0; round < 16; round++) {
    const written = await limit(world.write(100_000, round));
    if (written === 'HANGS') throw new Error(`write ${round} hangs`);
    await world.expectComplete(written);
    if (round % 4 === 3) await fastClock.sleep(16_000);
  }
  expect(world.store(6).puts).toBeLessThanOrEqual(8);
  expect(world.grid.node(6)?.state).toBe('suspect');
  world.expectAllReleased();
});

test('a second node that sticks while the stripe is written narrower stops nobody', async () => {
  const world = await openWorld();
  world.store(6).faults.put = stuck;
  let puts = 0;
  world.store(5).faults.put = () => (++puts >= 2 ? stuck() : Promise.resolve(undefined));
  const written = await limit(world.write(100_000));
  if (written === 'HANGS') throw new Error('the write hangs');
  expect(written.record.k).toBe(2);
  await world.expectComplete(written);
  await world.expectBytes(written, 100_000);
  world.expectAllReleased();
});

test('a buffer can be written twice while the first write’s late puts hang', async () => {
  const world = await openWorld();
  world.store(6).faults.put = stuck;
  const buffer = await world.stripes.acquire();
  const run = { plaintextOffsetBytes: 0, plaintextLengthBytes: 5000, firstChunkIndex: 0, final: true };
  const runs = [{ ...run, aeadKey: Buffer.alloc(32, 1), baseNonce: Buffer.alloc(12, 1) }];
  for (let round = 0; round < 3; round++) {
    expect(await limit(world.stripes.write(buffer, runs))).not.toBe('HANGS');
  }
  buffer.release();
  world.expectAllReleased();
});

test('nodes that become slow together keep full width, and are learnt', async () => {
  const world = await openWorld();
  for (let round = 0; round < 40; round++) await world.write(1000);
  const before = world.grid.writeDeadlineMs(world.grid.node(1)!);
  const slowMs = 3 * before;
  for (const store of world.stores) {
    store.faults.put = async () => {
      await fastClock.sleep(slowMs);
      return undefined;
    };
  }
  for (let round = 0; round < 12; round++) {
    const { record } = await world.write(1000);
    expect(record.k).toBe(4);
  }
  expect(world.grid.writeDeadlineMs(world.grid.node(1)!)).toBeGreaterThan(before);
});

test('more nodes late at once than can be at fault are waited for', async () => {
  const world = await openWorld();
  for (const id of [1, 2, 3]) {
    world.store(id).faults.put = async () => {
      await fastClock.sleep(2600);
      return undefined;
    };
  }
  expect((await world.write(1000)).record.k).toBe(4);
});

test('nodes that are slow together are read all the same, by many at once', async () => {
  const world = await openWorld();
  const written = await world.write(3 * MB);
  for (const store of world.stores) {
    store.faults.read = async () => {
      await fastClock.sleep(3000);
      return undefined;
    };
  }
  const reads = Array.from({ length: 20 }, () => world.read(written, 3 * MB, 0, 1));
  expect(await limit(Promise.all(reads), 20_000)).not.toBe('HANGS');
  await vi.waitFor(() => world.expectAllReleased());
});

describe('deletes', () => {
  test('of a late fragment come after its put', async () => {
    const world = await openWorld();
    const gate = Promise.withResolvers<undefined>();
    world.store(6).faults.put = () => gate.promise;
    const written = await world.write(100_000);
    expect(written.record.nodes).not.toContain(6);
    gate.resolve(undefined);
    await fastClock.sleep(400);
    await vi.waitFor(async () =>
      expect((await world.store(6).inner.list(undefined, 10)).fragments).toEqual([]),
    );
  });

  test('that hang in one node go on in the others', async () => {
    const world = await openWorld();
    const stripes = [await world.write(1000), await world.write(1000)];
    world.store(1).faults.delete = stuck;
    for (const written of stripes) world.stripes.abandon(written);
    await vi.waitFor(async () => {
      for (const store of world.stores.slice(1)) {
        expect((await store.inner.list(undefined, 10)).fragments).toEqual([]);
      }
    });
  });

  test('that are late keep rebuilt fragments away from their node', async () => {
    const world = await openWorld({ nodes: 7 });
    const written = await world.write(100_000);
    const { stripeId, record } = written;
    const own = record.nodes[0] ?? 0;
    const gate = Promise.withResolvers<undefined>();
    world.store(own).faults.delete = () => gate.promise;
    const confirmed = await world.stripes.surgery.deleteFragments([{ stripeId, index: 0, node: own }]);
    expect(confirmed).toEqual([]);
    const { placements } = await world.stripes.surgery.rebuild(stripeId, record, [0]);
    expect(placements).toHaveLength(1);
    expect(placements[0]?.node).not.toBe(own);
    gate.resolve(undefined);
  });
});

test('checks of a stripe end although a node hangs', async () => {
  const world = await openWorld();
  const { stripeId, record } = await world.write(1000);
  world.store(record.nodes[2] ?? 0).faults.verify = stuck;
  const conditions = await limit(world.stripes.surgery.checkStripe(stripeId, record));
  expect(conditions).toEqual(['intact', 'intact', 'unreachable', 'intact', 'intact', 'intact']);
});

test('a node that acknowledges a rebuilt fragment and drops it is passed over', async () => {
  const world = await openWorld({ nodes: 8 });
  const written = await world.write(100_000);
  const own = written.record.nodes[0] ?? 0;
  await world.forget(written, 0);
  world.store(own).faults.put = drop;
  const { placements } = await world.stripes.surgery.rebuild(written.stripeId, written.record, [0]);
  expect(placements).toHaveLength(1);
  expect(placements[0]?.node).not.toBe(own);
  world.expectAllReleased();
});

test('a rebuild without a node that takes anything says so by the codes that healing knows', async () => {
  const world = await openWorld();
  const written = await world.write(100_000);
  await world.forget(written, 0);
  for (const [fault, code] of [
    [failing('NodeFull'), 'GridUnavailable'],
    [drop, 'GridUnavailable'],
    [failing('NodeUnavailable'), 'GridUnavailable'],
  ] as const) {
    for (const store of world.stores) store.faults.put = fault;
    const { stripeId, record } = written;
    await expect(world.stripes.surgery.rebuild(stripeId, record, [0])).rejects.toMatchObject({ code });
    await world.grid.probeAll();
  }
  world.expectAllReleased();
});
