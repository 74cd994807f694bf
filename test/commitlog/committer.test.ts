/** The committer over the simulated metadata: order, conflicts, grouping, counters, visibility, limits. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { CommitOperation, Precondition } from '../../src/commitlog/commit.ts';
import { COMMITS_WAITING_MAX, SLOT_COMMITS_MAX, SlotCommitter } from '../../src/commitlog/committer.ts';
import { engineSlotWriter, readApplied } from '../../src/commitlog/slot.ts';
import { decodeCounter } from '../../src/metadata/counter.ts';
import { SimulatedMetadata } from '../simulation/metadata.ts';
import { Prng } from '../simulation/prng.ts';

const key = (name: string) => Buffer.from(name);
const put = (name: string, value = name): CommitOperation => ({
  type: 'put',
  key: key(name),
  value: key(value),
});
const del = (name: string): CommitOperation => ({ type: 'del', key: key(name) });
const add = (name: string, delta: number): CommitOperation => ({ type: 'add', key: key(name), delta });
const absent = (name: string): Precondition => ({ key: key(name), expect: undefined });
const equals = (name: string, value: string): Precondition => ({ key: key(name), expect: key(value) });
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A gate that holds batches until it is opened. */
function held() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open: () => open(), duringBatch: () => opened };
}

function start(duringBatch?: () => Promise<void>) {
  const engine = new SimulatedMetadata(1, duringBatch ? { duringBatch } : {});
  const committer = new SlotCommitter({
    engine,
    writer: engineSlotWriter(engine),
    clock: systemClock,
    token: { term: 3, start: 77 },
  });
  return { engine, committer };
}

