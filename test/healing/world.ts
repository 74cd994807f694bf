/**
 * Healing over real LevelDB, real nodes in temporary directories and the real stripe and object layers, in one process. Background tasks
 * are not started: each test runs the step that it is about. With a simulated clock, deadlines never pass by themselves.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import type { Clock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { MIB } from '../../src/base/units.ts';
import { SlotCommitter } from '../../src/commitlog/committer.ts';
import { engineSlotWriter } from '../../src/commitlog/slot.ts';
import { openTerm } from '../../src/commitlog/term.ts';
import { deriveGridKeys } from '../../src/crypto/gridkeys.ts';
import { EpochKeyring } from '../../src/crypto/keyring.ts';
import { createLocator } from '../../src/crypto/locator.ts';
import { EmbeddedNodes } from '../../src/gateway/embeddednodes.ts';
import { NodeIds } from '../../src/gateway/gridnodes.ts';
import { GridRegistry } from '../../src/grid/registry.ts';
import { Healer } from '../../src/healing/healer.ts';
import type { MetadataEngine } from '../../src/metadata/engine.ts';
import { keys, prefixes } from '../../src/metadata/keys.ts';
import { openLevel } from '../../src/metadata/level.ts';
import { decodeRecord, encodeRecord, type StripeRecord } from '../../src/metadata/records.ts';
import { realDisk } from '../../src/node/realdisk.ts';
import { createObjects, type Objects } from '../../src/objects/service.ts';
import { queueKey } from '../../src/stripes/condition.ts';
import { InlineEngine } from '../../src/stripes/engine/inline.ts';
import { Stripes } from '../../src/stripes/store.ts';
import type { WrittenStripe } from '../../src/stripes/types.ts';
import { readAll } from '../objects/world.ts';
import { SimulatedClock } from '../simulation/clock.ts';

const profile = { k: 4, m: 2, codecId: 1 };
const gridSecret = { gridSecret: Buffer.alloc(32, 3), gridId: Buffer.alloc(16, 4), generation: 1 };
const LOG_ID = 1;

export interface HealingWorld {
  readonly directory: string;
  readonly clock: Clock;
  readonly engine: MetadataEngine;
  readonly committer: SlotCommitter;
  readonly registry: GridRegistry;
  readonly nodes: EmbeddedNodes;
  readonly stripes: Stripes;
  readonly objects: Objects;
  readonly healer: Healer;
  /** What went wrong in the background; must stay empty. */
  readonly failures: unknown[];
  folder(nodeId: number): string;
  /** Writes a stripe of random bytes; with `commit` false it stays in flight. */
  write(lengthBytes: number, options?: { readonly commit?: boolean }): Promise<WrittenStripe>;
  commit(stripe: WrittenStripe): Promise<void>;
  record(stripeId: Buffer): Promise<StripeRecord | undefined>;
  nameOf(stripeId: Buffer, index: number): Buffer;
  /** Repairs until nothing more can be done. */
  repairAll(): Promise<void>;
  close(): Promise<void>;
}

