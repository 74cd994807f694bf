/**
 * The repair queue is an index over stripe records: after any mixture of marks, repairs, adoptions and deletions it has exactly the
 * entries that follow from the records. Metadata is simulated, the nodes are answers of a generator.
 */
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { SlotCommitter } from '../../src/commitlog/committer.ts';
import { engineSlotWriter } from '../../src/commitlog/slot.ts';
import type { Grid, GridNode } from '../../src/grid/types.ts';
import { ByteBudget } from '../../src/healing/budget.ts';
import { StripeClaims } from '../../src/healing/claims.ts';
import { DamageMarker } from '../../src/healing/damage.ts';
import { Repairer } from '../../src/healing/repairer.ts';
import { replaceStripe, withGood } from '../../src/healing/stripestate.ts';
import { keys } from '../../src/metadata/keys.ts';
import { decodeRecord, encodeRecord, RECORD_FORMAT, type StripeRecord } from '../../src/metadata/records.ts';
import { allGood, queueKey } from '../../src/stripes/condition.ts';
import type { FragmentAddress, RebuildResult, StripeSurgery } from '../../src/stripes/surgery.ts';
import { SimulatedClock } from '../simulation/clock.ts';
import { SimulatedMetadata } from '../simulation/metadata.ts';
import { queueOf } from './world.ts';

const stripeId = (number: number) => {
  const id = Buffer.alloc(16, 1);
  id.writeUInt32BE(number, 12);
  return id;
};

function freshRecord(nodes: readonly number[] = [1, 2, 3, 4, 5, 6], k = 4): StripeRecord {
  return {
    ...{ v: RECORD_FORMAT, codec: 1, k, m: nodes.length - k, generation: 1, createdMs: 0, nodes },
    ...{ fragmentLengthBytes: 64, stripeLengthBytes: 256, good: allGood(nodes.length) },
  };
}

type Rebuild = (stripeId: Buffer, record: StripeRecord, bad: readonly number[]) => Promise<RebuildResult>;

function setUp(options: { readonly rebuild?: Rebuild; readonly away?: ReadonlySet<number> } = {}) {
  const engine = new SimulatedMetadata(1);
  const clock = new SimulatedClock();
  const committer = new SlotCommitter({
    ...{ engine, clock, writer: engineSlotWriter(engine) },
    token: { term: 1, start: 1 },
  });
  const failures: unknown[] = [];
  const deleted: FragmentAddress[] = [];
  const damage = new DamageMarker(committer, clock, {
    marked: () => undefined,
    failure: (error) => failures.push(error),
  });
  const inPlace: Rebuild = async (_id, record, bad) => ({
    placements: bad.map((index) => ({ index, node: record.nodes[index] as number })),
    foundBad: [],
  });
  const surgery = {
    rebuild: options.rebuild ?? inPlace,
    deleteFragments: async (addresses: readonly FragmentAddress[]) => {
      deleted.push(...addresses);
      return [...addresses];
    },
  } as Partial<StripeSurgery> as StripeSurgery;
  const nodes = [1, 2, 3, 4, 5, 6, 7, 8].map(
    (id) => ({ id, state: options.away?.has(id) ? 'offline' : 'online' }) as GridNode,
  );
  const grid = {
    ...{ nodes: () => nodes, node: (id: number) => nodes.find((node) => node.id === id) },
  } as Partial<Grid> as Grid;
  const repairer = new Repairer({
    ...{ engine, committer, grid, surgery, clock, claims: new StripeClaims() },
    budget: new ByteBudget(clock, 1e12),
    onFailure: (error) => failures.push(error),
  });
  const put = (number: number, record = freshRecord()) =>
    committer.commit([{ type: 'put', key: keys.stripe(stripeId(number)), value: encodeRecord(record) }]);
  const read = async (number: number) => {
    const bytes = await committer.peek(keys.stripe(stripeId(number)));
    return bytes === undefined ? undefined : decodeRecord<StripeRecord>(bytes);
  };
  /** As the object layer deletes a stripe: record and queue entry together, on condition that it is as it was read. */
  const drop = async (number: number) => {
    const key = keys.stripe(stripeId(number));
    const bytes = await committer.peek(key);
    if (bytes === undefined) return;
    const queued = queueKey(stripeId(number), decodeRecord<StripeRecord>(bytes));
    await committer.commit(
      [{ type: 'del', key }, ...(queued === undefined ? [] : [{ type: 'del', key: queued } as const])],
      [{ key, expect: bytes }],
    );
  };
  return { engine, clock, committer, damage, repairer, failures, deleted, put, read, drop };
}