describe('committer', () => {
  it('answers with dense slots and leaves the newest in the metadata', async () => {
    const { engine, committer } = start();
    for (let counter = 1; counter <= 3; counter++) {
      const { slot } = await committer.commit([put('a', String(counter))]);
      expect(slot).toEqual({ term: 3, start: 77, counter });
      expect(await readApplied(engine)).toEqual(slot);
    }
  });

  it('puts everything that comes while a slot is in flight into the next', async () => {
    const gate = held();
    const { engine, committer } = start(gate.duringBatch);
    const first = committer.commit([put('a')]);
    await turn();
    const others = Array.from({ length: 100 }, (_, i) => committer.commit([put(`k${i}`)]));
    await turn();
    gate.open();
    expect((await first).slot.counter).toBe(1);
    expect(new Set((await Promise.all(others)).map(({ slot }) => slot.counter))).toEqual(new Set([2]));
    expect(engine.batches).toBe(2);
  });

  it('decides in order of arrival, against earlier commits of the same slot too', async () => {
    const { engine, committer } = start();
    const results = await Promise.allSettled([
      committer.commit([put('a', '1')], [absent('a')]),
      committer.commit([put('a', '2')], [absent('a')]),
      committer.commit([put('a', '3')], [equals('a', '1')]),
      committer.commit([del('a')], [equals('a', '3')]),
      committer.commit([put('b')], [equals('a', '3')]),
      committer.commit([put('a', '4')], [absent('a')]),
    ]);
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
    expect(results[1]).toMatchObject({ reason: { code: 'CommitConflict' } });
    expect((await engine.get(key('a')))?.toString()).toBe('4');
    expect(await engine.get(key('b'))).toBeUndefined();
  });

  it('changes nothing when one of several preconditions fails', async () => {
    const { engine, committer } = start();
    await committer.commit([put('a')]);
    const late = committer.commit([put('c'), add('n', 1)], [equals('a', 'a'), equals('b', 'b')]);
    await expect(late).rejects.toMatchObject({ code: 'CommitConflict' });
    expect(await engine.get(key('c'))).toBeUndefined();
    expect(await committer.peek(key('n'))).toBeUndefined();
  });

  it('resolves counters in order and writes each once a slot', async () => {
    const { engine, committer } = start();
    await committer.commit([add('n', 5)]);
    const results = await Promise.all([
      committer.commit([add('n', 10), add('m', -1), add('n', 1)]),
      committer.commit([add('n', -16)]),
      committer.commit([del('n'), add('n', 2)]),
    ]);
    expect(results.map(({ counters }) => counters)).toEqual([[15, -1, 16], [0], [2]]);
    expect(decodeCounter(await engine.get(key('n')))).toBe(2);
    expect(decodeCounter(await engine.get(key('m')))).toBe(-1);
    await committer.commit([add('m', 1)]);
    expect(await engine.get(key('m'))).toEqual(Buffer.alloc(8));
  });

  it('shows what is in flight to peek, and to readers only once it is durable', async () => {
    const gate = held();
    const { engine, committer } = start(gate.duringBatch);
    const done = committer.commit([put('a', 'new'), del('gone')]);
    await turn();
    expect((await committer.peek(key('a')))?.toString()).toBe('new');
    expect(await engine.get(key('a'))).toBeUndefined();
    expect(committer.load.overlayKeys).toBe(2);
    gate.open();
    await done;
    expect((await engine.get(key('a')))?.toString()).toBe('new');
    expect((await committer.peek(key('a')))?.toString()).toBe('new');
    expect(committer.load).toEqual({ waitingCommits: 0, overlayKeys: 0 });
  });

  it('keeps a key in the overlay until the last slot that wrote it is durable', async () => {
    let gate = held();
    const { committer } = start(() => gate.duringBatch());
    const first = committer.commit([put('a', '1'), put('b', '1')]);
    await turn();
    const second = committer.commit([put('a', '2')]);
    await turn();
    const firstGate = gate;
    gate = held();
    firstGate.open();
    await first;
    await turn();
    expect(committer.load.overlayKeys).toBe(1);
    expect((await committer.peek(key('a')))?.toString()).toBe('2');
    gate.open();
    await second;
    expect(committer.load.overlayKeys).toBe(0);
  });

  it('cuts slots at their limits of commits and bytes, and gives a larger commit a slot of its own', async () => {
    const { engine, committer } = start();
    const many = Array.from({ length: SLOT_COMMITS_MAX + 1 }, (_, i) => committer.commit([put(`k${i}`)]));
    const counters = (await Promise.all(many)).map(({ slot }) => slot.counter);
    expect(counters.filter((counter) => counter === 1).length).toBe(SLOT_COMMITS_MAX);
    expect(engine.batches).toBe(2);

    const value = Buffer.alloc(400 * 1024);
    const large = Array.from({ length: 5 }, (_, i) =>
      committer.commit([{ type: 'put', key: key(`l${i}`), value }]),
    );
    const huge = committer.commit([{ type: 'put', key: key('h'), value: Buffer.alloc(3 * 1024 * 1024) }]);
    const after = committer.commit([put('after')]);
    const slots = (await Promise.all([...large, huge, after])).map(({ slot }) => slot.counter - 2);
    expect(slots).toEqual([1, 1, 2, 2, 3, 4, 5]);
  });

  it('bounds what waits', async () => {
    const gate = held();
    const { committer } = start(gate.duringBatch);
    const first = committer.commit([put('first')]);
    await turn();
    const accepted = Array.from({ length: SLOT_COMMITS_MAX }, () => committer.commit([add('n', 1)]));
    await turn();
    for (let i = 0; i < COMMITS_WAITING_MAX; i++) accepted.push(committer.commit([add('n', 1)]));
    await expect(committer.commit([add('n', 1)])).rejects.toMatchObject({ code: 'SlowDown' });
    gate.open();
    await Promise.all([first, ...accepted]);
    expect(decodeCounter(await committer.peek(key('n')))).toBe(SLOT_COMMITS_MAX + COMMITS_WAITING_MAX);
    expect(committer.load).toEqual({ waitingCommits: 0, overlayKeys: 0 });
  });

  it('bounds the bytes that wait', async () => {
    const gate = held();
    const { committer } = start(gate.duringBatch);
    const value = Buffer.alloc(4 * 1024 * 1024);
    const results = Array.from({ length: 40 }, (_, i) =>
      committer.commit([{ type: 'put', key: key(`k${i}`), value }]),
    );
    const settled = Promise.allSettled(results);
    gate.open();
    const refused = (await settled).filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(20);
    expect(refused[0]).toMatchObject({ reason: { code: 'SlowDown' } });
  });

  it('drains what was accepted before it closes, and takes no more', async () => {
    const { engine, committer } = start(turn);
    const accepted = Array.from({ length: 2000 }, (_, i) => committer.commit([put(`k${i}`)]));
    const closed = committer.close();
    await expect(committer.commit([put('late')])).rejects.toMatchObject({ code: 'ShuttingDown' });
    await closed;
    await Promise.all(accepted);
    expect((await engine.get(key('k1999')))?.toString()).toBe('k1999');
    await committer.close();
  });

  it('refuses only the commits whose reads fail', async () => {
    const { engine, committer } = start();
    const getMany = engine.getMany.bind(engine);
    engine.getMany = () => Promise.reject(new Error('disk'));
    await expect(committer.commit([put('a')], [absent('a')])).rejects.toThrow('disk');
    await committer.commit([put('b')]);
    engine.getMany = getMany;
    await committer.commit([put('a')], [absent('a')]);
  });
});

