/** Stripes get the width that the grid has: wide again when nodes are back, narrower when they are gone for good. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MIB } from '../../src/base/units.ts';
import { prefixes } from '../../src/metadata/keys.ts';
import { decodeRecord, type StripeRecord } from '../../src/metadata/records.ts';
import { fullPayloadBytes } from '../../src/stripes/shape.ts';
import { getBytes, putRequest, readAll } from '../objects/world.ts';
import { createHealingWorld, type HealingWorld } from './world.ts';

const KIB = 1024;
let world: HealingWorld;
beforeEach(async () => {
  bodies = newBodies();
  world = await createHealingWorld();
  await world.objects.service.createBucket('bucket', 'us-east-1');
});
afterEach(async () => {
  await world.close();
  expect(world.failures).toEqual([]);
});

let bodies: Map<string, Buffer>;
const newBodies = () =>
  new Map(
    [
      ['small', 900],
      ['packed', 20 * KIB],
      ['one stripe', MIB],
      ['a full stripe', 4 * MIB],
      ['several stripes', 9 * MIB + 5],
    ].map(([name, size]) => [name as string, Buffer.alloc(size as number, String(size))]),
  );

async function fill(): Promise<void> {
  for (const [name, body] of bodies)
    await world.objects.service.putObject(putRequest('bucket', name, body, { pieceBytes: 64 * KIB }));
}

async function expectEverything(): Promise<void> {
  for (const [name, body] of bodies) {
    const bytes = await getBytes(world.objects.service, 'bucket', name);
    expect(bytes.equals(body), name).toBe(true);
  }
}

async function widths(): Promise<number[]> {
  const records = await readAll(world.engine, prefixes.stripes());
  return [
    ...new Set(
      records.map(([, value]) => {
        const { k, m } = decodeRecord<StripeRecord>(value);
        return k + m;
      }),
    ),
  ];
}

/** Stripes of 4 MiB, whose stream goes on: no padding makes them larger at 4 + 2. */
async function fullStripes(): Promise<number> {
  const records = await readAll(world.engine, prefixes.stripes());
  return records.filter(
    ([, value]) => decodeRecord<StripeRecord>(value).stripeLengthBytes === fullPayloadBytes(4),
  ).length;
}

async function transcodeAll(): Promise<number> {
  let moved = 0;
  for (let step = await world.healer.transcoder.step(); step > 0; step = await world.healer.transcoder.step())
    moved += step;
  return moved;
}

test('narrow stripes wait for all nodes, then become wide; readers notice nothing', async () => {
  await world.nodes.stop(1);
  await world.nodes.stop(2);
  await fill();
  expect(await widths()).toEqual([4]);
  await world.nodes.start(1);
  expect(await transcodeAll()).toBe(0);
  await world.nodes.start(2);
  const before = (await readAll(world.engine, prefixes.stripes())).length;
  expect(await transcodeAll()).toBe(before);
  expect(await widths()).toEqual([6]);
  expect(await fullStripes()).toBe(2);
  expect(await readAll(world.engine, prefixes.tombs())).toHaveLength(before);
  expect(await world.healer.stripes.summary({ fresh: true })).toMatchObject({ narrow: 0, incomplete: 0 });
  await expectEverything();
  expect(await transcodeAll()).toBe(0);
  // Nothing is left once everything is deleted: references and live bytes moved with the data.
  for (const name of bodies.keys()) await world.objects.service.deleteObject('bucket', name);
  await world.objects.upkeep.collectGarbage(100);
  await world.objects.upkeep.buryEmptyStripes();
  expect(await readAll(world.engine, prefixes.stripes())).toEqual([]);
  expect(await readAll(world.engine, Buffer.from('r'))).toEqual([]);
});

test('reads and deletes while stripes move', async () => {
  await world.nodes.stop(1);
  await fill();
  await world.nodes.start(1);
  bodies.delete('packed');
  await Promise.all([
    transcodeAll(),
    expectEverything(),
    world.objects.service.deleteObject('bucket', 'packed'),
  ]);
  await transcodeAll();
  await expectEverything();
  expect(await widths()).toEqual([6]);
});

test('what lost a node for good and finds no other becomes narrower and whole', async () => {
  await fill();
  await world.nodes.stop(4);
  await world.nodes.declareLost(4);
  await world.healer.losses.markAll(new Set([4]), 'node lost');
  await world.repairAll();
  expect((await world.healer.stripes.summary({ fresh: true })).complete).toBe(0);
  expect(await transcodeAll()).toBeGreaterThan(0);
  expect(await widths()).toEqual([5]);
  const summary = await world.healer.stripes.summary({ fresh: true });
  expect(summary).toMatchObject({ incomplete: 0, atRisk: 0 });
  await expectEverything();
});
