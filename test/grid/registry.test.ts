/** Which nodes may be used, who is told about changes, and answers of nodes that are not the ones expected. */
import { beforeEach, describe, expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { LATE_EXCHANGES_MAX } from '../../src/grid/health.ts';
import { GridRegistry } from '../../src/grid/registry.ts';
import type { NodeRecord } from '../../src/metadata/records.ts';
import { SimulatedClock } from '../simulation/clock.ts';
import { FaultyStore, MemoryStore, stuck } from '../stripes/faultystore.ts';

const seed = Buffer.alloc(16, 1);
let clock: SimulatedClock;
let grid: GridRegistry;
let stores: FaultyStore[];
let records: NodeRecord[];

beforeEach(async () => {
  clock = new SimulatedClock();
  grid = new GridRegistry(clock, { k: 4, m: 2 });
  [stores, records] = [[], []];
  for (let id = 1; id <= 6; id++) {
    const nodeUuid = `uuid ${id}`;
    const store = new FaultyStore(new MemoryStore(nodeUuid));
    const record: NodeRecord = {
      v: 1,
      nodeUuid,
      path: '',
      onDataFilesystem: true,
      farm: `farm ${id}`,
      state: 'active',
      addedMs: 0,
    };
    stores.push(store);
    records.push(record);
    grid.add(id, record, store);
  }
  await grid.probeAll();
});

const ids = () =>
  grid
    .candidates(seed)
    .map(({ id }) => id)
    .sort();
function suspect(id: number): void {
  for (let i = 0; i < 3; i++) grid.report(id, { kind: 'missedDeadline' });
}
function hang(id: number, kind: 'read' | 'write'): (() => void)[] {
  return Array.from({ length: LATE_EXCHANGES_MAX }, () => grid.late(id, kind));
}
function become(id: number, nodeUuid: string): void {
  const store = new MemoryStore(nodeUuid);
  Object.assign(stores[id - 1]!, { inner: store });
}

describe('candidates', () => {
  test('are online, active, and have space', async () => {
    expect(ids()).toEqual([1, 2, 3, 4, 5, 6]);
    grid.update(1, { ...records[0]!, state: 'draining' });
    grid.update(2, { ...records[1]!, state: 'lost' });
    grid.report(3, { kind: 'failed', error: new HoldfastError('NodeUnavailable') });
    (stores[3]!.inner as MemoryStore).freeBytes = 0;
    await grid.probe(4);
    expect(ids()).toEqual([5, 6]);
  });

  test('leave out suspects, unless more are in trouble than can be at fault', () => {
    suspect(1);
    suspect(2);
    expect(ids()).toEqual([3, 4, 5, 6]);
    grid.report(3, { kind: 'missedDeadline' });
    expect(ids()).toEqual([1, 2, 3, 4, 5, 6]);
    clock.leap(5000);
    expect(ids()).toEqual([3, 4, 5, 6]);
  });

  test('leave out a node in which writes hang, for as long as they do', () => {
    const ended = hang(1, 'write');
    clock.leap(3_600_000);
    expect(ids()).toEqual([2, 3, 4, 5, 6]);
    for (const end of ended) end();
    expect(ids()).toEqual([1, 2, 3, 4, 5, 6]);
  });
});

describe('a node in which exchanges of one kind hang', () => {
  test('is not asked for that kind', () => {
    hang(1, 'read');
    const node = grid.node(1)!;
    expect([grid.mayAsk(node, 'read'), grid.mayAsk(node, 'write')]).toEqual([false, true]);
  });

  test('is asked when they hang everywhere', () => {
    for (const id of [1, 2, 3]) hang(id, 'read');
    expect(grid.mayAsk(grid.node(1)!, 'read')).toBe(true);
  });

  test('is reported as suspect, and as online when they have ended', () => {
    const changes: string[] = [];
    grid.onStateChange((node, before) => changes.push(`${node.id} ${before} ${node.state}`));
    for (const end of hang(1, 'read')) end();
    expect(changes).toEqual(['1 online suspect', '1 suspect online']);
  });
});

describe('a probe', () => {
  test('finds that another node answers: offline, and what was known stays', async () => {
    become(1, 'somebody else');
    expect(await grid.probe(1)).toBe(false);
    expect(grid.node(1)?.state).toBe('offline');
    expect(grid.problem(1)).toContain('another node');
    expect(grid.node(1)?.hello?.nodeUuid).toBe('uuid 1');
    expect(ids()).toEqual([2, 3, 4, 5, 6]);
    become(1, 'uuid 1');
    expect(await grid.probe(1)).toBe(true);
  });

  test('of a node that was made anew tells that it lost its data', async () => {
    const lost: number[] = [];
    grid.onRegression((node) => lost.push(node.id));
    become(2, 'made anew');
    await grid.probe(2);
    expect(lost).toEqual([]);
    grid.update(2, { ...records[1]!, nodeUuid: 'made anew' });
    expect(await grid.probe(2)).toBe(true);
    expect(lost).toEqual([2]);
  });

  test('that gets no answer in two seconds ends, and does not ask again at every turn', async () => {
    let asked = 0;
    stores[0]!.faults.hello = () => {
      asked += 1;
      return stuck();
    };
    for (let round = 0; round < 5; round++) {
      const probing = grid.probe(1);
      await clock.advance(2000);
      expect(await probing).toBe(false);
    }
    expect(asked).toBe(1);
    stores[0]!.faults = {};
    clock.leap(60_000);
    expect(await grid.probe(1)).toBe(true);
  });
});
