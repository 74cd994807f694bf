/** Placement: farms, shares by free space, and how little moves when nodes come and go. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  farmLimit,
  isRelaxed,
  type PlacementNode,
  placementOrder,
  widestPlan,
} from '../../src/grid/placement.ts';
import { Prng } from '../simulation/prng.ts';

const profile = fc.record({ k: fc.integer({ min: 1, max: 12 }), m: fc.integer({ min: 1, max: 6 }) });
const nodes: fc.Arbitrary<PlacementNode[]> = fc
  .array(fc.record({ farm: fc.integer({ min: 0, max: 8 }), weight: fc.integer({ min: 1, max: 1e9 }) }), {
    maxLength: 40,
  })
  .map((list) => list.map(({ farm, weight }, id) => ({ id, farm: `farm ${farm}`, weight })));
const seed = fc.uint8Array({ minLength: 16, maxLength: 16 });

function roomOf(list: readonly PlacementNode[], limit: number): number {
  const farms = [...new Set(list.map(({ farm }) => farm))];
  return farms.reduce((sum, farm) => sum + Math.min(limit, list.filter((n) => n.farm === farm).length), 0);
}

describe('the order of nodes', () => {
  test('has every node once, and is the same for the same seed whatever order they are listed in', () => {
    fc.assert(
      fc.property(nodes, seed, profile, (list, bytes, { k, m }) => {
        const order = placementOrder(list, bytes, farmLimit(k, m));
        expect(new Set(order)).toEqual(new Set(list));
        expect(order).toHaveLength(list.length);
        expect(placementOrder([...list].reverse(), bytes, farmLimit(k, m))).toEqual(order);
      }),
    );
  });

  test('keeps the farm limit for as many nodes as farms have room for', () => {
    fc.assert(
      fc.property(nodes, seed, profile, (list, bytes, { k, m }) => {
        const limit = farmLimit(k, m);
        const chosen = placementOrder(list, bytes, limit).slice(0, roomOf(list, limit));
        expect(isRelaxed(chosen, limit)).toBe(false);
      }),
    );
  });

  test('changes only by the node that joins or leaves, farms apart', () => {
    fc.assert(
      fc.property(nodes, seed, fc.nat(), (list, bytes, at) => {
        fc.pre(list.length > 0);
        const gone = list[at % list.length];
        const order = placementOrder(list, bytes, list.length);
        const rest = list.filter((node) => node !== gone);
        expect(placementOrder(rest, bytes, list.length)).toEqual(order.filter((node) => node !== gone));
      }),
    );
  });
});

test('the first place falls to nodes in proportion to their weight', () => {
  const seeds = new Prng(7);
  const weights = [1, 2, 4, 9];
  const list = weights.map((weight, id) => ({ id, farm: `${id}`, weight }));
  const wins = weights.map(() => 0);
  const rounds = 16_000;
  for (let i = 0; i < rounds; i++) {
    const first = placementOrder(list, seeds.bytes(16), 1)[0];
    wins[first?.id ?? 0] = (wins[first?.id ?? 0] ?? 0) + 1;
  }
  for (const [id, weight] of weights.entries()) {
    const expected = (rounds * weight) / 16;
    expect(Math.abs((wins[id] ?? 0) - expected), `node ${id}, seed 7`).toBeLessThan(5 * Math.sqrt(expected));
  }
});

test('seeds that differ in their counter only, as stripe ids do, spread as well', () => {
  const list = Array.from({ length: 6 }, (_, id) => ({ id, farm: `${id}`, weight: 1 }));
  const wins = list.map(() => 0);
  for (let i = 1; i <= 6000; i++) {
    const stripeId = Buffer.from('01000001000000050000000900000000', 'hex');
    stripeId.writeUInt32BE(i, 12);
    const first = placementOrder(list, stripeId, 1)[0];
    wins[first?.id ?? 0] = (wins[first?.id ?? 0] ?? 0) + 1;
  }
  for (const count of wins) expect(Math.abs(count - 1000)).toBeLessThan(160);
});

describe('the width of a stripe', () => {
  const farms = (list: readonly PlacementNode[]) => list.map(({ farm }) => farm);

  test('is the widest that keeps the farm rule, if any does', () => {
    fc.assert(
      fc.property(nodes, profile, (list, { k, m }) => {
        const plan = widestPlan(farms(list), k, m);
        const fitting = Array.from({ length: k }, (_, i) => k - i).find(
          (width) => roomOf(list, farmLimit(width, m)) >= width + m,
        );
        if (fitting !== undefined)
          expect(plan).toEqual({ k: fitting, farmMax: farmLimit(fitting, m), relaxed: false });
        else if (list.length >= m + 1) expect(plan?.relaxed).toBe(true);
        else expect(plan).toBeUndefined();
      }),
    );
  });

  test('fits the nodes, and no farm holds more than m while that is possible', () => {
    fc.assert(
      fc.property(nodes, seed, profile, (list, bytes, { k, m }) => {
        const plan = widestPlan(farms(list), k, m);
        if (plan === undefined) return;
        const chosen = placementOrder(list, bytes, plan.farmMax).slice(0, plan.k + m);
        expect(chosen).toHaveLength(plan.k + m);
        if (roomOf(list, m) > m) expect(isRelaxed(chosen, Math.max(m, 1))).toBe(false);
      }),
    );
  });

  test('with a farm for each node it is what the nodes allow', () => {
    for (const [count, k] of [
      [9, 4],
      [6, 4],
      [5, 3],
      [4, 2],
      [3, 1],
    ] as const) {
      const names = Array.from({ length: count }, (_, i) => `${i}`);
      expect(widestPlan(names, 4, 2)).toMatchObject({ k, relaxed: false });
    }
    expect(widestPlan(['a', 'b'], 4, 2)).toBeUndefined();
  });

  test('with one farm only it is full, and relaxed', () => {
    expect(widestPlan(Array(6).fill('a'), 4, 2)).toEqual({
      k: 4,
      farmMax: Number.POSITIVE_INFINITY,
      relaxed: true,
    });
  });
});
