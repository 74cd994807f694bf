/**
 * The stripe layer over nodes that can be made to misbehave: real ones on temporary directories, or in memory with a clock that runs
 * faster, where a test is about deadlines.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect } from 'vitest';
import type { Clock } from '../../src/base/clock.ts';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import type { RepairKeys } from '../../src/crypto/gridkeys.ts';
import { GridRegistry } from '../../src/grid/registry.ts';
import type { NodeRecord } from '../../src/metadata/records.ts';
import { EmbeddedNode } from '../../src/node/embedded.ts';
import type { FragmentStore } from '../../src/node/fragmentstore.ts';
import { realDisk } from '../../src/node/realdisk.ts';
import { InlineEngine } from '../../src/stripes/engine/inline.ts';
import { FragmentSeals } from '../../src/stripes/fragments.ts';
import { Stripes } from '../../src/stripes/store.ts';
import type { Profile, WrittenStripe } from '../../src/stripes/types.ts';
import { patternBytes } from '../conformance/codec.ts';
import { FaultyStore, MemoryStore } from './faultystore.ts';

/** Simulated milliseconds in one real one. */
const SPEED = 20;
const CHUNK = 16_384;
const SEALED = 16_400;

export const fastClock: Clock = {
  nowMs: () => systemClock.nowMs(),
  monotonicMs: () => systemClock.monotonicMs() * SPEED,
  sleep: (delayMs, signal) => systemClock.sleep(delayMs / SPEED, signal),
  schedule: (delayMs, fire) => systemClock.schedule(delayMs / SPEED, fire),
};

export const keys: RepairKeys = {
  gridId: Buffer.alloc(16, 8),
  generation: 1,
  locator1: Buffer.alloc(32, 1),
  locator2: Buffer.alloc(32, 2),
  fragmentMac: Buffer.alloc(32, 3),
  logStripe: Buffer.alloc(32, 4),
};
const chunkKeys = { aeadKey: patternBytes(32, 5), baseNonce: patternBytes(12, 6) };
export const bufferCounts = { write: 3, read: 4, rescue: 2, repair: 2, spare: 2 };

export interface WorldOptions {
  readonly nodes?: number;
  readonly farms?: readonly string[];
  readonly profile?: Profile;
  /** Real nodes and the real clock; else nodes in memory and the fast one. */
  readonly real?: boolean;
}

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

export class World {
  readonly grid: GridRegistry;
  readonly stores: FaultyStore[] = [];
  readonly seals: FragmentSeals;
  readonly profile: Profile;
  readonly clock: Clock;
  engine: InlineEngine;
  stripes!: Stripes;
  #term = 0;

  constructor(seals: FragmentSeals, profile: Profile, clock: Clock) {
    this.seals = seals;
    this.profile = profile;
    this.clock = clock;
    this.grid = new GridRegistry(clock, profile);
    this.engine = new InlineEngine({ profile, bufferCounts });
  }

  async add(store: FragmentStore, farm: string): Promise<void> {
    const faulty = new FaultyStore(store);
    const { nodeUuid } = await store.hello();
    this.stores.push(faulty);
    const record: NodeRecord = {
      v: 1,
      nodeUuid,
      path: '',
      onDataFilesystem: true,
      farm,
      state: 'active',
      addedMs: 0,
    };
    this.grid.add(this.stores.length, record, faulty);
    await this.grid.probe(this.stores.length);
  }

