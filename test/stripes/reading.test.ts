/** Reads over real nodes: every loss that may be survived, lies, ranges, and stripes of another profile. */
import { expect, test, vi } from 'vitest';
import type { Profile, WrittenStripe } from '../../src/stripes/types.ts';
import { failing, flipBit, zeros } from './faultystore.ts';
import { openWorld, pick, type World } from './world.ts';

const LENGTH = 700_000;

function clearReads(world: World): void {
  for (const store of world.stores) store.reads.length = 0;
}

async function withoutNodes<T>(world: World, nodes: readonly number[], work: () => Promise<T>): Promise<T> {
  for (const id of nodes) world.store(id).faults.read = failing('NodeUnavailable');
  try {
    return await work();
  } finally {
    for (const id of nodes) world.store(id).faults = {};
    await world.grid.probeAll();
  }
}

test('any m nodes lost: the same bytes', async () => {
  const world = await openWorld({ real: true });
  const written = await world.write(LENGTH);
  await world.expectComplete(written);
  for (const lost of [[], ...pick([1, 2, 3, 4, 5, 6], 1), ...pick([1, 2, 3, 4, 5, 6], 2)]) {
    await withoutNodes(world, lost, () => world.expectBytes(written, LENGTH));
  }
  world.expectAllReleased();
});

test('m + 1 nodes lost: refused, and everything is given back', async () => {
  const world = await openWorld({ real: true });
  const written = await world.write(LENGTH);
  const lost = written.record.nodes.slice(0, 3);
  await withoutNodes(world, lost, async () => {
    await expect(world.read(written, LENGTH, 0, 1)).rejects.toMatchObject({ code: 'DataUnavailable' });
  });
  world.expectAllReleased();
  await world.expectBytes(written, LENGTH);
});

for (const [what, lie] of [
  ['flips bits', flipBit],
  ['returns zeros', zeros],
] as const) {
  test(`two nodes lost and none to spare, a third ${what}: an error, never a wrong byte`, async () => {
    const world = await openWorld({ real: true });
    const written = await world.write(LENGTH);
    const [a, b, c] = written.record.nodes as [number, number, number];
    world.store(c).lie = lie;
    await withoutNodes(world, [a, b], () =>
      expect(world.expectBytes(written, LENGTH)).rejects.toMatchObject({ code: 'DataUnavailable' }),
    );
    world.store(c).lie = undefined;
    await world.expectBytes(written, LENGTH);
    world.expectAllReleased();
  });

  test(`one node lost and another ${what}: the right bytes, and the liar is named`, async () => {
    const world = await openWorld({ real: true });
    const written = await world.write(LENGTH);
    const named: unknown[] = [];
    world.stripes.onDamage = (_, index, reason) => reason === 'corrupt' && named.push(index);
    for (const liar of [0, 3]) {
      world.holderOf(written, liar).lie = lie;
      await withoutNodes(world, [written.record.nodes[1] ?? 0], () => world.expectBytes(written, LENGTH));
      world.holderOf(written, liar).lie = undefined;
    }
    expect(new Set(named)).toEqual(new Set([0, 3]));
    world.expectAllReleased();
  });
}

test('fragments that were swapped, truncated or are of another stripe are found out', async () => {
  const world = await openWorld({ real: true });
  const [written, other] = [await world.write(LENGTH, 1), await world.write(LENGTH, 2)];
  const store = world.holderOf(written, 0);
  const stale = Buffer.alloc(other.record.fragmentLengthBytes + 80);
  await world.holderOf(other, 0).inner.read(world.nameOf(other, 0), 0, stale);
  store.lie = (bytes, offsetBytes, name) => {
    if (world.nameOf(written, 0).equals(name))
      bytes.set(stale.subarray(offsetBytes, offsetBytes + bytes.length));
  };
  await world.expectBytes(written, LENGTH);
  store.lie = undefined;
  store.alias = () => Buffer.alloc(32, 9);
  await world.expectBytes(written, LENGTH);
  store.alias = undefined;
  await world.forget(written, 0);
  const short = Buffer.alloc(100);
  await store.inner.put(world.nameOf(written, 0), [short]).catch(() => undefined);
  await world.expectBytes(written, LENGTH);
  world.expectAllReleased();
});

