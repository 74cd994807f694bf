/**
 * A real disk that fills up under the node's hands, in the middle of an append past the page cache. A small file system is mounted for it,
 * which takes root on Linux. (A loop device over a full file system would be a disk that breaks, but Linux reports a write that fits only
 * in part as done there, so nobody could know.)
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { hasCode } from '../../src/base/errors.ts';
import { MIB } from '../../src/base/units.ts';
import { NodeStore } from '../../src/node/store.ts';
import { patternBytes } from '../conformance/codec.ts';
import { realOptions } from './nodes.ts';

const undo: (() => void)[] = [];
afterEach(() => {
  for (const step of undo.splice(0).reverse()) step();
});

const run = (command: string, ...args: string[]) => execFileSync(command, args, { stdio: 'pipe' });

/** An ext4 of `bytes` in a file that lies in a file system of `backingBytes`; where it is mounted. */
function mountDisk(bytes: number, backingBytes: number): string {
  const base = mkdtempSync(join(tmpdir(), 'holdfast-disk-'));
  undo.push(() => rmSync(base, { recursive: true, force: true }));
  const [backing, mounted, image] = [
    join(base, 'backing'),
    join(base, 'disk'),
    join(base, 'backing', 'image'),
  ];
  mkdirSync(backing);
  mkdirSync(mounted);
  run('mount', '-t', 'tmpfs', '-o', `size=${backingBytes}`, 'tmpfs', backing);
  undo.push(() => run('umount', '-l', backing));
  writeFileSync(image, '');
  truncateSync(image, bytes);
  run('mkfs.ext4', '-q', '-O', '^has_journal', '-E', 'lazy_itable_init=1', image);
  run('mount', '-o', 'loop', image, mounted);
  undo.push(() => run('umount', '-l', mounted));
  return mounted;
}

function whyNot(): string {
  try {
    const disk = mountDisk(16 * MIB, 20 * MIB);
    writeFileSync(join(disk, 'test'), 'x');
    return '';
  } catch {
    return ' (skipped: file systems cannot be mounted here)';
  } finally {
    for (const step of undo.splice(0).reverse()) step();
  }
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

const skipped = whyNot();

describe.skipIf(skipped !== '')(`a node on a disk that fills up under it${skipped}`, () => {
  it('is full when the disk is, loses nothing, and goes on when there is room again', async () => {
    const disk = mountDisk(64 * MIB, 80 * MIB);
    const options = { ...realOptions(join(disk, 'node')), initialise: true };
    const node = await NodeStore.open(options);
    const hog = join(disk, 'hog');
    const { acknowledged, error } = await fill(node, 0, (seed) => {
      if (seed !== 16) return;
      // Somebody else takes the space, but for half of what comes next.
      const { bavail, bsize } = statfsSync(disk);
      run('fallocate', '-l', String(bavail * bsize - 1_500_000), hog);
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
});