  /** A gateway with another profile, over the same nodes. */
  async open(profile: Profile): Promise<void> {
    this.engine = new InlineEngine({ profile, bufferCounts });
    this.#term += 1;
    this.stripes = await Stripes.create({
      grid: this.grid,
      engine: this.engine,
      clock: this.clock,
      keys,
      profile,
      positions: { logId: 1, term: this.#term, start: 1 },
    });
  }

  store(nodeId: number): FaultyStore {
    const store = this.stores[nodeId - 1];
    if (store === undefined) throw new RangeError(`no node ${nodeId}`);
    return store;
  }

  /** The node that holds fragment `index`. */
  holderOf({ record }: WrittenStripe, index: number): FaultyStore {
    return this.store(record.nodes[index] ?? 0);
  }

  nameOf({ stripeId }: WrittenStripe, index: number): Buffer {
    return this.seals.name(stripeId, index);
  }

  async forget(written: WrittenStripe, index: number): Promise<void> {
    await this.holderOf(written, index).inner.delete([this.nameOf(written, index)]);
  }

  /** `lengthBytes` of plaintext as one stripe; `final` unless the stream goes on behind it. */
  async write(lengthBytes: number, seed = 1, final = true): Promise<WrittenStripe> {
    const buffer = await this.stripes.acquire();
    try {
      buffer.plaintext.set(patternBytes(lengthBytes, seed));
      return await this.stripes.write(buffer, [
        {
          plaintextOffsetBytes: 0,
          plaintextLengthBytes: lengthBytes,
          ...chunkKeys,
          firstChunkIndex: 0,
          final,
        },
      ]);
    } finally {
      buffer.release();
    }
  }

  /** Plaintext chunks `first` … `first + count − 1` of a stripe that was written with `lengthBytes`. */
  async read(
    { stripeId, record }: Pick<WrittenStripe, 'stripeId' | 'record'>,
    lengthBytes: number,
    first = 0,
    count = Math.min(this.stripes.openChunksMax, Math.floor(lengthBytes / CHUNK) + 1 - first),
    final = true,
  ): Promise<Buffer> {
    const chunks = Math.floor(lengthBytes / CHUNK) + (final ? 1 : 0);
    const last = first + count === chunks;
    const piece = await this.stripes.open({
      stripeId,
      record,
      payloadOffsetBytes: first * SEALED,
      chunkCount: count,
      lastChunkLengthBytes: last && final ? (lengthBytes % CHUNK) + 16 : SEALED,
      ...chunkKeys,
      firstChunkIndex: first,
      final: last && final,
    });
    const copy = Buffer.from(piece.plaintext);
    piece.release();
    return copy;
  }

  /** Reads all of it, in windows, and compares. */
  async expectBytes(
    written: Pick<WrittenStripe, 'stripeId' | 'record'>,
    lengthBytes: number,
    seed = 1,
    final = true,
  ): Promise<void> {
    const chunks = Math.floor(lengthBytes / CHUNK) + (final ? 1 : 0);
    const expected = patternBytes(lengthBytes, seed);
    for (let first = 0; first < chunks; first += this.stripes.openChunksMax) {
      const count = Math.min(this.stripes.openChunksMax, chunks - first);
      const got = await this.read(written, lengthBytes, first, count, final);
      expect(got.equals(expected.subarray(first * CHUNK, first * CHUNK + got.length))).toBe(true);
    }
  }

  /** Every buffer is back in its pool. */
  expectAllReleased(): void {
    for (const pool of ['write', 'read', 'rescue', 'repair', 'spare'] as const) {
      expect([pool, this.engine.memory.available(pool)]).toEqual([pool, bufferCounts[pool]]);
    }
  }

  /** n distinct nodes, and every one really has its fragment. */
  async expectComplete(written: WrittenStripe): Promise<void> {
    const { stripeId, record } = written;
    expect(record.nodes).toHaveLength(record.k + record.m);
    expect(new Set(record.nodes).size).toBe(record.k + record.m);
    const conditions = await Promise.all(
      record.nodes.map((node, index) => this.store(node).inner.verify(this.nameOf(written, index))),
    );
    expect(conditions.every((condition) => condition === 'intact')).toBe(true);
    expect(stripeId).toHaveLength(16);
  }
}

export async function openWorld(options: WorldOptions = {}): Promise<World> {
  const { nodes = 6, profile = { k: 4, m: 2, codecId: 1 }, real = false, farms } = options;
  const clock = real ? systemClock : fastClock;
  const world = new World(await FragmentSeals.create(keys), profile, clock);
  const directory = real ? await mkdtemp(join(tmpdir(), 'holdfast-stripes-')) : '';
  if (real) closers.push(() => rm(directory, { recursive: true, force: true }));
  for (let id = 1; id <= nodes; id++) {
    const farm = farms?.[id - 1] ?? `farm ${id}`;
    if (!real) {
      await world.add(new MemoryStore(`node ${id}`), farm);
      continue;
    }
    const options = { disk: realDisk, clock, random: systemRandom, initialise: true };
    const node = new EmbeddedNode({ ...options, directory: join(directory, `${id}`) });
    await node.start();
    closers.push(() => node.stop());
    await world.add(node, farm);
  }
  await world.open(profile);
  return world;
}

export function pick<T>(items: readonly T[], count: number): T[][] {
  if (count === 0) return [[]];
  return items.flatMap((item, at) => pick(items.slice(at + 1), count - 1).map((rest) => [item, ...rest]));
}

/** `HANGS` when the promise has not settled after that many real milliseconds. */
export function limit<T>(work: Promise<T>, realMs = 5000): Promise<T | 'HANGS'> {
  return Promise.race([work, systemClock.sleep(realMs).then(() => 'HANGS' as const)]);
}
