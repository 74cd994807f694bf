/** What every Disk must do, fault injection apart. `make` gives a fresh disk and an empty, existing directory on it. */
import { describe, expect, it } from 'vitest';
import { appendDurably } from '../../src/node/append.ts';
import { DIRECT_ALIGNMENT_BYTES, type Disk } from '../../src/node/disk.ts';

export interface DiskUnderTest {
  readonly disk: Disk;
  readonly directory: string;
}

export function diskConformance(name: string, make: () => Promise<DiskUnderTest>): void {
  describe(`disk conformance: ${name}`, () => {
    it('creates a file once and opens it for reading and writing', async () => {
      const { disk, directory } = await make();
      const path = `${directory}/file`;
      await expect(disk.open(path, 'read')).rejects.toMatchObject({ code: 'ENOENT' });
      await expect(disk.open(path, 'readwrite')).rejects.toMatchObject({ code: 'ENOENT' });
      const file = await disk.open(path, 'create');
      await expect(disk.open(path, 'create')).rejects.toMatchObject({ code: 'EEXIST' });
      await file.writev([Buffer.from('hello')], 0);
      const again = await disk.open(path, 'readwrite');
      await again.writev([Buffer.from('J')], 0);
      expect((await disk.readFile(path)).toString()).toBe('Jello');
      await file.close();
      await again.close();
    });

    it('writes all buffers in order at the position, empty ones and thousands of them included', async () => {
      const { disk, directory } = await make();
      const file = await disk.open(`${directory}/file`, 'create');
      await file.writev([], 0);
      await file.writev([Buffer.from('ab'), Buffer.alloc(0), Buffer.from('cd')], 3);
      expect((await disk.readFile(file.path)).toString('latin1')).toBe('\0\0\0abcd');
      const many = Array.from({ length: 5000 }, (_, i) => Buffer.from([i & 0xff, i >>> 8]));
      await file.writev(many, 0);
      expect(await disk.readFile(file.path)).toEqual(Buffer.concat(many));
      expect(await file.sizeBytes()).toBe(10_000);
      await file.close();
    });

    it('reads short only at the end of the file', async () => {
      const { disk, directory } = await make();
      const file = await disk.open(`${directory}/file`, 'create');
      await file.writev([Buffer.from('0123456789')], 0);
      const target = Buffer.alloc(4);
      expect(await file.read(target, 2)).toBe(4);
      expect(target.toString()).toBe('2345');
      expect(await file.read(target, 8)).toBe(2);
      expect(await file.read(target, 10)).toBe(0);
      expect(await file.read(target, 99)).toBe(0);
      expect(await file.read(Buffer.alloc(0), 0)).toBe(0);
      await file.close();
    });

    it('truncates, syncs and tells the size', async () => {
      const { disk, directory } = await make();
      const file = await disk.open(`${directory}/file`, 'create');
      await file.writev([Buffer.from('0123456789')], 0);
      await file.truncate(4);
      await file.sync();
      expect(await file.sizeBytes()).toBe(4);
      await file.writev([Buffer.from('x')], 6);
      expect((await disk.readFile(file.path)).toString('latin1')).toBe('0123\0\0x');
      await file.close();
    });

    it('appends durably, and tells whether file and witness are still there', async () => {
      const { disk, directory } = await make();
      const witness = await disk.open(`${directory}/witness`, 'create');
      const file = await disk.open(`${directory}/file`, 'create');
      const parts = [Buffer.alloc(5000, 1), Buffer.alloc(0), Buffer.alloc(95, 2)];
      const append = (position: number, buffers: Uint8Array[], aligned: boolean) =>
        appendDurably(disk, file, buffers, position, witness.path, aligned);
      expect(await append(0, parts, false)).toBe(true);
      const blocks = [Buffer.alloc(3 * DIRECT_ALIGNMENT_BYTES + 3097, 3), Buffer.alloc(4096, 4)];
      expect(await append(5095, blocks, file.direct === true)).toBe(true);
      expect(await file.sizeBytes()).toBe(6 * DIRECT_ALIGNMENT_BYTES);
      expect(await append(6 * DIRECT_ALIGNMENT_BYTES, [Buffer.from('end')], false)).toBe(true);
      file.sealed?.();
      expect(await append(6 * DIRECT_ALIGNMENT_BYTES + 3, [Buffer.from('!')], false)).toBe(true);
      const expected = Buffer.concat([...parts, ...blocks, Buffer.from('end!')]);
      expect((await disk.readFile(file.path)).equals(expected)).toBe(true);
      await disk.remove(witness.path);
      expect(await append(expected.length, [Buffer.from('x')], false)).toBe(false);
      await disk.remove(file.path);
      expect(await append(expected.length, [Buffer.from('y')], false)).toBe(false);
      await Promise.all([file.close(), witness.close()]);
    });

    it('counts links and keeps a removed file readable while it is open', async () => {
      const { disk, directory } = await make();
      const file = await disk.open(`${directory}/file`, 'create');
      await file.writev([Buffer.from('abc')], 0);
      expect(await file.linkCount()).toBe(1);
      await disk.remove(file.path);
      await disk.syncDirectory(directory);
      expect(await file.linkCount()).toBe(0);
      const target = Buffer.alloc(3);
      expect(await file.read(target, 0)).toBe(3);
      expect(target.toString()).toBe('abc');
      await file.close();
      await expect(disk.remove(file.path)).rejects.toMatchObject({ code: 'ENOENT' });
    });

    it('lists, renames over an existing file, and knows what exists', async () => {
      const { disk, directory } = await make();
      for (const name of ['a', 'b']) {
        const file = await disk.open(`${directory}/${name}`, 'create');
        await file.writev([Buffer.from(name)], 0);
        await file.close();
      }
      expect((await disk.list(directory)).sort()).toEqual(['a', 'b']);
      await disk.rename(`${directory}/a`, `${directory}/b`);
      await disk.syncDirectory(directory);
      expect(await disk.list(directory)).toEqual(['b']);
      expect((await disk.readFile(`${directory}/b`)).toString()).toBe('a');
      expect(await disk.exists(`${directory}/a`)).toBe(false);
      expect(await disk.exists(`${directory}/b`)).toBe(true);
      expect(await disk.exists(directory)).toBe(true);
      expect(await disk.exists(`${directory}/none/deeper`)).toBe(false);
      await expect(disk.rename(`${directory}/a`, `${directory}/c`)).rejects.toMatchObject({ code: 'ENOENT' });
      await expect(disk.list(`${directory}/none`)).rejects.toMatchObject({ code: 'ENOENT' });
    });

    it('makes directories with their parents, again without error', async () => {
      const { disk, directory } = await make();
      await disk.makeDirectory(`${directory}/x/y/z`, 0o700);
      await disk.makeDirectory(`${directory}/x/y/z`, 0o700);
      expect(await disk.list(`${directory}/x/y`)).toEqual(['z']);
      await disk.syncDirectory(`${directory}/x/y/z`);
    });

    it('tells capacity, free space and which file system it is', async () => {
      const { disk, directory } = await make();
      await disk.makeDirectory(`${directory}/sub`);
      const [space, sub] = [await disk.space(directory), await disk.space(`${directory}/sub`)];
      expect(space.capacityBytes).toBeGreaterThan(0);
      expect(space.freeBytes).toBeLessThanOrEqual(space.capacityBytes);
      expect(sub.filesystemId).toBe(space.filesystemId);
    });
  });
}
