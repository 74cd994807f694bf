/** A full disk, a failed fsync, rot, unreadable sectors, a directory that goes away under an open node. */
import { mkdir, rename, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { MIB } from '../../src/base/units.ts';
import { EmbeddedNode } from '../../src/node/embedded.ts';
import { type NodeOptions, NodeStore } from '../../src/node/store.ts';
import { SimulatedClock } from '../simulation/clock.ts';
import { SimulatedDisk } from '../simulation/disk.ts';
import { Prng } from '../simulation/prng.ts';
import { makeFragment, type TestFragment } from './fragments.ts';
import {
  flipSimulated,
  openReal,
  realOptions,
  SIMULATED_DIRECTORY,
  simulatedOptions,
  temporaryDirectory,
} from './nodes.ts';

async function simulated(seed: number, more: Partial<NodeOptions> = {}, capacityBytes?: number) {
  const disk = new SimulatedDisk(seed, capacityBytes ? { capacityBytes } : {});
  const prng = new Prng(seed);
  const options = { ...simulatedOptions(disk, prng), ...more };
  return { disk, prng, options, node: await NodeStore.open(options) };
}

async function putMany(
  node: NodeStore,
  prng: Prng,
  count: number,
  lengthBytes: number,
): Promise<TestFragment[]> {
  const fragments = Array.from({ length: count }, () => makeFragment(prng, lengthBytes));
  await Promise.all(fragments.map(({ name, pieces }) => node.put(name, pieces)));
  return fragments;
}

async function expectStored(node: NodeStore, fragments: readonly TestFragment[]): Promise<void> {
  for (const { name, stored } of fragments) {
    const target = Buffer.alloc(stored.length);
    await node.read(name, 0, target);
    expect(target.equals(stored)).toBe(true);
  }
}

async function compactAll(node: NodeStore): Promise<number> {
  let reclaimedBytes = 0;
  for (;;) {
    const progress = await node.compactStep(100_000);
    reclaimedBytes += progress.reclaimedBytes;
    if (progress.idle) return reclaimedBytes;
  }
}

describe('a full disk', () => {
  it('rejects the batch, keeps what was there and goes on when there is room again', async () => {
    const { disk, prng, node, options } = await simulated(1);
    const kept = await putMany(node, prng, 5, 3000);
    disk.capacityBytes = disk.capacityBytes - disk.roomBytes() + 5000;
    const lost = Array.from({ length: 4 }, () => makeFragment(prng, 3000));
    const results = await Promise.allSettled(lost.map(({ name, pieces }) => node.put(name, pieces)));
    for (const result of results) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'NodeFull' } });
    }
    for (const { name } of lost) expect(await node.verify(name)).toBe('missing');
    disk.capacityBytes = 2 ** 40;
    await node.put(lost[0]!.name, lost[0]!.pieces);
    await expectStored(node, [...kept, lost[0]!]);
    const again = await NodeStore.open({ ...options, disk: disk.powerCut() });
    await expectStored(again, [...kept, lost[0]!]);
    expect((await again.hello()).fragmentCount).toBe(6);
    expect(again.replayReport).toMatchObject({ damagedRecords: 0, tornRecords: 0 });
  });

  it('refuses puts when only the reserve is left, but deletes, compacts and then takes more', async () => {
    const { prng, node } = await simulated(2, {}, 2_000_000);
    const stored: TestFragment[] = [];
    for (;;) {
      const fragment = makeFragment(prng, 20_000);
      try {
        await node.put(fragment.name, fragment.pieces);
      } catch (error) {
        expect(error).toMatchObject({ code: 'NodeFull' });
        break;
      }
      stored.push(fragment);
    }
    expect(stored.length).toBeGreaterThan(60);
    const full = await node.hello();
    expect(full.freeBytes).toBeLessThan(21_000);
    const gone = stored.filter((_, i) => i % 3 !== 0).map(({ name }) => name);
    expect(await node.delete(gone)).toBe(gone.length);
    expect(await compactAll(node)).toBeGreaterThan(gone.length * 10_000);
    expect((await node.hello()).freeBytes).toBeGreaterThan(gone.length * 10_000);
    await expectStored(
      node,
      stored.filter((_, i) => i % 3 === 0),
    );
    const fragment = makeFragment(prng, 20_000);
    await node.put(fragment.name, fragment.pieces);
  });

  it('counts a limit of its own, and shares a file system with others', async () => {
    const { disk, prng, node, options } = await simulated(3, { capacityBytes: 300_000 });
    const hello = await node.hello();
    expect(hello.capacityBytes).toBe(300_000);
    const all = Array.from({ length: 20 }, () => makeFragment(prng, 20_000));
    const results = await Promise.allSettled(all.map(({ name, pieces }) => node.put(name, pieces)));
    expect(results.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(3);
    expect((await node.hello()).usedBytes).toBeLessThanOrEqual(300_000);
    const alone = await NodeStore.open({
      ...options,
      directory: '/alone',
      capacityBytes: undefined as never,
    });
    const shared = await NodeStore.open({
      ...options,
      directory: '/shared',
      capacityBytes: undefined as never,
      sharers: () => 4,
    });
    const [aloneFree, sharedFree] = [(await alone.hello()).freeBytes, (await shared.hello()).freeBytes];
    expect(Math.abs(aloneFree - 4 * sharedFree)).toBeLessThan(10_000);
    expect(aloneFree).toBeLessThan(disk.roomBytes() * 0.99);
  });
});