export async function createHealingWorld(
  options: { readonly clock?: Clock; readonly heldUntilMs?: number } = {},
): Promise<HealingWorld> {
  const clock = options.clock ?? new SimulatedClock();
  const random = systemRandom;
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-healing-'));
  const engine = await openLevel(join(directory, 'metadata'));
  const registry = new GridRegistry(clock, profile);
  const log = pino({ level: 'silent' });
  const nodes = new EmbeddedNodes({
    ...{ ids: new NodeIds(), clock, random, registry, log },
    dataDirectory: directory,
    disk: realDisk,
    capacityBytes: undefined,
  });
  const folder = (nodeId: number) => join(directory, `node-${nodeId}`);
  const added = await nodes.open(new Map(), { paths: [1, 2, 3, 4, 5, 6].map(folder), byDefault: false });
  const token = await openTerm(engine, 0, random);
  const committer = new SlotCommitter({ engine, clock, token, writer: engineSlotWriter(engine) });
  nodes.committer = committer;
  for (const [id, record] of added) {
    await committer.commit([{ type: 'put', key: keys.node(id), value: encodeRecord(record) }]);
  }
  const gridKeys = deriveGridKeys(gridSecret);
  const stripes = await Stripes.create({
    ...{ clock, profile, grid: registry, keys: gridKeys },
    engine: new InlineEngine({ profile }),
    positions: { logId: LOG_ID, ...token },
  });
  const failures: unknown[] = [];
  const objects = createObjects({
    ...{ engine, committer, stripes, clock, random },
    keyring: new EpochKeyring({ clock, random, keys: gridKeys }),
    onBackgroundError: (error) => failures.push(error),
  });
  const healer = new Healer({
    ...{ engine, committer, clock, random, profile },
    grid: registry,
    surgery: stripes.surgery,
    log: {
      info: () => undefined,
      warn: (fields) => {
        if ('err' in fields) failures.push(fields.err);
      },
    },
    isPinned: (stripeId) => stripes.isPinned(stripeId),
    logId: LOG_ID,
    repairBytesPerSecond: 1e12,
    scrubBytesPerSecond: 1e12,
    scrubPassMs: 1e9,
    declareLost: (nodeId) => nodes.declareLost(nodeId),
    relocate: (stripeId) => objects.upkeep.relocateStripe(stripeId),
    orphansHeldUntilMs: options.heldUntilMs ?? 0,
  });
  stripes.onDamage = (stripeId, index, reason) => {
    healer.damage.report(stripeId, index, reason);
  };
  const locator = await createLocator(gridKeys);
  const record = async (stripeId: Buffer) => {
    const bytes = await committer.peek(keys.stripe(stripeId));
    return bytes === undefined ? undefined : decodeRecord<StripeRecord>(bytes);
  };
  const commit = async (stripe: WrittenStripe) => {
    await committer.commit([
      { type: 'put', key: keys.stripe(stripe.stripeId), value: encodeRecord(stripe.record) },
    ]);
    stripes.settle(stripe.stripeId);
  };
  return {
    ...{ directory, clock, engine, committer, registry, nodes, stripes, objects, healer, failures, folder },
    ...{ record, commit },
    write: async (lengthBytes, { commit: commits = true } = {}) => {
      const buffer = await stripes.acquire();
      try {
        buffer.plaintext.set(random.bytes(lengthBytes));
        const stripe = await stripes.write(buffer, [
          {
            ...{
              plaintextOffsetBytes: 0,
              plaintextLengthBytes: lengthBytes,
              firstChunkIndex: 0,
              final: true,
            },
            ...{ aeadKey: random.bytes(32), baseNonce: random.bytes(12) },
          },
        ]);
        if (commits) await commit(stripe);
        return stripe;
      } finally {
        buffer.release();
      }
    },
    nameOf: (stripeId, index) => locator.fragmentName(stripeId, index),
    repairAll: async () => {
      await healer.damage.flush();
      healer.repairer.retryAll();
      while ((await healer.repairer.step()) > 0) {
        // Each step takes the head of the queue.
      }
    },
    close: async () => {
      await healer.stop();
      await objects.upkeep.idle();
      await committer.close();
      await nodes.close();
      await engine.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Keys that the queue should have by the records, and those that it has. */
export async function queueOf(engine: MetadataEngine): Promise<{ expected: string[]; found: string[] }> {
  const expected = (await readAll(engine, prefixes.stripes()))
    .map(([key, value]) => queueKey(key.subarray(1), decodeRecord<StripeRecord>(value))?.toString('hex'))
    .filter((key) => key !== undefined);
  const found = (await readAll(engine, prefixes.queue())).map(([key]) => key.toString('hex'));
  return { expected: expected.sort(), found: found.sort() };
}

export const STRIPE_BYTES = MIB / 4;
