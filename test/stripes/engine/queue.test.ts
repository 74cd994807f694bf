import { expect, test } from 'vitest';
import { FairQueue } from '../../../src/stripes/engine/queue.ts';

interface Item {
  readonly name: string;
  cancelled: boolean;
}

function filled(...names: string[]): { queue: FairQueue<Item>; items: Item[] } {
  const queue = new FairQueue<Item>();
  const items = names.map((name) => ({ name, cancelled: false }));
  for (const item of items) queue.push(item.name[0]!, item);
  return { queue, items };
}

function names(queue: FairQueue<Item>): string[] {
  const taken: string[] = [];
  for (let item = queue.shift(); item; item = queue.shift()) taken.push(item.name);
  return taken;
}

test('lanes take turns, each in its own order', () => {
  const { queue } = filled('a1', 'a2', 'a3', 'b1', 'c1', 'c2');
  expect(names(queue)).toEqual(['a1', 'b1', 'c1', 'a2', 'c2', 'a3']);
});

test('a lane that comes late waits for one item of each other at most', () => {
  const { queue } = filled('a1', 'a2', 'a3', 'b1', 'b2');
  expect(queue.shift()?.name).toBe('a1');
  queue.push('z', { name: 'z1', cancelled: false });
  expect(names(queue).indexOf('z1')).toBeLessThanOrEqual(2);
});

test('cancelled items are passed over', () => {
  const { queue, items } = filled('a1', 'a2', 'b1');
  items[0]!.cancelled = true;
  items[2]!.cancelled = true;
  expect(names(queue)).toEqual(['a2']);
  expect(filled('a1', 'b1').queue.drain()).toHaveLength(2);
});