describe('a disk that fails', () => {
  it('ends the node at a failed fsync; nothing is acknowledged afterwards', async () => {
    const { disk, prng, node, options } = await simulated(4);
    const kept = await putMany(node, prng, 3, 500);
    disk.failNextSync('.seg');
    const lost = makeFragment(prng, 500);
    await expect(node.put(lost.name, lost.pieces)).rejects.toMatchObject({ code: 'NodeFailed' });
    for (let i = 0; i < 3; i++) {
      await expect(node.put(lost.name, lost.pieces)).rejects.toMatchObject({ code: 'NodeFailed' });
    }
    await expect(node.hello()).rejects.toMatchObject({ code: 'NodeFailed' });
    await expect(node.delete([kept[0]!.name])).rejects.toMatchObject({ code: 'NodeFailed' });
    await node.close();
    await expectStored(await NodeStore.open(options), kept);
  });

  it('says NodeUnavailable for an unreadable sector, corrupt when asked to verify, and lets it be replaced', async () => {
    const { disk, prng, node } = await simulated(5);
    const [fragment] = await putMany(node, prng, 1, 5000);
    const path = `${SIMULATED_DIRECTORY}/0000000001.seg`;
    disk.failReads(path, 4096 + 1000, 4096 + 1512);
    const { name, pieces, stored } = fragment!;
    await expect(node.read(name, 0, Buffer.alloc(stored.length))).rejects.toMatchObject({
      code: 'NodeUnavailable',
    });
    expect(await node.verify(name)).toBe('corrupt');
    await node.put(name, pieces);
    await expectStored(node, [fragment!]);
  });

  it('does not compact over a record it cannot read, and does once that is replaced', async () => {
    const { disk, prng, node } = await simulated(6);
    const fragments = await putMany(node, prng, 30, 5000);
    await node.delete(fragments.slice(2).map(({ name }) => name));
    disk.failReads(`${SIMULATED_DIRECTORY}/0000000001.seg`, 4096 + 1000, 4096 + 1512);
    await expect(compactAll(node)).rejects.toMatchObject({ code: 'FragmentCorrupt' });
    const [bad, good] = fragments;
    await expectStored(node, [good!]);
    await node.put(bad!.name, bad!.pieces);
    expect(await compactAll(node)).toBeGreaterThan(50_000);
    await expectStored(node, [bad!, good!]);
  });
});

