import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, test } from 'vitest';
import { nativeJobs } from '../../src/base/nativejobs.ts';
import { realDisk } from '../../src/node/realdisk.ts';
import { diskConformance } from '../conformance/disk.ts';
import { SimulatedDisk } from '../simulation/disk.ts';

const made: string[] = [];
afterAll(() => Promise.all(made.map((path) => rm(path, { recursive: true, force: true }))));

diskConformance('real', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-disk-'));
  made.push(directory);
  return { disk: realDisk, directory };
});

test.skipIf(!nativeJobs())(
  'an append past the page cache goes to the file that is open, whatever its path is by now',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-disk-'));
    made.push(directory);
    const path = join(directory, 'file');
    const file = await realDisk.open(path, 'create');
    await rename(path, join(directory, 'renamed'));
    await writeFile(path, 'another');
    const parts = [Buffer.alloc(4096, 'a'), Buffer.alloc(4096, 'b')];
    expect(await file.append!(parts, 4096, path, true)).toBe(true);
    await file.close();
    expect(await readFile(path, 'latin1')).toBe('another');
    const written = await readFile(join(directory, 'renamed'));
    expect(written.subarray(4096).equals(Buffer.concat(parts))).toBe(true);
  },
);

diskConformance('simulated', async () => {
  const disk = new SimulatedDisk(7);
  await disk.makeDirectory('/data');
  await disk.syncDirectory('/');
  return { disk, directory: '/data' };
});

async function prepared(seed: number) {
  const disk = new SimulatedDisk(seed);
  await disk.makeDirectory('/data');
  await disk.syncDirectory('/');
  const file = await disk.open('/data/f', 'create');
  await disk.syncDirectory('/data');
  return { disk, file };
}

describe('the simulated disk', () => {
  it('keeps what was synced and may lose, tear or reorder what was not', async () => {
    const outcomes = new Set<string>();
    for (let seed = 1; seed <= 300; seed++) {
      const { disk, file } = await prepared(seed);
      await file.writev([Buffer.alloc(512, 'a')], 0);
      await file.sync();
      await file.writev([Buffer.alloc(1024, 'b')], 512);
      const after = await disk.powerCut().readFile('/data/f');
      expect(after.subarray(0, 512), `seed ${seed}`).toEqual(Buffer.alloc(512, 'a'));
      const sectors = [512, 1024].map((at) => after.toString('latin1', at, at + 1) || '-');
      outcomes.add(sectors.join('').replaceAll('\0', '0'));
    }
    expect([...outcomes].sort()).toEqual(['--', '00', '0b', 'b0', 'bb']);
  });

  it('may lose a name that was not synced, and keeps one that was', async () => {
    let lost = 0;
    for (let seed = 1; seed <= 100; seed++) {
      const { disk } = await prepared(seed);
      await disk.open('/data/g', 'create');
      const after = disk.powerCut();
      expect(await after.exists('/data/f')).toBe(true);
      if (!(await after.exists('/data/g'))) lost++;
      await expect(disk.exists('/data/f')).rejects.toMatchObject({ code: 'EPOWER' });
    }
    expect(lost).toBeGreaterThan(20);
    expect(lost).toBeLessThan(80);
  });

  it('never makes durable what a failed sync has lost', async () => {
    for (let seed = 1; seed <= 50; seed++) {
      const { disk, file } = await prepared(seed);
      await file.writev([Buffer.from('gone')], 0);
      disk.failNextSync();
      await expect(file.sync()).rejects.toMatchObject({ code: 'EIO' });
      await file.sync();
      expect((await disk.powerCut().readFile('/data/f')).toString()).toBe('');
    }
  });

  it('fills up in the middle of a write', async () => {
    const { disk, file } = await prepared(1);
    disk.capacityBytes = 700;
    await expect(file.writev([Buffer.alloc(500, 1), Buffer.alloc(500, 2)], 0)).rejects.toMatchObject({
      code: 'ENOSPC',
    });
    expect(await file.sizeBytes()).toBe(700);
  });

  it('returns EIO for a bad range until it is written again', async () => {
    const { disk, file } = await prepared(1);
    await file.writev([Buffer.alloc(2000)], 0);
    disk.failReads('/data/f', 512, 1024);
    await expect(file.read(Buffer.alloc(10), 600)).rejects.toMatchObject({ code: 'EIO' });
    expect(await file.read(Buffer.alloc(10), 1024)).toBe(10);
    await file.writev([Buffer.alloc(512)], 512);
    expect(await file.read(Buffer.alloc(10), 600)).toBe(10);
  });
});
