/**
 * What every MetadataEngine must do. `make` gives a fresh, empty engine. Ranges are compared with a naive model, by
 * property tests over keys that lie close together and use the extreme bytes.
 */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { BatchOperation, Cursor, KeyRange, MetadataEngine } from '../../src/metadata/engine.ts';

const b = (text: string) => Buffer.from(text, 'latin1');
const put = (key: string, value = key): BatchOperation => ({ type: 'put', key: b(key), value: b(value) });
const del = (key: string): BatchOperation => ({ type: 'del', key: b(key) });
const unsynced = { sync: false };
const synced = { sync: true };

async function drain(cursor: Cursor, step = 3): Promise<string[]> {
  const found: string[] = [];
  for (;;) {
    const entries = await cursor.next(step);
    if (entries.length === 0) return found;
    expect(entries.length).toBeLessThanOrEqual(step);
    for (const [key] of entries) found.push(key.toString('latin1'));
  }
}

async function keysIn(engine: MetadataEngine, range: KeyRange): Promise<string[]> {
  const cursor = engine.cursor(range);
  const found = await drain(cursor);
  await cursor.close();
  return found;
}

const keyArbitrary = fc
  .array(fc.constantFrom(0x00, 0x01, 0x61, 0x62, 0x7f, 0x80, 0xfe, 0xff), { minLength: 1, maxLength: 3 })
  .map((bytes) => Buffer.from(bytes));

function modelOf(keys: readonly Buffer[], range: KeyRange, seek?: Buffer): string[] {
  const distinct = [...new Map(keys.map((key) => [key.toString('latin1'), key])).values()];
  const inRange = distinct
    .filter((key) => !range.from || Buffer.compare(key, range.from) >= 0)
    .filter((key) => !range.to || Buffer.compare(key, range.to) < 0)
    .sort(Buffer.compare);
  if (range.reverse) inRange.reverse();
  const sought = inRange.filter((key) => {
    if (!seek) return true;
    return range.reverse ? Buffer.compare(key, seek) <= 0 : Buffer.compare(key, seek) >= 0;
  });
  return sought.slice(0, range.limit).map((key) => key.toString('latin1'));
}

const rangeArbitrary: fc.Arbitrary<KeyRange> = fc.record(
  {
    from: keyArbitrary,
    to: keyArbitrary,
    reverse: fc.boolean(),
    limit: fc.integer({ min: 0, max: 6 }),
  },
  { requiredKeys: [] },
);

