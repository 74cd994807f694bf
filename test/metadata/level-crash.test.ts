/**
 * The real LevelDB after a crash: copies of a database whose log is cut at and around every record. Each opens and shows
 * a prefix of the synced batches, whole ones only, as long as what is left of the log allows. Log format: LevelDB's
 * doc/log_format.md (32-KiB blocks; records of crc32c u32, length u16, type u8 and data).
 */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LevelEngine, openLevel } from '../../src/metadata/level.ts';
import { Prng } from '../simulation/prng.ts';

const BLOCK_BYTES = 32 * 1024;
const HEADER_BYTES = 7;
const FULL = 1;
const LAST = 4;
const BATCHES = 40;

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-level-'));
});

afterAll(async () => rm(directory, { recursive: true, force: true }));

/** Offsets at which physical records end, and how many batches are whole at each. */
function recordEnds(log: Buffer): { offset: number; wholeBatches: number }[] {
  const ends: { offset: number; wholeBatches: number }[] = [];
  let wholeBatches = 0;
  for (let at = 0; at + HEADER_BYTES <= log.length; ) {
    const leftInBlock = BLOCK_BYTES - (at % BLOCK_BYTES);
    if (leftInBlock < HEADER_BYTES) {
      at += leftInBlock;
      continue;
    }
    const type = log[at + 6];
    at += HEADER_BYTES + log.readUInt16LE(at + 4);
    if (type === FULL || type === LAST) wholeBatches += 1;
    ends.push({ offset: at, wholeBatches });
  }
  return ends;
}

/** Every batch writes its number under `count` and one key of its own, some larger than a block. */
async function writeBatches(engine: LevelEngine, prng: Prng): Promise<void> {
  for (let i = 1; i <= BATCHES; i++) {
    const value = Buffer.alloc(prng.chance(0.1) ? 70_000 : prng.between(0, 400), i);
    await engine.batch(
      [
        { type: 'put', key: Buffer.from('count'), value: Buffer.from([i]) },
        { type: 'put', key: Buffer.from(`batch-${String(i).padStart(3, '0')}`), value },
      ],
      { sync: true },
    );
  }
}

async function assertPrefix(path: string, wholeBatches: number, what: string): Promise<void> {
  const engine = await openLevel(path);
  const count = (await engine.get(Buffer.from('count')))?.[0] ?? 0;
  expect(count, what).toBe(wholeBatches);
  const cursor = engine.cursor({ from: Buffer.from('batch-'), to: Buffer.from('batch.') });
  const entries = await cursor.next(BATCHES + 1);
  await cursor.close();
  expect(entries.length, what).toBe(wholeBatches);
  for (const [key, value] of entries) {
    const number = Number(key.subarray(6).toString());
    expect(value.every((byte) => byte === number)).toBe(true);
  }
  await engine.batch([{ type: 'put', key: Buffer.from('after'), value: Buffer.alloc(1) }], { sync: true });
  await engine.close();
}

describe('LevelDB after a power cut', () => {
  it('opens with its log cut anywhere and shows exactly the batches before the cut', async () => {
    const seed = Date.now() % 2 ** 32;
    const prng = new Prng(seed);
    const original = join(directory, 'original');
    const engine = await openLevel(original);
    await writeBatches(engine, prng);
    await engine.close();

    const logName = (await readdir(original)).find((name) => name.endsWith('.log')) as string;
    const log = await readFile(join(original, logName));
    const ends = recordEnds(log);
    expect(ends.at(-1)).toEqual({ offset: log.length, wholeBatches: BATCHES });

    const cuts = new Set([0, 1, log.length]);
    for (const { offset } of ends) for (const by of [-1, 0, 1, HEADER_BYTES]) cuts.add(offset + by);
    for (let i = 0; i < 20; i++) cuts.add(prng.below(log.length));
    let copies = 0;
    for (const cut of [...cuts].filter((offset) => offset <= log.length)) {
      const copy = join(directory, `cut-${copies++}`);
      await mkdir(copy);
      await cp(original, copy, { recursive: true });
      await writeFile(join(copy, logName), log.subarray(0, cut));
      const wholeBatches = ends.findLast(({ offset }) => offset <= cut)?.wholeBatches ?? 0;
      await assertPrefix(copy, wholeBatches, `seed ${seed}, cut at ${cut}`);
      await rm(copy, { recursive: true });
    }
    expect(copies).toBeGreaterThan(BATCHES * 3);
  });

  it('opens when the tail behind the last synced batch is zeros or noise', async () => {
    const seed = Date.now() % 2 ** 32;
    const prng = new Prng(seed);
    for (const tail of [Buffer.alloc(5000), prng.bytes(5000), Buffer.alloc(100_000)]) {
      const path = await mkdtemp(join(directory, 'tail-'));
      const engine = await openLevel(path);
      await writeBatches(engine, prng);
      await engine.close();
      const logName = (await readdir(path)).find((name) => name.endsWith('.log')) as string;
      const log = await readFile(join(path, logName));
      await writeFile(join(path, logName), Buffer.concat([log, tail]));
      await assertPrefix(path, BATCHES, `seed ${seed}`);
    }
  });
});
