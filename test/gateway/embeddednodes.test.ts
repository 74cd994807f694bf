/** Folders of nodes that vanish, are swapped, come back, lie on another disk, or fail: which node is offline, lost, made anew. */
import { cp, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { SlotCommitter } from '../../src/commitlog/committer.ts';
import { engineSlotWriter } from '../../src/commitlog/slot.ts';
import { openTerm } from '../../src/commitlog/term.ts';
import { EmbeddedNodes } from '../../src/gateway/embeddednodes.ts';
import { NodeIds, readNodeRecords } from '../../src/gateway/gridnodes.ts';
import { orphansHeldUntilMs } from '../../src/gateway/rollback.ts';
import { GridRegistry } from '../../src/grid/registry.ts';
import { keys } from '../../src/metadata/keys.ts';
import { encodeRecord, type NodeRecord } from '../../src/metadata/records.ts';
import type { Disk } from '../../src/node/disk.ts';
import { realDisk } from '../../src/node/realdisk.ts';
import { SimulatedMetadata } from '../simulation/metadata.ts';

const OTHER_FILESYSTEM = '/dev/shm';
let directory: string;
let elsewhere: string | undefined;
let engine: SimulatedMetadata;
let nodes: EmbeddedNodes;
let registry: GridRegistry;
let committer: SlotCommitter;
/** Failures that the disk shall have. */
let broken: { sync: boolean };

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-nodes-'));
  elsewhere = undefined;
  engine = new SimulatedMetadata(1);
  broken = { sync: false };
});
afterEach(async () => {
  await committer.close();
  await nodes.close();
  await rm(directory, { recursive: true, force: true });
  if (elsewhere !== undefined) await rm(elsewhere, { recursive: true, force: true });
});

const folder = (id: number) => join(directory, 'nodes', `node-${id}`);
const state = (id: number) => registry.node(id)?.state;
const uuidIn = async (path: string) => JSON.parse(await readFile(join(path, 'node.json'), 'utf8')).nodeUuid;