test('a range asks only the fragments it lies in, for only its bytes', async () => {
  const world = await openWorld({ real: true });
  const length = 256 * 16_384;
  const written = await world.write(length, 1, false);
  for (const [first, count] of [
    [0, 1],
    [63, 2],
    [100, 10],
    [255, 1],
  ] as const) {
    clearReads(world);
    await world.read(written, length, first, count, false);
    const reads = world.stores.flatMap((store) => store.reads);
    expect(reads.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0)).toBe(count * 16_400);
    const indices = new Set(Array.from({ length: count }, (_, i) => Math.floor((first + i) / 64)));
    expect(new Set(reads.map(({ name }) => name))).toEqual(
      new Set([...indices].map((index) => world.nameOf(written, index).toString('hex'))),
    );
  }
});

test('a range of a lost fragment decodes only its columns', async () => {
  const world = await openWorld({ real: true });
  const length = 256 * 16_384;
  const written = await world.write(length, 1, false);
  await world.forget(written, 0);
  clearReads(world);
  await world.read(written, length, 5, 1, false);
  const bytes = world.stores.flatMap((store) => store.reads).map(({ lengthBytes }) => lengthBytes);
  expect(bytes.every((lengthBytes) => lengthBytes <= 16_400 + 128)).toBe(true);
});

test('a suspect node is not asked while a decode can do without it', async () => {
  const world = await openWorld();
  const written = await world.write(LENGTH);
  const node = written.record.nodes[0] ?? 0;
  for (let i = 0; i < 3; i++) world.grid.report(node, { kind: 'missedDeadline' });
  clearReads(world);
  await world.expectBytes(written, LENGTH);
  expect(world.store(node).reads).toEqual([]);
  await world.forget(written, 1);
  await world.forget(written, 2);
  await world.expectBytes(written, LENGTH);
  expect(world.store(node).reads).not.toEqual([]);
});

test('fragments marked bad are read when nothing else is left', async () => {
  const world = await openWorld({ real: true });
  const { stripeId, record } = await world.write(LENGTH);
  const doubted = { stripeId, record: { ...record, good: Buffer.of(0b000110) } };
  await world.expectBytes(doubted, LENGTH);
  world.expectAllReleased();
});

const profiles: Profile[] = [
  { k: 2, m: 4, codecId: 1 },
  { k: 1, m: 2, codecId: 1 },
  { k: 10, m: 4, codecId: 1 },
  { k: 16, m: 6, codecId: 1 },
];

for (const before of profiles) {
  test(`stripes of ${before.k} + ${before.m} are read and repaired by a gateway of 4 + 2`, async () => {
    const world = await openWorld({ nodes: 22, profile: before });
    const length = world.stripes.stripePlaintextBytesMax;
    const written: WrittenStripe = await world.write(length, 3, false);
    expect(written.record.k).toBe(before.k);
    await world.open({ k: 4, m: 2, codecId: 1 });
    const lost = Array.from({ length: before.m }, (_, index) => index);
    for (const index of lost) await world.forget(written, index);
    await world.expectBytes(written, length, 3, false);
    const { stripeId, record } = written;
    const { placements } = await world.stripes.surgery.rebuild(stripeId, record, lost);
    expect(placements).toHaveLength(lost.length);
    const nodes = record.nodes.map((node, i) => placements.find(({ index }) => index === i)?.node ?? node);
    await world.expectComplete({ ...written, record: { ...record, nodes } });
    await world.expectBytes({ stripeId, record: { ...record, nodes } }, length, 3, false);
    await vi.waitFor(() => world.expectAllReleased());
  });
}

test('an aborted read gives everything back', async () => {
  const world = await openWorld();
  const written = await world.write(LENGTH);
  await world.forget(written, 0);
  const held = await Promise.all([1, 2].map(() => world.engine.acquireRescue()));
  const { stripeId, record } = written;
  const abort = new AbortController();
  const reading = world.stripes.open(
    {
      stripeId,
      record,
      payloadOffsetBytes: 0,
      chunkCount: 1,
      lastChunkLengthBytes: 16_400,
      aeadKey: Buffer.alloc(32),
      baseNonce: Buffer.alloc(12),
      firstChunkIndex: 0,
      final: false,
    },
    abort.signal,
  );
  setTimeout(() => abort.abort(new Error('client went away')), 20);
  await expect(reading).rejects.toThrow('client went away');
  for (const buffer of held) buffer.release();
  world.expectAllReleased();
});