const names = ['a', 'b', 'c'];
const nameArbitrary = fc.constantFrom(...names);
const valueArbitrary = fc.constantFrom('', '1', '2');
const operationArbitrary: fc.Arbitrary<CommitOperation> = fc.oneof(
  fc.tuple(nameArbitrary, valueArbitrary).map(([name, value]) => put(name, value)),
  nameArbitrary.map(del),
  fc
    .tuple(fc.constantFrom('n', 'm'), fc.integer({ min: -3, max: 3 }))
    .map(([name, delta]) => add(name, delta)),
);
const preconditionArbitrary: fc.Arbitrary<Precondition> = fc.oneof(
  nameArbitrary.map(absent),
  fc.tuple(nameArbitrary, valueArbitrary).map(([name, value]) => equals(name, value)),
);
const commitArbitrary = fc.record({
  operations: fc.array(operationArbitrary, { maxLength: 4 }),
  preconditions: fc.array(preconditionArbitrary, { maxLength: 2 }),
  pause: fc.boolean(),
});

/** What one commit after the other would do. Undefined when a precondition does not hold. */
function applyInModel(
  state: Map<string, Buffer>,
  operations: readonly CommitOperation[],
  preconditions: readonly Precondition[],
): number[] | undefined {
  for (const { key: at, expect: wanted } of preconditions) {
    const found = state.get(at.toString());
    if (wanted === undefined ? found !== undefined : found?.compare(wanted) !== 0) return undefined;
  }
  const counters: number[] = [];
  for (const operation of operations) {
    const name = operation.key.toString();
    if (operation.type === 'put') state.set(name, Buffer.from(operation.value));
    else if (operation.type === 'del') state.delete(name);
    else {
      const value = Number(state.get(name)?.readBigInt64BE() ?? 0n) + operation.delta;
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64BE(BigInt(value));
      state.set(name, bytes);
      counters.push(value);
    }
  }
  return counters;
}

describe('concurrent commits', () => {
  it('come out as if made one after the other in order of arrival', async () => {
    const property = fc.asyncProperty(fc.array(commitArbitrary, { maxLength: 200 }), async (commits) => {
      const { engine, committer } = start(turn);
      const model = new Map<string, Buffer>();
      const expected: (number[] | undefined)[] = [];
      const answers: Promise<readonly number[] | undefined>[] = [];
      for (const { operations, preconditions, pause } of commits) {
        expected.push(applyInModel(model, operations, preconditions));
        answers.push(
          committer.commit(operations, preconditions).then(
            ({ counters }) => counters,
            () => undefined,
          ),
        );
        if (pause) await turn();
      }
      expect(await Promise.all(answers)).toEqual(expected);
      for (const name of [...names, 'n', 'm']) {
        expect(await engine.get(key(name))).toEqual(model.get(name));
      }
      expect(committer.load).toEqual({ waitingCommits: 0, overlayKeys: 0 });
    });
    await fc.assert(property, { numRuns: 60 });
  });

  it('never lose an update when every writer checks what it read', async () => {
    const prng = new Prng(Date.now() % 2 ** 32);
    const { engine, committer } = start(turn);
    const client = async () => {
      for (let done = 0; done < 10; ) {
        const before = await committer.peek(key('n'));
        if (prng.chance(0.3)) await turn();
        const value = Buffer.from(String(Number(before ?? 0) + 1));
        await committer
          .commit([{ type: 'put', key: key('n'), value }], [{ key: key('n'), expect: before }])
          .then(
            () => (done += 1),
            () => undefined,
          );
      }
    };
    await Promise.all(Array.from({ length: 20 }, client));
    expect((await engine.get(key('n')))?.toString(), `seed ${prng.seed}`).toBe('200');
  });
});