let failures: unknown[] = [];
afterEach(() => expect(failures).toEqual([]));

test('the queue has what the records say, whatever happens at the same time', async () => {
  const step = fc.record({
    kind: fc.constantFrom('mark', 'report', 'repair', 'drop', 'put', 'wait'),
    stripe: fc.nat(5),
    index: fc.nat(5),
    answer: fc.constantFrom('all', 'some', 'moved', 'worse', 'fails', 'crashes'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(step, { maxLength: 6 }), { maxLength: 12 }), async (rounds) => {
      let answer = 'all';
      const rebuild: Rebuild = async (_id, record, bad) => {
        await new Promise((resolve) => setImmediate(resolve));
        if (answer === 'fails') throw new HoldfastError('FragmentMissing');
        if (answer === 'crashes') throw new HoldfastError('InvalidArgument');
        const free = [7, 8].filter((node) => !record.nodes.includes(node));
        const placements = bad.slice(0, answer === 'some' ? 1 : bad.length).map((index, i) => {
          const moved = answer === 'moved' ? free[i] : undefined;
          return { index, node: moved ?? (record.nodes[index] as number) };
        });
        const intact = record.nodes.findIndex((_, index) => !bad.includes(index));
        return { placements, foundBad: answer === 'worse' && intact >= 0 ? [intact] : [] };
      };
      const world = setUp({ rebuild });
      const act = async ({ kind, stripe, index, answer: next }: (typeof rounds)[number][number]) => {
        answer = next;
        const id = stripeId(stripe);
        if (kind === 'mark') await world.damage.mark([{ stripeId: id, index }], 'test');
        else if (kind === 'report') world.damage.report(id, index, 'test');
        else if (kind === 'repair') await world.repairer.step();
        else if (kind === 'drop') await world.drop(stripe).catch(() => undefined);
        else if (kind === 'put') (await await world.read(stripe)) === undefined && (await world.put(stripe));
        else await world.clock.advance(60_000);
      };
      for (const round of rounds) {
        await Promise.all(round.map(act));
        await world.damage.flush();
        const queue = await queueOf(world.engine);
        expect(queue.found).toEqual(queue.expected);
      }
      expect(world.engine.openCursors).toBe(0);
      await world.committer.close();
      failures = world.failures;
    }),
    { numRuns: 60 },
  );
});

