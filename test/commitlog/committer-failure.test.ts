/** A committer whose slots cannot be written, and power cuts under load. */
import { describe, expect, it } from 'vitest';
import type { CommitOperation } from '../../src/commitlog/commit.ts';
import { SlotCommitter } from '../../src/commitlog/committer.ts';
import { engineSlotWriter, readApplied, type SlotWriter } from '../../src/commitlog/slot.ts';
import { openTerm } from '../../src/commitlog/term.ts';
import { decodeCounter } from '../../src/metadata/counter.ts';
import type { BatchOperation } from '../../src/metadata/engine.ts';
import { SimulatedClock } from '../simulation/clock.ts';
import { SimulatedMetadata } from '../simulation/metadata.ts';
import { Prng } from '../simulation/prng.ts';

const key = (name: string) => Buffer.from(name);
const put = (name: string, value = name): CommitOperation => ({
  type: 'put',
  key: key(name),
  value: key(value),
});
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Lets simulated time pass until `promise` settles. */
async function passUntil<T>(clock: SimulatedClock, promise: Promise<T>): Promise<T> {
  let settled = false;
  promise.finally(() => (settled = true)).catch(() => undefined);
  while (!settled) {
    await turn();
    if (!settled) await clock.advance(5);
  }
  return promise;
}

function start(seed = 1) {
  const engine = new SimulatedMetadata(seed, { duringBatch: turn });
  const clock = new SimulatedClock();
  const written: { counter: number; operations: readonly BatchOperation[] }[] = [];
  const inner = engineSlotWriter(engine);
  const writer: SlotWriter = {
    write: (slot, operations) => {
      written.push({ counter: slot.counter, operations });
      return inner.write(slot, operations);
    },
  };
  const committer = new SlotCommitter({ engine, writer, clock, token: { term: 1, start: 1 } });
  return { engine, clock, committer, written };
}

describe('a slot that cannot be written', () => {
  it('is written again, the same slot with the same operations, until it succeeds', async () => {
    const { engine, clock, committer, written } = start();
    engine.failBatches(5);
    const first = committer.commit([put('a'), { type: 'add', key: key('n'), delta: 1 }]);
    expect((await passUntil(clock, first)).slot.counter).toBe(1);
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(10 + 20 + 40 + 80 + 160);
    expect(written.length).toBe(6);
    expect(new Set(written.map(({ operations }) => operations)).size).toBe(1);
    expect(decodeCounter(await engine.get(key('n')))).toBe(1);
  });

  it('refuses other commits meanwhile, for good, lets reads go on, and skips no slot', async () => {
    const { engine, clock, committer } = start();
    await committer.commit([put('old')]);
    engine.failBatches(1);
    const failing = committer.commit([put('a')]);
    await turn();
    const gathered = committer.commit([put('a', 'gathered'), put('b')]);
    const refusal = expect(gathered).rejects.toMatchObject({ code: 'ServiceUnavailable' });
    await turn();
    await turn();
    await refusal;
    expect(committer.stalled).toBe(true);
    await expect(committer.commit([put('c')])).rejects.toMatchObject({ code: 'ServiceUnavailable' });
    expect((await engine.get(key('old')))?.toString()).toBe('old');
    expect((await committer.peek(key('a')))?.toString()).toBe('a');
    expect(await committer.peek(key('b'))).toBeUndefined();
    expect((await passUntil(clock, failing)).slot.counter).toBe(2);
    expect(committer.stalled).toBe(false);
    expect((await committer.commit([put('d')], [{ key: key('b'), expect: undefined }])).slot.counter).toBe(3);
    expect((await engine.get(key('a')))?.toString()).toBe('a');
    expect(committer.load).toEqual({ waitingCommits: 0, overlayKeys: 0 });
  });

  it('refuses commits whose reads were under way, also when it recovers before these end', async () => {
    const { engine, clock, committer } = start();
    engine.failBatches(1);
    const failing = committer.commit([put('a')]);
    await Promise.resolve();
    let answerReads = () => {};
    const getMany = engine.getMany.bind(engine);
    engine.getMany = async (keys) => {
      await new Promise<void>((resolve) => (answerReads = resolve));
      return getMany(keys);
    };
    const reading = committer.commit([put('b')], [{ key: key('b'), expect: undefined }]);
    const refusal = expect(reading).rejects.toMatchObject({ code: 'ServiceUnavailable' });
    await turn();
    await turn();
    await refusal;
    await passUntil(clock, failing);
    engine.getMany = getMany;
    const later = committer.commit([put('c')], [{ key: key('c'), expect: undefined }]);
    answerReads();
    await later;
    expect(await engine.get(key('b'))).toBeUndefined();
    expect((await engine.get(key('c')))?.toString()).toBe('c');
  });

  it('gets one last attempt at close, and stays undecided when that fails', async () => {
    const { engine, committer } = start();
    engine.failBatches(100);
    let settled = false;
    const stuck = committer.commit([put('a')]).finally(() => (settled = true));
    stuck.catch(() => undefined);
    await turn();
    await turn();
    await expect(committer.close()).rejects.toMatchObject({
      code: 'ServiceUnavailable',
      message: expect.stringContaining('1 commits could not be written'),
    });
    expect(settled).toBe(false);
  });

  it('closes well when the last attempt succeeds', async () => {
    const { engine, committer } = start();
    engine.failBatches(1);
    const stuck = committer.commit([put('a')]);
    await turn();
    await turn();
    await committer.close();
    await stuck;
    expect((await engine.get(key('a')))?.toString()).toBe('a');
  });
});