describe('rot', () => {
  it('in a value is found by verify and scrub and never changes another fragment', async () => {
    const { disk, prng, node, options } = await simulated(7);
    const fragments = await putMany(node, prng, 40, 4000);
    const rotten = [fragments[3]!, fragments[17]!, fragments[39]!];
    await flipSimulated(disk, rotten[0]!.name, 32 + 1000);
    await flipSimulated(disk, rotten[1]!.name, 32 + 4000 + 20);
    await flipSimulated(disk, rotten[2]!.name, 32 + 4000 + 70);
    const corrupt: string[] = [];
    let cursor: Awaited<ReturnType<NodeStore['scrubStep']>>['next'];
    do {
      const progress = await node.scrubStep(cursor, 10_000);
      expect(progress.verifiedBytes).toBeLessThan(15_000);
      corrupt.push(...progress.corrupt.map((name) => name.toString('hex')));
      cursor = progress.next;
    } while (cursor);
    expect(corrupt.sort()).toEqual(rotten.map(({ name }) => name.toString('hex')).sort());
    expect((await node.hello()).damagedRecords).toBe(3);
    await expectStored(
      node,
      fragments.filter((fragment) => !rotten.includes(fragment)),
    );
    await node.close();
    const again = await NodeStore.open(options);
    for (const fragment of rotten.slice(0, 2)) expect(await again.verify(fragment.name)).toBe('corrupt');
  });

  it('in any header is reported at the next start, and only that record is missing', async () => {
    for (let seed = 100; seed < 140; seed++) {
      const { disk, prng, node, options } = await simulated(seed);
      const fragments: TestFragment[] = [];
      for (let i = 0; i < 6; i++) fragments.push(...(await putMany(node, prng, 4, prng.below(6000))));
      await node.close();
      const victim = fragments[prng.below(fragments.length - 4)]!;
      await flipSimulated(disk, victim.name, prng.between(-52, 31));
      const again = await NodeStore.open(options);
      expect(again.replayReport, `seed ${seed}`).toMatchObject({ damagedRecords: 1, tornRecords: 0 });
      expect(await again.verify(victim.name)).toBe('missing');
      await expectStored(
        again,
        fragments.filter((fragment) => fragment !== victim),
      );
      await again.put(victim.name, victim.pieces);
      await expectStored(again, fragments);
    }
  });

  it('in the header of an open node is mended by scrub while the value is whole', async () => {
    const { disk, prng, node, options } = await simulated(8);
    const fragments = await putMany(node, prng, 10, 4000);
    await flipSimulated(disk, fragments[4]!.name, -30);
    let rewritten = 0;
    let cursor: Awaited<ReturnType<NodeStore['scrubStep']>>['next'];
    do {
      const progress = await node.scrubStep(cursor, 1_000_000);
      expect(progress.corrupt).toEqual([]);
      rewritten += progress.rewritten;
      cursor = progress.next;
    } while (cursor);
    expect(rewritten).toBe(1);
    await node.close();
    await expectStored(await NodeStore.open(options), fragments);
  });

  it('in both copies of a segment header costs that segment, which is reported and left alone', async () => {
    const { disk, prng, node, options } = await simulated(9);
    const fragments = await putMany(node, prng, 40, 5000);
    await node.close();
    const path = `${SIMULATED_DIRECTORY}/0000000002.seg`;
    disk.flipBit(path, 13, 0);
    await expectStored(await NodeStore.open(options), fragments);
    disk.flipBit(path, 2048 + 40, 0);
    const again = await NodeStore.open(options);
    expect(again.replayReport.unreadableSegments).toBe(1);
    const left = (await again.hello()).fragmentCount;
    expect(left).toBeGreaterThan(10);
    expect(left).toBeLessThan(40);
    expect(await disk.exists(path)).toBe(true);
    for (const { name, pieces } of fragments) await again.put(name, pieces);
    await expectStored(again, fragments);
  });
});

