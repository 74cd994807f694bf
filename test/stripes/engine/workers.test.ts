import { performance } from 'node:perf_hooks';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ThreadPool } from '../../../src/stripes/engine/pool.ts';
import { Thread } from '../../../src/stripes/engine/thread.ts';
import { WorkerEngine } from '../../../src/stripes/engine/workers.ts';
import { stripePlaintextBytesMax } from '../../../src/stripes/shape.ts';
import { patternBytes } from '../../conformance/codec.ts';
import { engineConformance, fillRuns, sharedCopy } from '../../conformance/engine.ts';

const profile = { k: 4, m: 2, codecId: 1 };
const open: { close(): Promise<void> }[] = [];

function makePool(threads: number): ThreadPool {
  const pool = new ThreadPool(threads);
  open.push(pool);
  return pool;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

engineConformance('the worker engine', () => new WorkerEngine({ profile, threads: 2 }));

describe('the worker engine', () => {
  const big = sharedCopy(patternBytes(8_000_000, 1));
  /** Takes long enough, also with native kernels, for a test to step in. */
  const bigHash = () => ({ kind: 'hash', views: new Array<Uint8Array>(32).fill(big) }) as const;

  test('can be closed while its threads still load native modules, without taking the process along', async () => {
    for (const delayMs of [0, 60, 90, 120]) {
      const pool = new ThreadPool(2);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      await pool.close();
    }
  });

  test('posts nothing and holds no thread for a body of which no digest is asked for', async () => {
    const pinned = vi.spyOn(ThreadPool.prototype, 'pin');
    const posted = vi.spyOn(Thread.prototype, 'send');
    const engine = new WorkerEngine({ profile, threads: 1 });
    open.push(engine);
    const digester = engine.createDigester([]);
    for (const piece of [patternBytes(1_000_000, 1), sharedCopy(patternBytes(1_000_000, 2))]) {
      await digester.update(piece);
    }
    await digester.digest();
    engine.createDigester([]).abandon();
    expect([pinned.mock.calls.length, posted.mock.calls.length]).toEqual([0, 0]);
    vi.restoreAllMocks();
  });

  test('leaves the event loop free while it seals', async () => {
    const engine = new WorkerEngine({ profile, threads: 1 });
    open.push(engine);
    const buffer = await engine.acquireWrite();
    const runs = fillRuns(buffer, [{ lengthBytes: stripePlaintextBytesMax(4), final: false }]);
    await engine.seal(buffer, runs, profile);
    const before = performance.eventLoopUtilization();
    const start = performance.now();
    for (let i = 0; i < 8; i++) await engine.seal(buffer, runs, profile);
    const busyMs = performance.eventLoopUtilization(before).active;
    expect(busyMs).toBeLessThan((performance.now() - start) / 2);
  });

  test('takes back a job that has not started, and runs one that has to its end', async () => {
    const pool = makePool(1);
    const abort = new AbortController();
    const running = pool.run(bigHash(), abort.signal);
    const waiting = pool.run(bigHash(), abort.signal);
    abort.abort(new Error('no longer wanted'));
    await expect(waiting).rejects.toThrow('no longer wanted');
    expect(await running).toHaveLength(32 * 32);
  });

  test('finishes what runs and refuses what waits when it is closed', async () => {
    const pool = makePool(1);
    const running = pool.run(bigHash());
    const waiting = pool.run(bigHash());
    const refused = expect(waiting).rejects.toMatchObject({ code: 'ShuttingDown' });
    await pool.close();
    await refused;
    expect(await running).toHaveLength(32 * 32);
    await expect(pool.run(bigHash())).rejects.toMatchObject({ code: 'ShuttingDown' });
  });

  test('refuses more jobs than its bound', async () => {
    const pool = makePool(1);
    const jobs = Array.from({ length: 4200 }, () => pool.run({ kind: 'hash', views: [] }));
    const outcomes = await Promise.allSettled(jobs);
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused).toHaveLength(4200 - 4096);
    expect(refused[0]).toMatchObject({ reason: { code: 'SlowDown' } });
  });

  test('fails the jobs of a thread that dies, and replaces it', async () => {
    const pool = makePool(1);
    await pool.run(bigHash());
    const thread = pool.pin();
    await pool.runOn(thread, 1, { kind: 'digestUpdate', digester: 1, algorithms: [], pieces: [] });
    const running = pool.run(bigHash());
    const pinned = pool.runOn(thread, 1, { kind: 'digestFinish', digester: 1 });
    const failures = Promise.all([
      expect(running).rejects.toMatchObject({ code: 'InternalError' }),
      expect(pinned).rejects.toMatchObject({ code: 'InternalError' }),
    ]);
    thread.kill();
    await failures;
    expect(await pool.run(bigHash())).toHaveLength(32 * 32);
    expect(pool.threadIds).toHaveLength(1);
    await expect(pool.runOn(thread, 1, { kind: 'digestFinish', digester: 1 })).rejects.toMatchObject({
      code: 'InternalError',
    });
  });

  test('keeps jobs of one lane in order, on one thread', async () => {
    const pool = makePool(2);
    const thread = pool.pin();
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        pool
          .runOn(thread, 7, {
            kind: 'digestUpdate',
            digester: 7,
            algorithms: [],
            pieces: [patternBytes(10, i)],
          })
          .then(() => order.push(i)),
      ),
    );
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(thread).toBeInstanceOf(Thread);
  });

  test('spreads digests over its threads', async () => {
    const pool = makePool(2);
    const threads = [pool.pin(), pool.pin(), pool.pin(), pool.pin()];
    expect(new Set(threads).size).toBe(2);
    expect(threads.filter((thread) => thread === threads[0])).toHaveLength(2);
  });
});
