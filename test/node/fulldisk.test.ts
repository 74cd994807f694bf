/**
 * Real disks that fail in the middle of an append past the page cache: one that fills up under the node's hands, and one that ends earlier
 * than it said. Small file systems are mounted for it, which takes root on Linux.
 */
import { execFileSync } from 'node:child_process';
import { rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { hasCode } from '../../src/base/errors.ts';
import { MIB } from '../../src/base/units.ts';
import { NodeStore } from '../../src/node/store.ts';
import { patternBytes } from '../conformance/codec.ts';
import { MountedDisk, whyNoDisks } from '../harness/disks.ts';
import { realOptions } from './nodes.ts';

const disks: MountedDisk[] = [];
afterEach(() => {
  for (const disk of disks.splice(0)) disk.remove();
});

function mountDisk(bytes: number): MountedDisk {
  const disk = new MountedDisk(bytes);
  disks.push(disk);
  return disk;
}

const nameOf = (seed: number) => patternBytes(32, seed);
const contentOf = (seed: number) => patternBytes(700_000 + seed, seed);

/** Puts until one is refused; the seeds that were acknowledged, and why it ended. */
async function fill(node: NodeStore, from: number, at: (seed: number) => void) {
  const acknowledged: number[] = [];
  for (let seed = from; ; seed += 4) {
    at(seed);
    const four = [seed, seed + 1, seed + 2, seed + 3];
    const results = await Promise.allSettled(four.map((one) => node.put(nameOf(one), [contentOf(one)])));
    for (const [i, result] of results.entries())
      if (result.status === 'fulfilled') acknowledged.push(four[i]!);
    const refused = results.find((result) => result.status === 'rejected');
    if (refused !== undefined) return { acknowledged, error: refused.reason as unknown };
  }
}

async function expectAll(node: NodeStore, seeds: readonly number[]): Promise<void> {
  for (const seed of seeds) {
    const expected = contentOf(seed);
    expect(await node.length(nameOf(seed)), `seed ${seed}`).toBe(expected.length);
    const found = Buffer.alloc(expected.length);
    await node.read(nameOf(seed), 0, found);
    expect(Buffer.compare(found, expected), `seed ${seed}`).toBe(0);
  }
}

const skipped = whyNoDisks();

describe.skipIf(skipped !== '')(`a node on a disk that fails under it${skipped}`, () => {
  it('is full when the disk is, loses nothing, and goes on when there is room again', async () => {
    const disk = mountDisk(64 * MIB).path;
    const options = { ...realOptions(join(disk, 'node')), initialise: true };
    const node = await NodeStore.open(options);
    const hog = join(disk, 'hog');
    const { acknowledged, error } = await fill(node, 0, (seed) => {
      if (seed !== 16) return;
      // Somebody else takes the space, but for half of what comes next.
      const { bavail, bsize } = statfsSync(disk);
      execFileSync('fallocate', ['-l', String(bavail * bsize - 1_500_000), hog], { stdio: 'pipe' });
    });
    expect(hasCode(error, 'NodeFull'), String(error)).toBe(true);
    expect(acknowledged.length).toBeGreaterThanOrEqual(16);
    await expectAll(node, acknowledged);
    rmSync(hog);
    await node.hello();
    await node.put(nameOf(1000), [contentOf(1000)]);
    await expectAll(node, [...acknowledged, 1000]);
    await node.close();
    const again = await NodeStore.open(options);
    expect(again.replayReport.damagedRecords).toBe(0);
    await expectAll(again, [...acknowledged, 1000]);
    await again.close();
  });

  it('ends when the disk does, and what it acknowledged is there when the disk is whole again', async () => {
    const disk = mountDisk(64 * MIB);
    const options = { ...realOptions(join(disk.path, 'node')), initialise: true };
    const node = await NodeStore.open(options);
    disk.endAt(24 * MIB);
    const { acknowledged, error } = await fill(node, 0, () => undefined);
    expect(hasCode(error, 'NodeFailed'), String(error)).toBe(true);
    expect(String(error)).toMatch(/ended after a disk failure .*EIO/);
    expect(acknowledged.length).toBeGreaterThanOrEqual(8);
    // It answers nothing any more, since nobody knows what its disk still holds.
    await expect(node.put(nameOf(1000), [contentOf(1000)])).rejects.toMatchObject({ code: 'NodeFailed' });
    await node.close();
    disk.restore();
    const again = await NodeStore.open({ ...options, initialise: false });
    expect(again.replayReport.damagedRecords).toBe(0);
    await expectAll(again, acknowledged);
    await again.put(nameOf(1000), [contentOf(1000)]);
    await again.close();
  });
});