describe('compaction', () => {
  it('gets the space back, drops tombstones at the end, and brings nothing back', async () => {
    const { disk, prng, node, options } = await simulated(10);
    const kept: TestFragment[] = [];
    const gone: TestFragment[] = [];
    for (let round = 0; round < 12; round++) {
      const fragments = await putMany(node, prng, 20, prng.between(100, 6000));
      kept.push(fragments.shift()!);
      await node.delete(fragments.map(({ name }) => name));
      gone.push(...fragments);
      await node.compactStep(30_000);
    }
    await compactAll(node);
    const { usedBytes } = await node.hello();
    let sizeBytes = 0;
    for (const name of await disk.list(SIMULATED_DIRECTORY)) {
      sizeBytes += disk.fileSizeBytes(`${SIMULATED_DIRECTORY}/${name}`);
    }
    expect(sizeBytes).toBeLessThan(2 * usedBytes + 1.2 * MIB);
    for (const disk2 of [disk, disk.powerCut()]) {
      if (disk2 === disk) continue;
      const again = await NodeStore.open({ ...options, disk: disk2 });
      expect((await again.hello()).fragmentCount).toBe(kept.length);
      await expectStored(again, kept);
      for (const { name } of gone) expect(await again.length(name)).toBeUndefined();
    }
  });

  it('never disturbs reads', async () => {
    const directory = await temporaryDirectory();
    const node = await openReal(directory.path, { segmentBytesMax: MIB });
    const prng = new Prng(11);
    const fragments = await putMany(node, prng, 400, 20_000);
    const kept = fragments.filter((_, i) => i % 4 === 0);
    await node.delete(fragments.filter((_, i) => i % 4 !== 0).map(({ name }) => name));
    let compacting = true;
    const readers = Array.from({ length: 4 }, async () => {
      do await expectStored(node, kept);
      while (compacting);
    });
    expect(await compactAll(node)).toBeGreaterThan(4 * MIB);
    compacting = false;
    await Promise.all(readers);
    await node.close();
    await directory.remove();
  });
});

