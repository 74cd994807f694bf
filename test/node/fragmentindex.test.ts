import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FragmentIndex } from '../../src/node/fragmentindex.ts';
import { Listing } from '../../src/node/listing.ts';
import { Prng } from '../simulation/prng.ts';

function nameOf(n: number): Buffer {
  const name = Buffer.alloc(32, 0x5a);
  name.writeUInt32BE(n, 28);
  return name;
}

function listAll(listing: Listing, limit: number): string[] {
  const names: string[] = [];
  let after: Buffer | undefined;
  do {
    const page = listing.page(after, limit);
    for (const { name } of page.fragments) names.push(name.toString('hex'));
    after = page.next;
  } while (after);
  return names;
}

describe('the fragment index', () => {
  it('behaves like a map under any sequence of changes', () => {
    const change = fc.tuple(fc.nat(60), fc.boolean(), fc.integer({ min: 1, max: 1000 }));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 400 }), fc.integer(), (changes, seed) => {
        const index = new FragmentIndex(seed);
        const model = new Map<number, number>();
        for (const [n, put, value] of changes) {
          if (put) {
            index.set(nameOf(n), value, value * 64, value + 1);
            model.set(n, value);
          } else {
            expect(index.delete(nameOf(n))).toBe(model.delete(n));
          }
        }
        expect(index.count).toBe(model.size);
        for (let n = 0; n <= 60; n++) {
          const id = index.find(nameOf(n));
          const value = model.get(n);
          expect(id >= 0).toBe(value !== undefined);
          if (value === undefined) continue;
          expect([index.segment(id), index.offset(id), index.lengthBytes(id)]).toEqual([
            value,
            value * 64,
            value + 1,
          ]);
          expect(index.name(id)).toEqual(nameOf(n));
        }
      }),
    );
  });

  it('grows, is emptied and filled again in the same memory', () => {
    const index = new FragmentIndex(1);
    for (let n = 0; n < 50_000; n++) index.set(nameOf(n), 1, n, n);
    const full = index.memoryBytes;
    for (let n = 0; n < 50_000; n += 2) expect(index.delete(nameOf(n))).toBe(true);
    for (let n = 1; n < 50_000; n += 2) expect(index.offset(index.find(nameOf(n)))).toBe(n);
    for (let n = 50_000; n < 75_000; n++) index.set(nameOf(n), 1, n, n);
    expect(index.memoryBytes).toBe(full);
    expect(index.count).toBe(50_000);
  });

  it('needs at most 64 bytes for a fragment', () => {
    const index = new FragmentIndex(1);
    const prng = new Prng(1);
    let worst = 0;
    for (let n = 1; n <= 400_000; n++) {
      index.set(prng.bytes(32), 1, n, n);
      if (n >= 100_000) worst = Math.max(worst, index.memoryBytes / n);
    }
    expect(worst).toBeLessThanOrEqual(64);
  });
});

describe('listing', () => {
  it('is in order across shards, changes and any distribution of names', () => {
    const prng = new Prng(3);
    const index = new FragmentIndex(5);
    const listing = new Listing(index, 0);
    const names = new Set<string>();
    for (let n = 0; n < 70_000; n++) {
      const name = n % 3 === 0 ? nameOf(n) : prng.bytes(32);
      names.add(name.toString('hex'));
      index.set(name, 1, n, n);
    }
    expect(listAll(listing, 10_000)).toEqual([...names].sort());
    const [first] = names;
    index.delete(Buffer.from(first!, 'hex'));
    names.delete(first!);
    expect(listAll(listing, 9_999)).toEqual([...names].sort());
  });

  it('begins after any name, known or not', () => {
    const index = new FragmentIndex(5);
    const listing = new Listing(index, 0);
    for (const n of [10, 20, 30]) index.set(nameOf(n), 1, 0, 0);
    const namesAfter = (n: number) =>
      listing.page(nameOf(n), 10).fragments.map(({ name }) => name.readUInt32BE(28));
    expect(namesAfter(0)).toEqual([10, 20, 30]);
    expect(namesAfter(10)).toEqual([20, 30]);
    expect(namesAfter(15)).toEqual([20, 30]);
    expect(namesAfter(30)).toEqual([]);
    expect(listing.page(Buffer.alloc(32, 0xff), 10).fragments).toEqual([]);
  });
});
