/** Compaction after mass deletes: when, where, how often; and on LevelDB, what it does for a walk. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DELETES_MAX, DeletedRangeTracker } from '../../src/metadata/compaction.ts';
import type { MetadataEngine } from '../../src/metadata/engine.ts';
import { openLevel } from '../../src/metadata/level.ts';
import { SimulatedMetadata } from '../simulation/metadata.ts';

const groupId = Buffer.from('bucket');
const keyOf = (i: number) => Buffer.from(`key-${String(i).padStart(8, '0')}`);
const fail = (error: unknown) => {
  throw error;
};

async function fill(engine: MetadataEngine, count: number): Promise<void> {
  for (let i = 0; i < count; i += 10_000) {
    const keys = Array.from({ length: Math.min(10_000, count - i) }, (_, j) => keyOf(i + j));
    await engine.batch(
      keys.map((key) => ({ type: 'put', key, value: Buffer.alloc(300, 1) })),
      { sync: false },
    );
  }
}

async function remove(
  engine: MetadataEngine,
  tracker: DeletedRangeTracker,
  numbers: number[],
): Promise<void> {
  for (let i = 0; i < numbers.length; i += 10_000) {
    const keys = numbers.slice(i, i + 10_000).map(keyOf);
    await engine.batch(
      keys.map((key) => ({ type: 'del', key })),
      { sync: false },
    );
    for (const key of keys) tracker.deleted(groupId, key);
  }
}

const range = (from: number, to: number, step = 1) =>
  Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => from + i * step);

describe('compaction after deletes', () => {
  it('covers the deleted range once there were enough deletes, not before', async () => {
    const engine = new SimulatedMetadata(1);
    const tracker = new DeletedRangeTracker(engine, fail);
    await fill(engine, 30_000);
    await remove(engine, tracker, range(5000, 5000 + DELETES_MAX - 1));
    await tracker.idle();
    expect(engine.compactions).toEqual([]);
    await remove(engine, tracker, [5000 + DELETES_MAX - 1]);
    await tracker.idle();
    const last = keyOf(5000 + DELETES_MAX - 1);
    expect(engine.compactions).toEqual([[keyOf(5000), Buffer.concat([last, Buffer.alloc(1)])]]);
    expect(engine.openCursors).toBe(0);
  });

  it('leaves alone what is mostly alive, and finds the dense part beside it', async () => {
    const engine = new SimulatedMetadata(1);
    const tracker = new DeletedRangeTracker(engine, fail);
    await fill(engine, 100_000);
    await remove(engine, tracker, range(0, 100_000, 10));
    await tracker.idle();
    expect(engine.compactions).toEqual([]);

    await remove(engine, tracker, [...range(20_001, 20_000 + DELETES_MAX - 1), 1, 99_999]);
    await tracker.idle();
    expect(engine.compactions.length).toBe(1);
    const [from, to] = engine.compactions[0] ?? [];
    expect(Number(from?.subarray(4).toString())).toBeLessThan(20_200);
    expect(Number(to?.subarray(4, 12).toString())).toBeGreaterThan(29_800);
    expect(Number(to?.subarray(4, 12).toString())).toBeLessThan(30_200);
  });

  it('runs one compaction at a time, counts groups apart, and stops at close', async () => {
    const engine = new SimulatedMetadata(1);
    let running = 0;
    let runningMax = 0;
    engine.compact = async () => {
      runningMax = Math.max(runningMax, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
    };
    const tracker = new DeletedRangeTracker(engine, fail);
    for (let i = 0; i < DELETES_MAX * 3; i++) tracker.deleted(Buffer.from([i % 3]), keyOf(i));
    await tracker.idle();
    expect(runningMax).toBe(1);
    await tracker.close();
  });

  it('reports a compaction that fails and goes on counting', async () => {
    const engine = new SimulatedMetadata(1);
    const errors: unknown[] = [];
    const tracker = new DeletedRangeTracker(engine, (error) => errors.push(error));
    engine.compact = () => Promise.reject(new Error('disk'));
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < DELETES_MAX; i++) tracker.deleted(groupId, keyOf(i));
      await tracker.idle();
    }
    expect(errors.length).toBe(2);
  });

  it('makes the first entry behind 200,000 deleted keys near again', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-compaction-'));
    const engine = await openLevel(directory);
    const tracker = new DeletedRangeTracker(engine, fail);
    await fill(engine, 210_000);
    await remove(engine, tracker, range(0, 200_000));
    const firstMs = async () => {
      const begunMs = performance.now();
      const cursor = engine.cursor({});
      const [entry] = await cursor.next(1);
      await cursor.close();
      expect(entry?.[0]).toEqual(keyOf(200_000));
      return performance.now() - begunMs;
    };
    const beforeMs = await firstMs();
    await tracker.idle();
    const afterMs = await firstMs();
    console.log(`first entry: ${beforeMs.toFixed(1)} ms while compacting, ${afterMs.toFixed(1)} ms after`);
    await tracker.close();
    await engine.close();
    await rm(directory, { recursive: true });
  });
});