/** The real disk, on which sync can be made to fail. */
const failingDisk: Disk = {
  ...realDisk,
  open: async (...args) => {
    const file = await realDisk.open(...args);
    return new Proxy(file, {
      get: (target, name) => {
        if (name === 'sync' && broken.sync) return async () => Promise.reject(new Error('EIO: sync'));
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  },
};

async function recorded(ids: NodeIds): Promise<Map<number, NodeRecord>> {
  const records = await readNodeRecords(engine);
  for (const id of records.keys()) ids.saw(id);
  return records;
}

async function open(folders: readonly string[]): Promise<void> {
  registry = new GridRegistry(systemClock, { k: 2, m: 1 });
  const ids = new NodeIds();
  nodes = new EmbeddedNodes({
    ...{ dataDirectory: directory, ids, registry, disk: failingDisk, clock: systemClock },
    ...{ random: systemRandom, log: pino({ level: 'silent' }), capacityBytes: undefined },
  });
  const changed = await nodes.open(await recorded(ids), { paths: folders, byDefault: false });
  const token = await openTerm(engine, 0, systemRandom);
  committer = new SlotCommitter({ engine, clock: systemClock, token, writer: engineSlotWriter(engine) });
  nodes.committer = committer;
  for (const [id, record] of changed) {
    await committer.commit([{ type: 'put', key: keys.node(id), value: encodeRecord(record) }]);
  }
}

async function restart(folders: readonly string[]): Promise<void> {
  await committer.close();
  await nodes.close();
  await open(folders);
}

const three = () => [1, 2, 3].map(folder);
async function store(id: number): Promise<void> {
  const bytes = Buffer.alloc(4096, id);
  await registry.node(id)?.store.put(systemRandom.bytes(32), [bytes]);
}

describe('a folder that vanished', () => {
  test('is made anew on the file system of the data directory', async () => {
    await open(three());
    await store(2);
    const before = await uuidIn(folder(2));
    await rm(folder(2), { recursive: true });
    await nodes.look();
    await nodes.look();
    expect(state(2)).toBe('online');
    expect(await uuidIn(folder(2))).not.toBe(before);
    expect(registry.node(2)?.record.nodeUuid).toBe(await uuidIn(folder(2)));
    expect(registry.node(2)?.hello?.fragmentCount).toBe(0);
    await restart(three());
    expect([1, 2, 3].map(state)).toEqual(['online', 'online', 'online']);
  });

  test('is made anew although a crash came before that was written down', async () => {
    await open(three());
    const record = registry.node(2)?.record;
    await rm(folder(2), { recursive: true });
    await nodes.look();
    await nodes.look();
    await committer.commit([{ type: 'put', key: keys.node(2), value: encodeRecord(record!) }]);
    await restart(three());
    expect(state(2)).toBe('offline');
    await nodes.look();
    expect(state(2)).toBe('online');
  });

  test('is offline on another file system, where a disk may be unmounted, until it is back', async ({
    skip,
  }) => {
    const shared = await stat(OTHER_FILESYSTEM).catch(() => undefined);
    if (shared === undefined || shared.dev === (await stat(directory)).dev) {
      await open(three());
      skip(`${OTHER_FILESYSTEM} is no other file system here`);
      return;
    }
    elsewhere = await mkdtemp(join(OTHER_FILESYSTEM, 'holdfast-nodes-'));
    const away = join(elsewhere, 'disk');
    await open([folder(1), folder(2), away]);
    expect(registry.node(3)?.record).toMatchObject({ onDataFilesystem: false, path: away });
    await store(3);
    await rename(away, `${away}.unmounted`);
    for (let i = 0; i < 3; i++) await nodes.look();
    expect(state(3)).toBe('offline');
    expect(await stat(away).catch(() => undefined)).toBeUndefined();
    await restart([folder(1), folder(2), away]);
    expect(state(3)).toBe('offline');
    await rename(`${away}.unmounted`, away);
    await nodes.look();
    expect(state(3)).toBe('online');
    expect(registry.node(3)?.hello?.fragmentCount).toBe(1);
  });
});

test('the folder of another node is refused, with the reason, and left as it is', async () => {
  await open(three());
  await store(1);
  await rename(folder(2), `${folder(2)}.away`);
  await cp(folder(1), folder(2), { recursive: true });
  for (let i = 0; i < 3; i++) await nodes.look();
  expect(state(2)).toBe('offline');
  expect(nodes.problem(2)).toMatch(/data of another node/);
  expect(state(1)).toBe('online');
  await rm(folder(2), { recursive: true });
  await rename(`${folder(2)}.away`, folder(2));
  await nodes.look();
  expect(state(2)).toBe('online');
  expect(nodes.problem(2)).toBe('');
});

describe('lost nodes', () => {
  test('one that was silent too long is taken back with its data, also by a restart', async () => {
    await open(three());
    await store(3);
    await nodes.declareLost(3);
    expect(state(3)).toBe('lost');
    await restart(three());
    expect(registry.nodes()).toHaveLength(3);
    expect(state(3)).toBe('lost');
    await nodes.look();
    expect(state(3)).toBe('online');
    expect(registry.node(3)?.hello?.fragmentCount).toBe(1);
  });

  test('one that the operator stopped comes back only when he starts it', async () => {
    await open(three());
    await nodes.stop(3);
    await nodes.declareLost(3);
    await nodes.look();
    expect(state(3)).toBe('lost');
    await nodes.start(3);
    expect(state(3)).toBe('online');
  });

  test('one that was replaced never comes back', async () => {
    await open(three());
    await store(3);
    expect(await nodes.replace(3, folder(4))).toEqual({ id: 4, path: folder(4) });
    await nodes.look();
    expect([state(3), state(4)]).toEqual(['lost', 'online']);
    await restart(three());
    await nodes.look();
    expect(registry.nodes()).toHaveLength(4);
    expect([state(3), state(4)]).toEqual(['lost', 'online']);
    await expect(nodes.start(3)).rejects.toThrow('node 3 was replaced by node 4');
  });

  test('a replacement that cannot be made leaves everything as it was', async () => {
    await open(three());
    await store(1);
    await expect(nodes.replace(1, undefined)).rejects.toThrow(/still holds a node's data/);
    await expect(nodes.replace(1, folder(2))).rejects.toThrow(/is the folder of node 2/);
    await expect(nodes.replace(1, '/dev/null/x')).rejects.toThrow();
    await expect(nodes.replace(9, undefined)).rejects.toThrow(/there is no node 9/);
    await nodes.look();
    expect(state(1)).toBe('online');
  });
});

test('a failed fsync ends the node until it is started again', async () => {
  await open(three());
  broken.sync = true;
  await expect(store(2)).rejects.toMatchObject({ code: 'NodeFailed' });
  broken.sync = false;
  for (let i = 0; i < 3; i++) await nodes.look();
  expect(state(2)).toBe('offline');
  expect(nodes.problem(2)).not.toBe('');
  await nodes.start(2);
  expect(state(2)).toBe('online');
  await store(2);
  await nodes.look();
  expect(state(2)).toBe('online');
});

test('metadata that went back in time is noticed and remembered for a week', async () => {
  await open(three());
  const term = 1;
  expect(await orphansHeldUntilMs(engine, term, 1000)).toBe(0);
  const untilMs = await orphansHeldUntilMs(engine, term + 3, 1000);
  expect(untilMs).toBe(1000 + 7 * 24 * 3_600_000);
  expect(await orphansHeldUntilMs(engine, term, 5000)).toBe(untilMs);
});

test('a grid with nodes in other places gets no default folders', async () => {
  await open([join(directory, 'a'), join(directory, 'b'), join(directory, 'c')]);
  await nodes.close();
  registry = new GridRegistry(systemClock, { k: 2, m: 1 });
  const ids = new NodeIds();
  nodes = new EmbeddedNodes({
    ...{ dataDirectory: directory, ids, registry, disk: failingDisk, clock: systemClock },
    ...{ random: systemRandom, log: pino({ level: 'silent' }), capacityBytes: undefined },
  });
  const changed = await nodes.open(await recorded(ids), {
    paths: [join(directory, 'nodes', 'node-1')],
    byDefault: true,
  });
  expect([...changed]).toEqual([]);
  expect(registry.nodes()).toHaveLength(3);
});
