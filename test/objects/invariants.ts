/**
 * What must hold of the metadata whenever nothing is in flight: every content is reached exactly as often as it says, every
 * extent has its ref entry, live counters are the sums of what lives, stripes exist exactly while something lives in them,
 * and the counters of objects and bytes are right.
 */
import { expect } from 'vitest';
import { mapKey } from '../../src/base/bytes.ts';
import { decodeCounter } from '../../src/metadata/counter.ts';
import { keys, prefixes } from '../../src/metadata/keys.ts';
import {
  type ContentPage,
  type ContentRecord,
  decodeExtents,
  decodeRecord,
  type Extent,
  type GarbageRecord,
  type PartListPage,
  type PartRecord,
  type VersionRecord,
} from '../../src/metadata/records.ts';
import { readAll, type World } from './world.ts';

const kind = (letter: string) => Buffer.from(letter);
const tally = (map: Map<string, number>, key: string, by = 1) => map.set(key, (map.get(key) ?? 0) + by);

/** Waits for background work, then checks everything. */
export async function checkInvariants(world: World): Promise<void> {
  const { engine, stripes, upkeep, failures } = world;
  await upkeep.idle();
  expect(failures).toEqual([]);

  const reached = await countReferences(world);
  const lives = new Map<string, number>();
  const refs = new Map<string, string>();
  const counted = new Map<string, number>();
  for (const { contentId, record, extents } of await readContents(world)) {
    counted.set(mapKey(contentId), record.references);
    expect(extents.length, 'extent count').toBe(record.extentCount);
    for (const { stripeId, offsetBytes, lengthBytes } of extents) {
      refs.set(mapKey(keys.ref(stripeId, offsetBytes)), mapKey(contentId));
      tally(lives, mapKey(stripeId), lengthBytes);
    }
  }
  expect(sorted(counted), 'references of contents').toEqual(sorted(reached));
  const storedRefs = new Map(
    (await readAll(engine, kind('r'))).map(([key, value]) => [mapKey(key), mapKey(value)]),
  );
  expect(sorted(storedRefs), 'ref entries').toEqual(sorted(refs));
  const storedLives = new Map(
    (await readAll(engine, prefixes.live())).map(([key, value]) => [
      mapKey(key.subarray(1)),
      decodeCounter(value),
    ]),
  );
  expect(sorted(storedLives), 'live counters').toEqual(sorted(lives));

  const recorded = (await readAll(engine, prefixes.stripes())).map(([key]) => mapKey(key.subarray(1)));
  const tombs = (await readAll(engine, prefixes.tombs())).map(([key]) => mapKey(key.subarray(1)));
  expect(recorded.sort(), 'stripe records').toEqual([...lives.keys()].sort());
  expect([...stripes.payloads.keys()].sort(), 'payloads on nodes').toEqual([...recorded, ...tombs].sort());
  expect([...stripes.inFlight], 'stripes in flight').toEqual([]);
  expect([...stripes.pinned], 'pins').toEqual([]);
  expect(stripes.openPieces, 'pieces not released').toBe(0);
  expect(stripes.digesters, 'digesters not ended').toBe(0);
  expect(stripes.pool.available, 'stripe buffers').toBe(stripes.pool.capacity);
  await checkCounters(world);
}

function sorted<V>(map: ReadonlyMap<string, V>): [string, V][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

async function readContents(world: World) {
  const contents = new Map<string, { contentId: Buffer; record: ContentRecord; extents: Extent[] }>();
  for (const [key, value] of await readAll(world.engine, kind('c'))) {
    const contentId = key.subarray(1, 17);
    if (key.readUInt32BE(17) === 0) {
      const record = decodeRecord<ContentRecord>(value);
      contents.set(mapKey(contentId), { contentId, record, extents: decodeExtents(record.extents) });
    } else {
      const page = decodeRecord<ContentPage>(value);
      const content = contents.get(mapKey(contentId));
      expect(content, 'a page without its content').toBeDefined();
      content?.extents.push(...decodeExtents(page.extents));
    }
  }
  return contents.values();
}

async function countReferences({ engine }: World): Promise<Map<string, number>> {
  const reached = new Map<string, number>();
  const lists = new Set<string>();
  const uploads = new Set<string>();
  for (const [, value] of await readAll(engine, kind('o'))) {
    const version = decodeRecord<VersionRecord>(value);
    if (version.partCount !== undefined) lists.add(mapKey(version.versionId));
    else if (version.contentId !== undefined) tally(reached, mapKey(version.contentId));
  }
  for (const [key] of await readAll(engine, prefixes.allUploads())) {
    uploads.add(mapKey(key.subarray(key.length - 16)));
  }
  for (const [, value] of await readAll(engine, prefixes.garbage())) {
    const { kind: what, id } = decodeRecord<GarbageRecord>(value);
    if (what === 'content') tally(reached, mapKey(id));
    if (what === 'version') lists.add(mapKey(id));
    if (what === 'upload') uploads.add(mapKey(id));
  }
  for (const [key, value] of await readAll(engine, kind('y'))) {
    expect(lists.has(mapKey(key.subarray(1, 17))), 'a part list without a version').toBe(true);
    for (const { contentId } of decodeRecord<PartListPage>(value).parts) tally(reached, mapKey(contentId));
  }
  for (const [key, value] of await readAll(engine, kind('p'))) {
    expect(uploads.has(mapKey(key.subarray(1, 17))), 'a part without an upload').toBe(true);
    tally(reached, mapKey(decodeRecord<PartRecord>(value).contentId));
  }
  return reached;
}

async function checkCounters({ engine }: World): Promise<void> {
  const expected = new Map<string, number>();
  for (const [key, value] of await readAll(engine, kind('o'))) {
    const bucket = key.toString('hex', 1, 17);
    const { sizeBytes } = decodeRecord<VersionRecord>(value);
    tally(expected, 'objects');
    tally(expected, `objects/${bucket}`);
    tally(expected, 'bytes', sizeBytes);
    tally(expected, `bytes/${bucket}`, sizeBytes);
  }
  for (const [key] of await readAll(engine, prefixes.allUploads())) {
    tally(expected, `uploads/${key.toString('hex', 1, 17)}`);
  }
  const stored = (await readAll(engine, kind('k')))
    .map(([key, value]) => [key.toString('utf8', 1), decodeCounter(value)] as const)
    .filter(([name, value]) => name !== 'buckets' && value !== 0);
  const nonZero = [...expected].filter(([, value]) => value !== 0);
  expect(sorted(new Map(stored)), 'counters').toEqual(sorted(new Map(nonZero)));
}
