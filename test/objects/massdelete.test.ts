/** Deleting the objects of a bucket in masses: their keys are compacted away, and listing goes on as if they had never been. */
import { afterEach, expect, it } from 'vitest';
import { DELETES_MAX } from '../../src/metadata/compaction.ts';
import type { MetadataEngine } from '../../src/metadata/engine.ts';
import { createWorld, putRequest, type World } from './world.ts';

const DELETED = DELETES_MAX + 500;
const AT_ONCE = 500;

let world: World;
afterEach(() => world.close());

const nameOf = (i: number) => `k${String(i).padStart(6, '0')}`;

async function forAll(count: number, task: (i: number) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < count; at += AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - at) }, (_, i) => task(at + i)));
}

/** The engine, noting the ranges that it is asked to compact. */
function noting(engine: MetadataEngine, spans: [Uint8Array, Uint8Array][]): MetadataEngine {
  return {
    get: (key) => engine.get(key),
    getMany: (wanted) => engine.getMany(wanted),
    cursor: (range) => engine.cursor(range),
    batch: (operations, options) => engine.batch(operations, options),
    compact: async (from, to) => {
      spans.push([from, to]);
      await engine.compact(from, to);
    },
    close: () => engine.close(),
  };
}

async function deleteMost(): Promise<void> {
  const { service } = world;
  await service.createBucket('bucket', 'us-east-1');
  await forAll(DELETED, (i) => service.putObject(putRequest('bucket', nameOf(i), Buffer.alloc(0))));
  await service.putObject(putRequest('bucket', 'z', Buffer.from('stays')));
  await forAll(DELETED, (i) => service.deleteObject('bucket', nameOf(i)));
  await world.upkeep.idle();
}

it('the range of the deleted keys is compacted, and what is left is listed', async () => {
  const spans: [Uint8Array, Uint8Array][] = [];
  world = await createWorld({ wrapEngine: (engine) => noting(engine, spans) });
  await deleteMost();
  expect(spans.length).toBeGreaterThan(0);
  const [from, to] = spans[0] ?? [Buffer.alloc(0), Buffer.alloc(0)];
  expect(Buffer.from(from.subarray(17)).toString()).toBe(nameOf(0));
  expect(Buffer.compare(to.subarray(17), Buffer.from(nameOf(DELETES_MAX / 2)))).toBe(1);
  const page = await world.service.listObjects({
    ...{ bucket: 'bucket', prefix: '', delimiter: '', after: '', maxKeys: 1000 },
  });
  expect(page.objects.map(({ key }) => key)).toEqual(['z']);
  expect(world.failures).toEqual([]);
});
