/** Payloads at the edges of a full stripe, written narrow, copied to full width, and read by the extents they had. */
import { expect, test } from 'vitest';
import { fullPayloadBytes, payloadBytesMax } from '../../src/stripes/shape.ts';
import type { WrittenStripe } from '../../src/stripes/types.ts';
import { failing } from './faultystore.ts';
import { openWorld, type World } from './world.ts';

const FULL = 256 * 16_384;

/** As the object layer moves a content: its extents, from one stripe to another. */
function copy(world: World, { stripeId, record, ranges }: WrittenStripe): Promise<WrittenStripe> {
  return world.stripes.copyPayload(ranges.map((range) => ({ stripeId, record, ...range })));
}

for (const narrowK of [3, 2, 1]) {
  test(`from ${narrowK} + 2 to 4 + 2`, async () => {
    const world = await openWorld();
    for (const [length, final] of [
      [FULL, false],
      [FULL, true],
      [FULL - 1, true],
      [FULL - 15, true],
      [FULL - 16, true],
      [FULL - 17, true],
      [FULL - 16_383, true],
      [FULL - 16_384, true],
      [FULL - 16_384, false],
      [FULL - 3 * 16_384, true],
      [3_900_000, true],
      [100, true],
    ] as const) {
      for (let id = 6; id > narrowK + 2; id--) world.store(id).faults.put = failing('NodeUnavailable');
      const narrow = await world.write(length, 7, final);
      expect(narrow.record.k).toBe(narrowK);
      for (const store of world.stores) store.faults = {};
      await world.grid.probeAll();
      const wide = await copy(world, narrow);
      expect([length, wide.record.k, wide.record.m]).toEqual([length, 4, 2]);
      expect(wide.ranges[0]?.lengthBytes).toBeLessThanOrEqual(payloadBytesMax(4));
      if (length === FULL && !final) expect(wide.record.stripeLengthBytes).toBe(fullPayloadBytes(4));
      await world.expectComplete(wide);
      await world.expectBytes(wide, length, 7, final);
    }
    world.expectAllReleased();
  });
}

test('a full stripe of one profile is written again at another', async () => {
  const world = await openWorld({ nodes: 12 });
  const written = await world.write(FULL, 9, false);
  await world.open({ k: 10, m: 2, codecId: 1 });
  const again = await copy(world, written);
  expect(again.record.k).toBe(10);
  await world.expectBytes(again, FULL, 9, false);
  world.expectAllReleased();
});

test('payloads are copied side by side, also from degraded stripes', async () => {
  const world = await openWorld({ real: true });
  const [a, b] = [await world.write(50_000, 1), await world.write(70_000, 2)];
  await world.forget(a, 0);
  await world.forget(b, 1);
  const sources = [a, b].map(({ stripeId, record, ranges }) => ({
    stripeId,
    record,
    offsetBytes: 0,
    lengthBytes: ranges[0]?.lengthBytes ?? 0,
  }));
  const both = await world.stripes.copyPayload(sources);
  await world.expectComplete(both);
  expect(both.ranges.map(({ lengthBytes }) => lengthBytes)).toEqual([50_064, 70_080]);
  await world.expectBytes(both, 50_000, 1);
  await expect(world.stripes.copyPayload([])).rejects.toMatchObject({ code: 'InvalidArgument' });
  world.expectAllReleased();
});
