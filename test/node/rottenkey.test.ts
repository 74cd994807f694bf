/** The index has only the hash of a key that is no fragment's name: when the record's head rots, the key is gone with it. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { MIB } from '../../src/base/units.ts';
import { realDisk } from '../../src/node/realdisk.ts';
import { NodeStore } from '../../src/node/store.ts';
import { emptyDirectory } from './zdb/daemons.ts';

test('compaction says which record it cannot move, and does not try for ever', async () => {
  const directory = await emptyDirectory();
  const parts = { disk: realDisk, clock: systemClock, random: systemRandom };
  const node = await NodeStore.open({ ...parts, directory, initialise: true, segmentBytesMax: 2 * MIB });
  const { default: namespace } = node.namespaces;
  await namespace.set(Buffer.from('a key that rots'), Buffer.alloc(1000, 7));
  const place = node.appendPosition;
  for (let i = 0; i < 30; i++) await namespace.set(Buffer.from(`filler ${i}`), Buffer.alloc(100_000, i));
  for (let i = 0; i < 30; i++) await namespace.delete(Buffer.from(`filler ${i}`));
  const path = join(directory, `${String(place.segment).padStart(10, '0')}.seg`);
  const file = await open(path, 'r+');
  await file.write(Buffer.from('A KEY'), 0, 5, 4096 + 52);
  await file.close();
  expect(await namespace.get(Buffer.from('a key that rots')).catch((error: Error) => error.message)).toMatch(
    /not what was stored/,
  );
  await expect(node.compactStep(64 * MIB)).rejects.toThrow(/the key of the record at 4096 cannot be read/);
  expect((await node.scrubStep(undefined, 64 * MIB)).corrupt).toEqual([]);
  await namespace.set(Buffer.from('a key that rots'), Buffer.alloc(1000, 8));
  expect((await namespace.get(Buffer.from('a key that rots')))?.[0]).toBe(8);
  await node.compactStep(64 * MIB);
  await node.close();
});