describe('a node directory', () => {
  let path: string;
  let remove: () => Promise<void> = async () => {};
  afterEach(() => remove());

  async function fresh(): Promise<string> {
    const directory = await temporaryDirectory();
    remove = directory.remove;
    path = join(directory.path, 'node');
    return path;
  }

  it('that is missing or empty is initialised only when asked to', async () => {
    const directory = await fresh();
    const options = { ...realOptions(directory), initialise: false };
    await expect(NodeStore.open(options)).rejects.toMatchObject({ code: 'NodeUnavailable' });
    await mkdir(directory);
    await expect(NodeStore.open(options)).rejects.toThrow(directory);
    const first = await NodeStore.open({ ...options, initialise: true });
    await first.close();
    const second = await NodeStore.open(options);
    expect(second.nodeUuid).toBe(first.nodeUuid);
    await second.close();
  });

  it.each([
    ['{"kind":"holdfast-node","format":99,"nodeUuid":"00"}', 'FormatTooNew'],
    ['{"kind":"other","format":1}', 'NodeUnavailable'],
    ['not json', 'NodeUnavailable'],
  ])('with %s is refused', async (content, code) => {
    const disk = new SimulatedDisk(1);
    await disk.makeDirectory('/node');
    const file = await disk.open('/node/node.json', 'create');
    await file.writev([Buffer.from(content)], 0);
    const opening = NodeStore.open(simulatedOptions(disk, new Prng(1)));
    await expect(opening).rejects.toMatchObject({
      code,
      message: expect.stringContaining('/node/node.json'),
    });
  });

  it('with files of something else is not initialised', async () => {
    const disk = new SimulatedDisk(1);
    await disk.makeDirectory('/node');
    await disk.open('/node/holiday.jpg', 'create');
    await expect(NodeStore.open(simulatedOptions(disk, new Prng(1)))).rejects.toThrow('holiday.jpg');
  });

  it('removed under an open node is noticed before the next answer', async () => {
    const node = await openReal(await fresh());
    const prng = new Prng(12);
    await putMany(node, prng, 3, 1000);
    await rm(path, { recursive: true });
    const fragment = makeFragment(prng, 1000);
    await expect(node.put(fragment.name, fragment.pieces)).rejects.toMatchObject({
      code: 'NodeUnavailable',
      message: expect.stringContaining('the directory is gone'),
    });
    await expect(node.hello()).rejects.toMatchObject({ code: 'NodeUnavailable' });
    await node.close();
  });

  it.each(['segment', 'identity', 'moved'] as const)('of which the %s goes away is noticed', async (what) => {
    const node = await openReal(await fresh());
    const prng = new Prng(13);
    await putMany(node, prng, 3, 1000);
    if (what === 'segment') await unlink(join(path, '0000000001.seg'));
    if (what === 'identity') await unlink(join(path, 'node.json'));
    if (what === 'moved') await rename(path, `${path}.away`);
    const fragment = makeFragment(prng, 1000);
    const rejected = { code: 'NodeUnavailable' };
    await expect(node.put(fragment.name, fragment.pieces)).rejects.toMatchObject(rejected);
    await expect(node.length(fragment.name)).rejects.toMatchObject(rejected);
    await node.close();
  });

  it('removed under a node that only reads is noticed within a quarter of a second', async () => {
    const clock = new SimulatedClock();
    const { disk, prng, node } = await simulated(14, { clock });
    const [fragment] = await putMany(node, prng, 1, 1000);
    disk.removeTree(SIMULATED_DIRECTORY);
    await clock.advance(251);
    await node.read(fragment!.name, 0, Buffer.alloc(10)).catch(() => {});
    await clock.advance(1);
    await expect(node.read(fragment!.name, 0, Buffer.alloc(10))).rejects.toMatchObject({
      code: 'NodeUnavailable',
    });
  });

  it('is started again empty after it was removed, when asked to', async () => {
    const node = new EmbeddedNode(realOptions(await fresh()));
    const prng = new Prng(15);
    const fragment = makeFragment(prng, 100);
    await expect(node.put(fragment.name, fragment.pieces)).rejects.toMatchObject({ code: 'NodeUnavailable' });
    await node.start(true);
    await node.put(fragment.name, fragment.pieces);
    const { nodeUuid } = await node.hello();
    await rm(path, { recursive: true });
    await expect(node.checkDirectory()).rejects.toMatchObject({ code: 'NodeUnavailable' });
    await node.stop();
    await expect(node.hello()).rejects.toMatchObject({ code: 'NodeUnavailable' });
    await expect(node.start(false)).rejects.toMatchObject({ code: 'NodeUnavailable' });
    await expect(node.hello()).rejects.toThrow(path);
    await node.start(true);
    expect((await node.hello()).nodeUuid).not.toBe(nodeUuid);
    expect(await node.verify(fragment.name)).toBe('missing');
    await node.stop();
  });
});

describe('a scrub', () => {
  it('goes on after a restart where it was', async () => {
    const disk = new SimulatedDisk(16);
    const prng = new Prng(16);
    const node = new EmbeddedNode(simulatedOptions(disk, prng));
    await node.start();
    const fragments = Array.from({ length: 50 }, () => makeFragment(prng, 4000));
    for (const { name, pieces } of fragments) await node.put(name, pieces);
    let verified = 0;
    let steps = 0;
    for (;;) {
      const progress = await node.scrubStep(20_000);
      verified += progress.verifiedFragments;
      if (!progress.next) break;
      steps++;
      await node.stop();
      await node.start();
    }
    expect(verified).toBe(50);
    expect(steps).toBeGreaterThan(8);
  });
});
