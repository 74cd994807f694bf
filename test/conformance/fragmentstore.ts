/**
 * What every FragmentStore must do. `make` gives an empty, serving store; `damage`, where the implementation can, flips a
 * bit of the stored bytes of a fragment behind the store's back.
 */
import { afterEach, describe, expect, it } from 'vitest';
import type { FragmentStore } from '../../src/node/fragmentstore.ts';
import { makeFragment } from '../node/fragments.ts';
import { Prng } from '../simulation/prng.ts';

export interface StoreUnderTest {
  readonly store: FragmentStore;
  damage?(name: Buffer, offsetBytes: number): Promise<void>;
  close(): Promise<void>;
}

export function fragmentStoreConformance(label: string, make: () => Promise<StoreUnderTest>): void {
  describe(`fragment store conformance: ${label}`, () => {
    let open: StoreUnderTest | undefined;
    afterEach(async () => {
      await open?.close();
      open = undefined;
    });

    async function fresh(): Promise<StoreUnderTest> {
      open = await make();
      return open;
    }

    async function readAll(store: FragmentStore, name: Buffer): Promise<Buffer> {
      const target = Buffer.alloc((await store.length(name)) ?? 0);
      await store.read(name, 0, target);
      return target;
    }

    it('gives back what was put, whole and in ranges', async () => {
      const { store } = await fresh();
      const prng = new Prng(1);
      for (const lengthBytes of [0, 1, 63, 64, 4096, 70_001, 1024 * 1024]) {
        const fragment = makeFragment(prng, lengthBytes);
        await store.put(fragment.name, fragment.pieces);
        expect(await readAll(store, fragment.name)).toEqual(fragment.stored);
        const from = lengthBytes >>> 1;
        const part = Buffer.alloc(Math.min(100, fragment.stored.length - from));
        await store.read(fragment.name, from, part);
        expect(part).toEqual(fragment.stored.subarray(from, from + part.length));
        expect(await store.verify(fragment.name)).toBe('intact');
      }
    });

    it('takes a fragment in any pieces', async () => {
      const { store } = await fresh();
      const { name, stored } = makeFragment(new Prng(2), 50_000);
      const cuts = [0, 1, 1, 9000, 30_000, 50_079];
      const pieces = cuts.map((from, i) => stored.subarray(from, cuts[i + 1]));
      await store.put(name, pieces);
      expect(await readAll(store, name)).toEqual(stored);
      expect(await store.verify(name)).toBe('intact');
    });

    it('answers for what it does not have', async () => {
      const { store } = await fresh();
      const name = new Prng(3).bytes(32);
      expect(await store.length(name)).toBeUndefined();
      expect(await store.verify(name)).toBe('missing');
      expect(await store.delete([name])).toBe(0);
      await expect(store.read(name, 0, Buffer.alloc(1))).rejects.toMatchObject({ code: 'FragmentMissing' });
    });

    it('says that a fragment is shorter than asked for', async () => {
      const { store } = await fresh();
      const { name, pieces, stored } = makeFragment(new Prng(4), 100);
      await store.put(name, pieces);
      await expect(store.read(name, 1, Buffer.alloc(stored.length))).rejects.toMatchObject({
        code: 'FragmentCorrupt',
      });
    });

    it('accepts the same content again and refuses other content', async () => {
      const { store } = await fresh();
      const prng = new Prng(5);
      const first = makeFragment(prng, 1000);
      await store.put(first.name, first.pieces);
      await store.put(first.name, [first.stored]);
      const other = makeFragment(prng, 1000, first.name);
      await expect(store.put(first.name, other.pieces)).rejects.toMatchObject({ code: 'FragmentConflict' });
      const longer = makeFragment(prng, 1001, first.name);
      await expect(store.put(first.name, longer.pieces)).rejects.toMatchObject({ code: 'FragmentConflict' });
      expect(await readAll(store, first.name)).toEqual(first.stored);
      expect((await store.hello()).fragmentCount).toBe(1);
    });

    it('keeps one of several contents that are put at once', async () => {
      const { store } = await fresh();
      const prng = new Prng(6);
      const name = prng.bytes(32);
      const contents = Array.from({ length: 8 }, () => makeFragment(prng, 500, name));
      const results = await Promise.allSettled(contents.map(({ pieces }) => store.put(name, pieces)));
      const winners = contents.filter((_, i) => results[i]!.status === 'fulfilled');
      expect(winners).toHaveLength(1);
      expect(await readAll(store, name)).toEqual(winners[0]!.stored);
    });

    it('deletes, and takes a new content for the name afterwards', async () => {
      const { store } = await fresh();
      const prng = new Prng(7);
      const fragments = Array.from({ length: 10 }, () => makeFragment(prng, 300));
      await Promise.all(fragments.map(({ name, pieces }) => store.put(name, pieces)));
      const gone = fragments.slice(0, 6).map(({ name }) => name);
      expect(await store.delete([...gone, gone[0]!, prng.bytes(32)])).toBe(6);
      for (const [i, { name, stored }] of fragments.entries()) {
        expect(await store.verify(name)).toBe(i < 6 ? 'missing' : 'intact');
        expect(await store.length(name)).toBe(i < 6 ? undefined : stored.length);
      }
      const again = makeFragment(prng, 200, gone[0]);
      await store.put(again.name, again.pieces);
      expect(await readAll(store, again.name)).toEqual(again.stored);
    });

    it('lists in ascending order of name, in pages', async () => {
      const { store } = await fresh();
      const prng = new Prng(8);
      const fragments = Array.from({ length: 257 }, () => makeFragment(prng, prng.below(300)));
      await Promise.all(fragments.map(({ name, pieces }) => store.put(name, pieces)));
      const expected = fragments
        .map(({ name, stored }) => ({ name: name.toString('hex'), storedLengthBytes: stored.length }))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
      for (const limit of [1, 10, 256, 257, 1000]) {
        const listed: unknown[] = [];
        let after: Buffer | undefined;
        do {
          const page = await store.list(after, limit);
          expect(page.fragments.length).toBeLessThanOrEqual(limit);
          for (const { name, storedLengthBytes } of page.fragments) {
            listed.push({ name: name.toString('hex'), storedLengthBytes });
          }
          after = page.next;
        } while (after);
        expect(listed).toEqual(expected);
      }
    });

    it('counts fragments and durable appends', async () => {
      const { store } = await fresh();
      const prng = new Prng(9);
      const before = await store.hello();
      expect(before.fragmentCount).toBe(0);
      expect(before.nodeUuid).toMatch(/^[0-9a-f]{32}$/);
      const fragments = Array.from({ length: 5 }, () => makeFragment(prng, 2000));
      await Promise.all(fragments.map(({ name, pieces }) => store.put(name, pieces)));
      await store.delete([fragments[0]!.name]);
      const after = await store.hello();
      expect(after.fragmentCount).toBe(4);
      expect(after.durableAppends).toBeGreaterThanOrEqual(before.durableAppends + 6);
      expect(after.usedBytes).toBeGreaterThanOrEqual(4 * 2080);
      expect(after.nodeUuid).toBe(before.nodeUuid);
    });

    it('refuses names and lengths that no fragment has', async () => {
      const { store } = await fresh();
      const { pieces } = makeFragment(new Prng(10), 10);
      await expect(store.put(Buffer.alloc(31), pieces)).rejects.toMatchObject({ code: 'InvalidArgument' });
      await expect(store.put(Buffer.alloc(32), [Buffer.alloc(79)])).rejects.toMatchObject({
        code: 'InvalidArgument',
      });
      await expect(store.put(Buffer.alloc(32), [Buffer.alloc(8 * 1024 * 1024 + 1)])).rejects.toMatchObject({
        code: 'InvalidArgument',
      });
    });

    it('tells a damaged fragment and lets it be replaced', async ({ skip }) => {
      const { store, damage } = await fresh();
      if (!damage) return skip();
      const prng = new Prng(11);
      const { name, pieces, stored } = makeFragment(prng, 600_000);
      await store.put(name, pieces);
      for (const offsetBytes of [0, 300_000, 600_020]) {
        await damage(name, offsetBytes);
        expect(await store.verify(name)).toBe('corrupt');
        await store.put(name, pieces);
        expect(await store.verify(name)).toBe('intact');
        expect(await readAll(store, name)).toEqual(stored);
      }
      await damage(name, 5);
      const other = makeFragment(prng, 100, name);
      await store.put(name, other.pieces);
      expect(await readAll(store, name)).toEqual(other.stored);
    });
  });
}
