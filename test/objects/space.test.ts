/** Space comes back: large deletes in steps, empty stripes after a crash, compaction of shared stripes. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HOUR_MS } from '../../src/base/units.ts';
import { keys, prefixes } from '../../src/metadata/keys.ts';
import {
  decodeRecord,
  encodeRecord,
  type GarbageRecord,
  type PartListPage,
  RECORD_FORMAT,
  type TombRecord,
} from '../../src/metadata/records.ts';
import { SimulatedClock } from '../simulation/clock.ts';
import { checkInvariants } from './invariants.ts';
import { createWorld, getBytes, pattern, putRequest, readAll, readBody, type World } from './world.ts';

const KIB = 1024;
const clock = new SimulatedClock();
const everything = { bytesMax: Number.MAX_SAFE_INTEGER };

let world: World;
const start = async (chunksPerStripe = 8) => {
  world = await createWorld({ clock, chunksPerStripe, buffers: 8 });
  await world.service.createBucket('bucket', 'us-east-1');
};
afterEach(async () => {
  await checkInvariants(world);
  await world.close();
});

it('an object of many stripes is deleted in steps that survive a crash', async () => {
  await start(1);
  const bytes = pattern(1100 * 16 * KIB + 5);
  await world.service.putObject(putRequest('bucket', 'k', bytes, { pieceBytes: 1 << 20 }));
  expect(
    (await getBytes(world.service, 'bucket', 'k', { range: { firstByte: 1050 * 16 * KIB } })).equals(
      bytes.subarray(1050 * 16 * KIB),
    ),
  ).toBe(true);
  await world.service.copyObject({ source: { bucket: 'bucket', key: 'k' }, bucket: 'bucket', key: 'copy' });
  await world.service.deleteObject('bucket', 'k');
  await checkInvariants(world);
  expect((await getBytes(world.service, 'bucket', 'copy')).equals(bytes)).toBe(true);
  await world.service.deleteObject('bucket', 'copy');
  world = await world.restart();
  for (let steps = 0; steps < 100; steps++) {
    if ((await world.upkeep.collectGarbage(1)).left === 0) break;
    await checkInvariants(world);
  }
  await world.sweepTombs();
  expect(world.stripes.payloads.size).toBe(0);
});

it('a stripe that a crash left empty is found and buried', async () => {
  await start();
  await Promise.all(
    [1, 2].map((i) => world.service.putObject(putRequest('bucket', `k${i}`, pattern(100, i)))),
  );
  const [live] = await readAll(world.engine, prefixes.live());
  if (live === undefined) throw new Error('a stripe is live');
  const stripeId = live[0].subarray(1);
  // As if both had been deleted at once and the process had died before the burial.
  const refs = await readAll(world.engine, prefixes.refs(stripeId));
  const contents = await readAll(world.engine, Buffer.from('c'));
  const versions = await readAll(world.engine, Buffer.from('o'));
  const counters = (await readAll(world.engine, Buffer.from('k'))).filter(
    ([key]) => !key.includes('buckets'),
  );
  await world.committer.commit([
    ...[...refs, ...contents, ...versions, ...counters].map(([key]) => ({ type: 'del', key }) as const),
    { type: 'add', key: live[0], delta: -Number(live[1].readBigInt64BE()) },
  ]);
  world = await world.restart();
  expect(await world.upkeep.buryEmptyStripes()).toBeGreaterThan(0);
  expect(await world.upkeep.buryEmptyStripes()).toBe(0);
});

describe('compaction', () => {
  beforeEach(() => start());
  const bodies = Array.from({ length: 64 }, (_, i) => pattern(1000 + i, i));
  const keyOf = (i: number) => `k${String(i).padStart(2, '0')}`;

  async function fillAndThin(): Promise<number[]> {
    await Promise.all(
      bodies.map((bytes, i) => world.service.putObject(putRequest('bucket', keyOf(i), bytes))),
    );
    const kept = bodies.map((_, i) => i).filter((i) => i % 5 === 0);
    const gone = bodies.map((_, i) => i).filter((i) => i % 5 !== 0);
    await Promise.all(gone.map((i) => world.service.deleteObject('bucket', keyOf(i))));
    await checkInvariants(world);
    await world.sweepTombs();
    return kept;
  }

  it('moves what lives out of stripes that are mostly dead', async () => {
    const kept = await fillAndThin();
    const { stripes, service, upkeep } = world;
    const bytesBefore = [...stripes.payloads.values()].reduce((sum, payload) => sum + payload.length, 0);
    const result = await upkeep.compactSharedStripes(everything);
    expect(result.compacted).toBeGreaterThan(0);
    expect(result.written).toBe(1);
    await checkInvariants(world);
    for (const i of kept)
      expect((await getBytes(service, 'bucket', keyOf(i))).equals(bodies[i] as Buffer)).toBe(true);
    const tombs = (await readAll(world.engine, prefixes.tombs())).map(([, value]) =>
      decodeRecord<TombRecord>(value),
    );
    expect(tombs.length).toBe(result.compacted);
    for (const tomb of tombs) {
      expect(tomb.notBeforeMs).toBe(clock.nowMs() + HOUR_MS);
      expect(tomb.fragments.length).toBe(6);
    }
    expect(await world.sweepTombs()).toBe(0);
    await clock.advance(HOUR_MS);
    expect(await world.sweepTombs()).toBe(result.compacted);
    const bytesAfter = [...stripes.payloads.values()].reduce((sum, payload) => sum + payload.length, 0);
    expect(bytesBefore - bytesAfter).toBe(result.freedBytes);
    expect((await upkeep.compactSharedStripes(everything)).compacted).toBe(0);
  });

  it('keeps to its budget', async () => {
    await fillAndThin();
    expect((await world.upkeep.compactSharedStripes({ bytesMax: 100 })).compacted).toBe(0);
  });

  it('leaves out what is deleted while it copies, and a read under way goes on', async () => {
    const kept = await fillAndThin();
    const { service, stripes, upkeep } = world;
    const reading = (await service.getObject({ bucket: 'bucket', key: keyOf(5) })).stream(
      new AbortController().signal,
    );
    const copyPayload = stripes.copyPayload.bind(stripes);
    stripes.copyPayload = async (sources) => {
      const written = await copyPayload(sources);
      await service.deleteObject('bucket', keyOf(0));
      await service.putObject(putRequest('bucket', keyOf(10), pattern(77)));
      await service.copyObject({
        source: { bucket: 'bucket', key: keyOf(15) },
        bucket: 'bucket',
        key: 'copy',
      });
      return written;
    };
    await upkeep.compactSharedStripes(everything);
    expect((await readBody(reading)).equals(bodies[5] as Buffer)).toBe(true);
    await checkInvariants(world);
    expect((await getBytes(service, 'bucket', 'copy')).equals(bodies[15] as Buffer)).toBe(true);
    for (const i of kept.slice(3)) {
      expect((await getBytes(service, 'bucket', keyOf(i))).equals(bodies[i] as Buffer)).toBe(true);
    }
  });

  it('writes nothing that lasts when everything is gone by the time it commits', async () => {
    const kept = await fillAndThin();
    const { service, stripes, upkeep } = world;
    const copyPayload = stripes.copyPayload.bind(stripes);
    stripes.copyPayload = async (sources) => {
      const written = await copyPayload(sources);
      for (const i of kept) await service.deleteObject('bucket', keyOf(i));
      return written;
    };
    expect((await upkeep.compactSharedStripes(everything)).compacted).toBe(0);
    await checkInvariants(world);
    await world.sweepTombs();
    expect(stripes.payloads.size).toBe(0);
  });
});

it('pages of a part list whose completion never happened are removed, and nothing else', async () => {
  await start();
  const [id, garbageId] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)];
  const page: PartListPage = { v: RECORD_FORMAT, parts: [] };
  const garbage: GarbageRecord = { v: RECORD_FORMAT, kind: 'partlist', id };
  await world.service.putObject(putRequest('bucket', 'k', pattern(100)));
  await world.committer.commit([
    { type: 'put', key: keys.garbage(garbageId), value: encodeRecord(garbage) },
    { type: 'put', key: keys.partList(id, 0), value: encodeRecord(page) },
    { type: 'put', key: keys.partList(id, 0xffff_ffff), value: encodeRecord(page) },
  ]);
  world = await world.restart();
  expect(await world.upkeep.collectGarbage(10)).toEqual({ steps: 1, collected: 1, left: 0 });
  expect(await readAll(world.engine, Buffer.from('y'))).toEqual([]);
  expect((await getBytes(world.service, 'bucket', 'k')).equals(pattern(100))).toBe(true);
});

it('a stripe in the repair queue leaves it when it is buried', async () => {
  await start();
  await world.service.putObject(putRequest('bucket', 'k', pattern(100)));
  const [entry] = await readAll(world.engine, prefixes.stripes());
  if (entry === undefined) throw new Error('a stripe is stored');
  const [key, value] = entry;
  const damaged = { ...decodeRecord<{ v: number }>(value), good: Buffer.of(0x3e), damagedMs: 5 };
  await world.committer.commit([
    { type: 'put', key, value: encodeRecord(damaged) },
    { type: 'put', key: keys.queue(1, 5, key.subarray(1)), value: encodeRecord({ v: RECORD_FORMAT }) },
  ]);
  await world.service.deleteObject('bucket', 'k');
  expect(await readAll(world.engine, prefixes.queue())).toEqual([]);
});
