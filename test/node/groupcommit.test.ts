import { describe, expect, it } from 'vitest';
import { MIB } from '../../src/base/units.ts';
import type { Disk, DiskFile } from '../../src/node/disk.ts';
import { EmbeddedNode } from '../../src/node/embedded.ts';
import { OPEN_SEGMENTS_MAX } from '../../src/node/segments.ts';
import { NodeStore } from '../../src/node/store.ts';
import { SimulatedDisk } from '../simulation/disk.ts';
import { Prng } from '../simulation/prng.ts';
import { makeFragment } from './fragments.ts';
import { SIMULATED_DIRECTORY, simulatedOptions } from './nodes.ts';

interface Counts {
  writes: number;
  syncs: number;
  openFiles: number;
  openFilesMax: number;
  unsyncedBytesMax: number;
}

/** The disk with everything about segment files counted; `pause` holds back every sync. */
function counted(disk: Disk, counts: Counts, pause: () => Promise<void>): Disk {
  const wrap = (file: DiskFile): DiskFile => {
    let unsyncedBytes = 0;
    return {
      path: file.path,
      read: (target, position) => file.read(target, position),
      truncate: (size) => file.truncate(size),
      sizeBytes: () => file.sizeBytes(),
      linkCount: () => file.linkCount(),
      writev: (buffers, position) => {
        counts.writes++;
        for (const buffer of buffers) unsyncedBytes += buffer.length;
        counts.unsyncedBytesMax = Math.max(counts.unsyncedBytesMax, unsyncedBytes);
        return file.writev(buffers, position);
      },
      sync: async () => {
        counts.syncs++;
        await pause();
        await file.sync();
        unsyncedBytes = 0;
      },
      close: () => {
        counts.openFiles--;
        return file.close();
      },
    };
  };
  const own: Pick<Disk, 'open'> = {
    open: async (path, mode) => {
      const file = await disk.open(path, mode);
      counts.openFilesMax = Math.max(counts.openFilesMax, ++counts.openFiles);
      return wrap(file);
    },
  };
  return new Proxy(disk, {
    get(target, key) {
      const from: object = key === 'open' ? own : target;
      const value: unknown = Reflect.get(from, key, from);
      return typeof value === 'function' ? value.bind(from) : value;
    },
  });
}

async function countedNode(segmentBytesMax: number, pause = async () => {}) {
  const counts: Counts = {
    writes: 0,
    syncs: 0,
    openFiles: 0,
    openFilesMax: 0,
    unsyncedBytesMax: 0,
  };
  const disk = new SimulatedDisk(1);
  const prng = new Prng(1);
  const options = { ...simulatedOptions(disk, prng), disk: counted(disk, counts, pause), segmentBytesMax };
  return { counts, disk, prng, options, node: await NodeStore.open(options) };
}

describe('group commit', () => {
  it('shares one write and one sync among all that wait', async () => {
    const { counts, prng, node } = await countedNode(64 * MIB);
    await node.put(prng.bytes(32), makeFragment(prng, 10).pieces);
    const before = { ...counts };
    const fragments = Array.from({ length: 200 }, () => makeFragment(prng, 1000));
    await Promise.all(fragments.map(({ name, pieces }) => node.put(name, pieces)));
    expect(counts.syncs - before.syncs).toBeLessThanOrEqual(4);
    expect(counts.writes - before.writes).toBe(counts.syncs - before.syncs);
  });

  it('answers nothing before the sync', async () => {
    let release = () => {};
    let paused = Promise.resolve();
    const { prng, node } = await countedNode(64 * MIB, () => paused);
    await node.put(prng.bytes(32), makeFragment(prng, 10).pieces);
    paused = new Promise((resolve) => {
      release = resolve;
    });
    const { name, pieces } = makeFragment(prng, 1000);
    let answered = false;
    const put = node.put(name, pieces).then(() => {
      answered = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(answered).toBe(false);
    expect(await node.length(name)).toBeUndefined();
    release();
    await put;
    expect(await node.length(name)).toBe(1080);
  });

  it('holds at most 16 MiB in memory and lets the rest wait', async () => {
    const { counts, prng, node } = await countedNode(256 * MIB);
    const bytes = makeFragment(prng, 2 * MIB);
    const names = Array.from({ length: 24 }, () => prng.bytes(32));
    await Promise.all(names.map((name) => node.put(name, bytes.pieces)));
    expect(counts.unsyncedBytesMax).toBeLessThanOrEqual(16 * MIB);
    expect(counts.unsyncedBytesMax).toBeGreaterThan(8 * MIB);
    for (const name of names) expect(await node.verify(name)).toBe('intact');
  });

  it('lets what was accepted finish when the node is stopped', async () => {
    const disk = new SimulatedDisk(2);
    const prng = new Prng(2);
    const node = new EmbeddedNode(simulatedOptions(disk, prng));
    await node.start();
    const fragments = Array.from({ length: 50 }, () => makeFragment(prng, 3000));
    const puts = fragments.map(({ name, pieces }) => node.put(name, pieces));
    const [results] = await Promise.all([Promise.allSettled(puts), node.stop()]);
    await node.start();
    for (const [i, { name }] of fragments.entries()) {
      const acknowledged = results[i]!.status === 'fulfilled';
      if (acknowledged) expect(await node.verify(name)).toBe('intact');
      else expect(results[i]).toMatchObject({ reason: { code: 'NodeUnavailable' } });
    }
    await node.stop();
  });
});

describe('segments', () => {
  it('are read through a bounded number of descriptors', async () => {
    const { counts, disk, prng, node, options } = await countedNode(8192);
    const fragments = Array.from({ length: 300 }, () => makeFragment(prng, 3500));
    for (const { name, pieces } of fragments) await node.put(name, pieces);
    expect((await disk.list(SIMULATED_DIRECTORY)).length).toBeGreaterThan(OPEN_SEGMENTS_MAX + 20);
    const readAll = async (from: NodeStore) => {
      const reads = fragments.map(async ({ name, stored }) => {
        const target = Buffer.alloc(stored.length);
        await from.read(name, 0, target);
        expect(target.equals(stored)).toBe(true);
      });
      await Promise.all(reads);
      for (const { name } of fragments) await from.read(name, 7, Buffer.alloc(10));
    };
    await readAll(node);
    await node.close();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(counts.openFiles).toBe(0);
    counts.openFilesMax = 0;
    const again = await NodeStore.open(options);
    for (const { name } of fragments) await again.read(name, 7, Buffer.alloc(10));
    expect(counts.openFilesMax).toBeLessThanOrEqual(OPEN_SEGMENTS_MAX + 3);
    await again.close();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(counts.openFiles).toBe(0);
  });
});