export function metadataConformance(name: string, make: () => Promise<MetadataEngine>): void {
  describe(`metadata conformance: ${name}`, () => {
    let engine: MetadataEngine;
    const fresh = async () => {
      engine = await make();
      return engine;
    };
    afterEach(async () => engine.close());

    it('gets what was put, nothing for what was deleted or never there', async () => {
      await fresh();
      await engine.batch([put('a', '1'), put('b', '2')], synced);
      await engine.batch([del('a'), put('c', '3'), del('never')], unsynced);
      expect(await engine.get(b('a'))).toBeUndefined();
      const value = await engine.get(b('b'));
      expect(Buffer.isBuffer(value)).toBe(true);
      expect(value?.toString()).toBe('2');
      expect((await engine.getMany([b('c'), b('a'), b('b'), b('c')])).map((v) => v?.toString())).toEqual([
        '3',
        undefined,
        '2',
        '3',
      ]);
      expect(await engine.getMany([])).toEqual([]);
    });

    it('reads many keys at once in the order asked for', async () => {
      await fresh();
      const keys = Array.from({ length: 300 }, (_, i) => b(`key-${i}`));
      const even = keys.filter((_, i) => i % 2 === 0);
      await engine.batch(
        even.map((key) => ({ type: 'put', key, value: key })),
        synced,
      );
      const values = await engine.getMany(keys);
      expect(values.map((v) => v?.toString())).toEqual(
        keys.map((k, i) => (i % 2 ? undefined : k.toString())),
      );
    });

    it('takes the last of several operations on one key in a batch', async () => {
      await fresh();
      await engine.batch([put('a', '1'), del('a'), put('a', '2'), put('b'), del('b')], synced);
      expect((await engine.get(b('a')))?.toString()).toBe('2');
      expect(await engine.get(b('b'))).toBeUndefined();
    });

    it('keeps empty values apart from absent ones', async () => {
      await fresh();
      await engine.batch([put('empty', '')], synced);
      expect(await engine.get(b('empty'))).toEqual(Buffer.alloc(0));
      const cursor = engine.cursor({});
      expect(await cursor.next(2)).toEqual([[b('empty'), Buffer.alloc(0)]]);
      await cursor.close();
    });

    it('keeps large values whole', async () => {
      await fresh();
      const value = Buffer.alloc(3 * 1024 * 1024, 'holdfast');
      await engine.batch([{ type: 'put', key: b('large'), value }, put('small')], synced);
      expect((await engine.get(b('large')))?.equals(value)).toBe(true);
      expect(await keysIn(engine, {})).toEqual(['large', 'small']);
    });

    it('orders by unsigned bytes, shorter before longer', async () => {
      await fresh();
      const keys = [
        '\xff\xff',
        '\x00',
        '\x80',
        'a',
        'a\x00',
        '\x7f',
        '\xff',
        'ab',
        '\x00\x00',
        '\x00\xff',
        'aa',
      ];
      await engine.batch(
        keys.map((key) => put(key)),
        synced,
      );
      const sorted = keys
        .map(b)
        .sort(Buffer.compare)
        .map((key) => key.toString('latin1'));
      expect(await keysIn(engine, {})).toEqual(sorted);
      expect(await keysIn(engine, { reverse: true })).toEqual(sorted.toReversed());
    });

    it('walks every range as a sorted list would be', async () => {
      await fresh();
      await fc.assert(
        fc.asyncProperty(fc.array(keyArbitrary, { maxLength: 20 }), rangeArbitrary, async (keys, range) => {
          await engine.batch(
            keys.map((key) => ({ type: 'put', key, value: key })),
            unsynced,
          );
          expect(await keysIn(engine, range)).toEqual(modelOf(keys, range));
          await engine.batch(
            keys.map((key) => ({ type: 'del', key })),
            unsynced,
          );
        }),
        { numRuns: 150 },
      );
    });

    it('seeks in both directions, from anywhere to anywhere, inside the range', async () => {
      await fresh();
      const property = fc.asyncProperty(
        fc.array(keyArbitrary, { maxLength: 20 }),
        rangeArbitrary.map(({ limit: _, ...range }) => range),
        fc.array(keyArbitrary, { minLength: 1, maxLength: 4 }),
        fc.nat(4),
        async (keys, range, targets, before) => {
          await engine.batch(
            keys.map((key) => ({ type: 'put', key, value: key })),
            unsynced,
          );
          const cursor = engine.cursor(range);
          if (before > 0) await cursor.next(before);
          for (const target of targets) {
            cursor.seek(target);
            expect(await drain(cursor)).toEqual(modelOf(keys, range, target));
          }
          await cursor.close();
          await engine.batch(
            keys.map((key) => ({ type: 'del', key })),
            unsynced,
          );
        },
      );
      await fc.assert(property, { numRuns: 150 });
    });

    it('counts the limit over seeks', async () => {
      await fresh();
      await engine.batch(
        ['a', 'b', 'c', 'd', 'e'].map((key) => put(key)),
        synced,
      );
      const cursor = engine.cursor({ limit: 3 });
      expect((await cursor.next(2)).length).toBe(2);
      cursor.seek(b('d'));
      expect(await drain(cursor)).toEqual(['d']);
      await cursor.close();
    });

    it('shows a cursor the moment it was opened', async () => {
      await fresh();
      await engine.batch(
        ['a', 'b', 'c'].map((key) => put(key, 'old')),
        synced,
      );
      const cursor = engine.cursor({});
      await engine.batch([put('a', 'new'), del('b'), put('bb'), put('d')], synced);
      const first = await cursor.next(1);
      expect(first.map(([key, value]) => `${key}=${value}`)).toEqual(['a=old']);
      await engine.batch([del('c')], synced);
      cursor.seek(b('b'));
      expect(await drain(cursor)).toEqual(['b', 'c']);
      await cursor.close();
      expect(await keysIn(engine, {})).toEqual(['a', 'bb', 'd']);
    });

    it('shows no reader half a batch', async () => {
      await fresh();
      let done = false;
      const writer = (async () => {
        for (let i = 0; i < 50; i++) {
          await engine.batch(
            ['a', 'm', 'z'].map((key) => put(key, String(i))),
            unsynced,
          );
        }
        done = true;
      })();
      while (!done) {
        const cursor = engine.cursor({});
        const values = new Set((await cursor.next(3)).map(([, value]) => value.toString()));
        expect(values.size).toBeLessThanOrEqual(1);
        await cursor.close();
      }
      await writer;
    });

    it('writes batches in the order they were given', async () => {
      await fresh();
      await Promise.all(Array.from({ length: 40 }, (_, i) => engine.batch([put('k', String(i))], synced)));
      expect((await engine.get(b('k')))?.toString()).toBe('39');
    });

    it('takes an empty batch, and compacts without changing anything', async () => {
      await fresh();
      await engine.batch([], synced);
      await engine.batch(
        ['a', 'b', 'c', 'd'].map((key) => put(key)),
        synced,
      );
      await engine.batch([del('b'), del('c')], synced);
      await engine.compact(b('b'), b('d'));
      expect(await keysIn(engine, {})).toEqual(['a', 'd']);
    });

    it('gives a cursor that may be closed early and twice', async () => {
      await fresh();
      await engine.batch([put('a'), put('b')], synced);
      const cursor = engine.cursor({});
      await cursor.next(1);
      await cursor.close();
      await cursor.close();
    });

    it('refuses everything once closed', async () => {
      await fresh();
      await engine.close();
      await expect(engine.get(b('a'))).rejects.toMatchObject({ code: 'ShuttingDown' });
      await expect(engine.batch([put('a')], synced)).rejects.toMatchObject({ code: 'ShuttingDown' });
    });
  });
}