describe('repair', () => {
  test('takes the stripes with the fewest spare fragments first, then the oldest', async () => {
    const world = setUp();
    for (let number = 0; number < 4; number++) await world.put(number);
    await world.damage.mark([{ stripeId: stripeId(3), index: 0 }], 'test');
    await world.clock.advance(10);
    await world.damage.mark([{ stripeId: stripeId(0), index: 0 }], 'test');
    await world.clock.advance(10);
    await world.damage.mark(
      [2, 5].map((index) => ({ stripeId: stripeId(2), index })),
      'test',
    );
    expect(await world.repairer.head()).toEqual([2, 3, 0].map(stripeId));
  });

  test('counts nodes that are away as lost, and puts off what nobody can read', async () => {
    const world = setUp({ away: new Set([5, 6]) });
    await world.put(0, freshRecord([1, 2, 3, 4, 7, 8]));
    await world.put(1, freshRecord([1, 2, 3, 4, 5, 7]));
    await world.put(2, freshRecord([1, 2, 3, 4, 5, 6]));
    for (const number of [0, 1, 2]) {
      await world.damage.mark([{ stripeId: stripeId(number), index: 0 }], 'test');
      await world.clock.advance(10);
    }
    expect(await world.repairer.head()).toEqual([1, 0, 2].map(stripeId));
  });

  test('one stripe that cannot be rebuilt, for whatever reason, holds up no other', async () => {
    for (const code of ['DataUnavailable', 'FragmentMissing', 'InvalidArgument', 'NodeFull'] as const) {
      const world = setUp({
        rebuild: async (id, record, bad) => {
          if (id.equals(stripeId(0))) throw new HoldfastError(code);
          return {
            placements: bad.map((index) => ({ index, node: record.nodes[index] as number })),
            foundBad: [],
          };
        },
      });
      for (const number of [0, 1, 2]) {
        await world.put(number);
        await world.damage.mark([{ stripeId: stripeId(number), index: 1 }], 'test');
      }
      expect(await world.repairer.step()).toBe(2);
      expect(await world.repairer.step()).toBe(0);
      expect(world.repairer.isDeferred(stripeId(0))).toBe(true);
      await world.clock.advance(31_000);
      expect(await world.repairer.head()).toEqual([stripeId(0)]);
    }
  });

  test('a stripe deleted while it was rebuilt leaves nothing behind on new nodes', async () => {
    let world: ReturnType<typeof setUp>;
    const rebuild: Rebuild = async () => {
      await world.drop(0);
      return {
        placements: [
          { index: 0, node: 7 },
          { index: 1, node: 2 },
        ],
        foundBad: [],
      };
    };
    world = setUp({ rebuild });
    await world.put(0);
    await world.damage.mark(
      [0, 1].map((index) => ({ stripeId: stripeId(0), index })),
      'test',
    );
    // Nothing is left to do for a stripe that is gone.
    expect(await world.repairer.step()).toBe(1);
    // Index 1 was put where the tomb expects it, so it is the tomb's.
    expect(world.deleted).toEqual([{ stripeId: stripeId(0), index: 0, node: 7 }]);
    expect((await queueOf(world.engine)).found).toEqual([]);
  });

  test('entries that no record asks for are dropped, not taken up for ever', async () => {
    const world = setUp();
    await world.put(0);
    const stale = [keys.queue(1, 5, stripeId(0)), keys.queue(0, 5, stripeId(9))];
    const value = encodeRecord({ v: RECORD_FORMAT, reason: 'left behind' });
    await world.engine.batch(
      stale.map((key) => ({ type: 'put', key, value })),
      { sync: true },
    );
    expect(await world.repairer.step()).toBe(0);
    expect((await queueOf(world.engine)).found).toEqual([]);
    expect(await world.read(0)).toBeDefined();
  });

  test('a record changed meanwhile is not overwritten', async () => {
    let world: ReturnType<typeof setUp>;
    let rounds = 0;
    const rebuild: Rebuild = async (id, record) => {
      if (rounds++ === 0) await world.damage.mark([{ stripeId: id, index: 5 }], 'test');
      return { placements: [{ index: 0, node: record.nodes[0] as number }], foundBad: [] };
    };
    world = setUp({ rebuild });
    await world.put(0);
    await world.damage.mark([{ stripeId: stripeId(0), index: 0 }], 'test');
    await world.repairer.step();
    expect(rounds).toBe(2);
    const queue = await queueOf(world.engine);
    expect(queue.found).toEqual(queue.expected);
    expect(withGood((await world.read(0))!, new Map(), 0).good).toEqual(Buffer.of(0b011111));
  });

  test('waits for its budget, except for what has no spare fragment', async () => {
    const clock = new SimulatedClock();
    const budget = new ByteBudget(clock, 1000);
    await budget.take(3000);
    let taken = false;
    const waiting = budget.take(1).then(() => {
      taken = true;
    });
    await clock.advance(1500);
    expect(taken).toBe(false);
    budget.charge(1000);
    await clock.advance(600);
    await waiting;
    const before = clock.monotonicMs();
    const next = budget.take(1);
    await clock.advance(5000);
    await next;
    expect(clock.monotonicMs() - before).toBe(5000);
  });
});

test('a damaged record goes and comes with its queue entry', () => {
  const record = freshRecord();
  const once = withGood(record, new Map([[1, false]]), 5);
  const twice = withGood(once, new Map([[2, false]]), 9);
  expect(twice.damagedMs).toBe(5);
  expect(replaceStripe(stripeId(1), once, twice, 'x').map(({ type }) => type)).toEqual(['put', 'del', 'put']);
  const whole = withGood(
    twice,
    new Map([
      [1, true],
      [2, true],
    ]),
    11,
  );
  expect(whole).toEqual(record);
  expect(replaceStripe(stripeId(1), twice, whole, 'x').map(({ type }) => type)).toEqual(['put', 'del']);
});