describe('terms', () => {
  it('grow with every start, above the metadata and above the nodes, and survive a power cut', async () => {
    const random = new Prng(5);
    const engine = new SimulatedMetadata(5);
    expect((await openTerm(engine, 0, random)).term).toBe(1);
    expect((await openTerm(engine, 0, random)).term).toBe(2);
    const third = await openTerm(engine, 10, random);
    expect(third.term).toBe(11);
    const after = engine.powerCut();
    const fourth = await openTerm(after, 4, random);
    expect(fourth.term).toBe(12);
    expect(fourth.start).not.toBe(third.start);
  });
});

/** Each commit writes two keys and counts itself, some after failures; the power goes at some batch. */
async function runUntilPowerCut(seed: number): Promise<void> {
  const prng = new Prng(seed);
  const cutAtBatch = prng.between(1, 12);
  let cut = () => {};
  const over = new Promise<void>((resolve) => (cut = resolve));
  const options = {
    duringBatch: async () => {
      if (engine.batches >= cutAtBatch) {
        cut();
        await new Promise(() => undefined);
      }
      for (let i = prng.below(3); i > 0; i--) await turn();
    },
  };
  const engine = new SimulatedMetadata(seed, options);
  const clock = new SimulatedClock();
  const token = { term: 1, start: 1 };
  const committer = new SlotCommitter({ engine, writer: engineSlotWriter(engine), clock, token });
  const acknowledged: { name: string; counter: number }[] = [];
  const attempted: string[] = [];
  const refused: string[] = [];
  const client = async (id: number) => {
    for (let n = 0; ; n++) {
      const name = `${id}-${n}`;
      attempted.push(name);
      await committer
        .commit([put(`x${name}`), { type: 'add', key: key('n'), delta: 1 }, put(`y${name}`)])
        .then(
          ({ slot }) => acknowledged.push({ name, counter: slot.counter }),
          () => refused.push(name),
        );
      await turn();
    }
  };
  for (let id = 0; id < 8; id++) void client(id);
  if (prng.chance(0.5)) engine.failBatches(prng.below(3));
  const ticking = setInterval(() => void clock.advance(10), 0);
  await over;
  clearInterval(ticking);

  const after = engine.powerCut();
  let present = 0;
  for (const name of attempted) {
    const x = await after.get(key(`x${name}`));
    const y = await after.get(key(`y${name}`));
    expect(x === undefined, 'commits are whole').toBe(y === undefined);
    if (x) present += 1;
  }
  for (const { name } of acknowledged) expect(await after.get(key(`x${name}`)), name).toBeDefined();
  for (const name of refused) expect(await after.get(key(`x${name}`)), name).toBeUndefined();
  expect(decodeCounter(await after.get(key('n')))).toBe(present);
  const applied = (await readApplied(after))?.counter ?? 0;
  expect(applied).toBeGreaterThanOrEqual(Math.max(0, ...acknowledged.map(({ counter }) => counter)));
}

describe('a power cut', () => {
  it('leaves every acknowledged commit, whole, and none that was refused', async () => {
    const base = Date.now() % 2 ** 31;
    for (let i = 0; i < 150; i++) {
      try {
        await runUntilPowerCut(base + i);
      } catch (error) {
        throw new Error(`seed ${base + i}`, { cause: error });
      }
    }
  });
});
