/** When silent nodes are given up: delays by what is at stake, the freeze when too many drop at once, and returns. */
import { beforeEach, describe, expect, test } from 'vitest';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/base/units.ts';
import type { Grid, GridNode, NodeState } from '../../src/grid/types.ts';
import type { DamageMarker } from '../../src/healing/damage.ts';
import { LossWatch } from '../../src/healing/losses.ts';
import { keys } from '../../src/metadata/keys.ts';
import { encodeRecord, RECORD_FORMAT, type StripeRecord } from '../../src/metadata/records.ts';
import { allGood } from '../../src/stripes/condition.ts';
import { SimulatedClock } from '../simulation/clock.ts';
import { SimulatedMetadata } from '../simulation/metadata.ts';

const CHECK_MS = 5 * SECOND_MS;
let clock: SimulatedClock;
let engine: SimulatedMetadata;
let states: Map<number, NodeState>;
let watch: LossWatch;
const marked: { readonly index: number; readonly node?: number }[] = [];

beforeEach(() => {
  clock = new SimulatedClock();
  engine = new SimulatedMetadata(1);
  states = new Map(Array.from({ length: 8 }, (_, i) => [i + 1, 'online']));
  const node = (id: number) =>
    ({
      id,
      state: states.get(id),
      record: { state: states.get(id) === 'lost' ? 'lost' : 'active' },
    }) as GridNode;
  const grid = { nodes: () => [...states.keys()].map(node), node } as Partial<Grid> as Grid;
  const damage = {
    mark: async (fragments: readonly { index: number; node?: number }[]) => {
      marked.push(...fragments);
      return fragments.length;
    },
  } as Partial<DamageMarker> as DamageMarker;
  watch = new LossWatch(grid, engine, damage, clock, 2);
});

async function putStripe(number: number, k: number, nodes: readonly number[]): Promise<void> {
  const id = Buffer.alloc(16);
  id.writeUInt32BE(number, 12);
  const record: StripeRecord = {
    ...{ v: RECORD_FORMAT, codec: 1, k, m: nodes.length - k, generation: 1, createdMs: 0, nodes },
    ...{ fragmentLengthBytes: 64, stripeLengthBytes: 256, good: allGood(nodes.length) },
  };
  await engine.batch([{ type: 'put', key: keys.stripe(id), value: encodeRecord(record) }], { sync: false });
}

/** Milliseconds until something is due, looking as often as the healer does; undefined when nothing is within `limitMs`. */
async function dueAfter(
  limitMs: number,
): Promise<{ readonly afterMs: number; readonly ids: number[] } | undefined> {
  for (let afterMs = 0; afterMs <= limitMs; afterMs += CHECK_MS) {
    const ids = await watch.due();
    if (ids.length > 0) return { afterMs, ids };
    await clock.advance(CHECK_MS);
  }
  return undefined;
}

describe('delay', () => {
  test.each([
    [2, 24 * HOUR_MS],
    [1, 30 * MINUTE_MS],
    [0, 60 * SECOND_MS],
  ])('with %i spare fragments left it is %i ms', async (spare, delayMs) => {
    await putStripe(1, 2, [1, 2, 3, 4, 5].slice(0, 3 + spare));
    states.set(1, 'offline');
    expect(await dueAfter(25 * HOUR_MS)).toEqual({ afterMs: delayMs, ids: [1] });
  });

  test('the stripe with the fewest counts', async () => {
    await putStripe(1, 2, [1, 2, 3, 4, 5]);
    await putStripe(2, 2, [1, 6, 7]);
    states.set(1, 'offline');
    expect(await dueAfter(HOUR_MS)).toEqual({ afterMs: 60 * SECOND_MS, ids: [1] });
  });

  test('two nodes away leave less than one', async () => {
    await putStripe(1, 4, [1, 2, 3, 4, 5, 6]);
    states.set(1, 'offline');
    expect(await dueAfter(10 * MINUTE_MS)).toBeUndefined();
    states.set(2, 'offline');
    expect((await dueAfter(HOUR_MS))?.ids).toEqual([1]);
  });

  test('a return cancels, and the next silence begins anew', async () => {
    await putStripe(1, 2, [1, 2, 3]);
    states.set(1, 'offline');
    expect(await dueAfter(50 * SECOND_MS)).toBeUndefined();
    states.set(1, 'online');
    expect(await watch.due()).toEqual([]);
    states.set(1, 'offline');
    expect(await dueAfter(HOUR_MS)).toEqual({ afterMs: 60 * SECOND_MS, ids: [1] });
  });

  test('a node that holds nothing is never given up', async () => {
    await putStripe(1, 2, [2, 3, 4]);
    states.set(1, 'offline');
    expect(await dueAfter(48 * HOUR_MS)).toBeUndefined();
  });
});

describe('freeze', () => {
  beforeEach(() => putStripe(1, 4, [1, 2, 3, 4, 5, 6]));

  test('lasts until enough nodes are back, however long that takes', async () => {
    for (const id of [1, 2, 3]) states.set(id, 'offline');
    expect(await dueAfter(3 * HOUR_MS)).toBeUndefined();
    expect(watch.frozen).toBe(true);
    states.set(3, 'online');
    const due = await dueAfter(HOUR_MS);
    expect(watch.frozen).toBe(false);
    expect(due).toEqual({ afterMs: 60 * SECOND_MS, ids: [1, 2] });
  });

  test('nodes that dropped and came back within ten minutes count', async () => {
    for (const id of [1, 2, 3]) {
      states.set(id, 'offline');
      await watch.due();
      states.set(id, 'online');
      await clock.advance(MINUTE_MS);
    }
    await watch.due();
    expect(watch.frozen).toBe(true);
    await clock.advance(11 * MINUTE_MS);
    await watch.due();
    expect(watch.frozen).toBe(false);
  });

  test('as many as may be lost do not freeze', async () => {
    for (const id of [1, 2]) states.set(id, 'offline');
    await watch.due();
    expect(watch.frozen).toBe(false);
  });
});

test('everything recorded on lost nodes is marked, and nothing else', async () => {
  await putStripe(1, 2, [1, 2, 3]);
  await putStripe(2, 2, [4, 5, 1]);
  await putStripe(3, 2, [4, 5, 6]);
  marked.length = 0;
  expect(await watch.markAll(new Set([1, 6]), 'lost')).toBe(3);
  expect(marked.map(({ index, node }) => [index, node])).toEqual([
    [0, 1],
    [2, 1],
    [2, 6],
  ]);
});
