/**
 * One process of a simulated gateway: everything real but disk, metadata, clock and randomness, put together in the order of
 * src/gateway/gateway.ts. A crash drops it as it is; its clock stops with it, so nothing of it wakes up again.
 */

import { Task } from '../../src/base/task.ts';
import { HOUR_MS, SECOND_MS } from '../../src/base/units.ts';
import { SlotCommitter } from '../../src/commitlog/committer.ts';
import { engineSlotWriter } from '../../src/commitlog/slot.ts';
import { openTerm } from '../../src/commitlog/term.ts';
import { deriveGridKeys, repairKeysOf } from '../../src/crypto/gridkeys.ts';
import { EpochKeyring } from '../../src/crypto/keyring.ts';
import { createLocator, type Locator } from '../../src/crypto/locator.ts';
import { orphansHeldUntilMs } from '../../src/gateway/rollback.ts';
import { upkeepTasks } from '../../src/gateway/upkeep.ts';
import { GridRegistry } from '../../src/grid/registry.ts';
import { Healer } from '../../src/healing/healer.ts';
import { keys } from '../../src/metadata/keys.ts';
import { encodeRecord } from '../../src/metadata/records.ts';
import { createObjects, type Objects } from '../../src/objects/service.ts';
import { InlineEngine } from '../../src/stripes/engine/inline.ts';
import { Stripes } from '../../src/stripes/store.ts';
import type { Profile } from '../../src/stripes/types.ts';
import { SimulatedClock } from './clock.ts';
import type { Machine } from './machine.ts';
import type { SimulatedMetadata } from './metadata.ts';
import { SimulatedNodes } from './nodes.ts';

const LOG_ID = 1;
const UPLOAD_IDLE_MS_MAX = 1000 * HOUR_MS;
const MIB = 1024 * 1024;
const gridKeys = deriveGridKeys({
  gridSecret: Buffer.alloc(32, 7),
  gridId: Buffer.alloc(16, 8),
  generation: 1,
});
export const bufferCounts = { write: 5, read: 8, rescue: 3, repair: 3 };

export interface SimulatedGateway {
  readonly clock: SimulatedClock;
  readonly engine: SimulatedMetadata;
  readonly committer: SlotCommitter;
  readonly registry: GridRegistry;
  readonly nodes: SimulatedNodes;
  readonly stripes: Stripes;
  readonly stripeEngine: InlineEngine;
  readonly objects: Objects;
  readonly healer: Healer;
  readonly locator: Locator;
  readonly profile: Profile;
  /** What background work failed with. */
  readonly failures: unknown[];
  /** An orderly stop. */
  close(): Promise<void>;
}

export async function startGateway(
  machine: Machine,
  profile: Profile,
  wallMs: number,
  trace: (line: string) => void,
): Promise<SimulatedGateway> {
  const clock = new SimulatedClock(wallMs);
  const random = machine.prng.fork();
  // Nobody moves the clock on while a gateway starts.
  machine.sleep = () => Promise.resolve();
  const engine = machine.metadata;
  const registry = new GridRegistry(clock, profile);
  const nodes = new SimulatedNodes({ machine, engine, clock, random, registry });
  const added = await nodes.open();
  const locator = await createLocator(gridKeys);
  const highest = await highestTerm(registry, locator);
  const orphansHeldUntil = await orphansHeldUntilMs(engine, highest, wallMs);
  const token = await openTerm(engine, highest, random);
  const committer = new SlotCommitter({ engine, clock, token, writer: engineSlotWriter(engine) });
  nodes.committer = committer;
  for (const [id, record] of added) {
    await committer.commit([{ type: 'put', key: keys.node(id), value: encodeRecord(record) }]);
  }
  const stripeEngine = new InlineEngine({ profile, bufferCounts });
  const stripes = await Stripes.create({
    ...{ grid: registry, clock, profile, engine: stripeEngine },
    positions: { logId: LOG_ID, ...token },
    keys: repairKeysOf(gridKeys),
  });
  const failures: unknown[] = [];
  const keyring = new EpochKeyring({ keys: gridKeys, clock, random });
  const onBackgroundError = (error: unknown) => failures.push(error);
  const objects = createObjects({ engine, committer, stripes, keyring, clock, random, onBackgroundError });
  const log = {
    warn: (fields: object, message: string) => {
      const { err, ...rest } = { err: undefined, ...fields } as { err: unknown };
      if (err !== undefined) failures.push(err);
      trace(`log: ${message} ${JSON.stringify(rest)} ${err ?? ''}`);
    },
    info: (fields: object, message: string) => trace(`log: ${message} ${JSON.stringify(fields)}`),
  };
  const healer = new Healer({
    ...{ engine, committer, clock, random, log, profile },
    orphansHeldUntilMs: orphansHeldUntil,
    relocate: (stripeId) => objects.upkeep.relocateStripe(stripeId),
    grid: registry,
    surgery: stripes.surgery,
    isPinned: (stripeId) => stripes.isPinned(stripeId),
    logId: LOG_ID,
    repairBytesPerSecond: 64 * MIB,
    scrubBytesPerSecond: 64 * MIB,
    scrubPassMs: 24 * HOUR_MS,
    declareLost: (nodeId) => nodes.declareLost(nodeId),
  });
  stripes.onDamage = (stripeId, index, reason) => {
    healer.damage.report(stripeId, index, `found ${reason} by a read`);
  };
  registry.onRegression((node) => healer.inventoryNode(node.id, { lostData: true }));
  machine.sleep = (delayMs) => clock.sleep(delayMs);
  healer.start();
  const tasks = upkeepTasks(objects.upkeep, clock, UPLOAD_IDLE_MS_MAX).map(
    ({ name, step }) => new Task(name, clock, log, step),
  );
  const look = async () => {
    await nodes.look();
    return SECOND_MS;
  };
  tasks.push(new Task('nodes', clock, log, look));
  for (const task of tasks) task.start();

  const close = async () => {
    await Promise.all(tasks.map((task) => task.stop()));
    await healer.stop();
    await objects.upkeep.idle();
    await committer.close();
    await stripeEngine.close();
    await nodes.close();
  };
  return {
    ...{
      clock,
      engine,
      committer,
      registry,
      nodes,
      stripes,
      stripeEngine,
      objects,
      healer,
      locator,
      profile,
    },
    ...{ failures, close },
  };
}

async function highestTerm(registry: GridRegistry, locator: Locator): Promise<number> {
  let highest = 0;
  for (const node of registry.nodes()) {
    if (node.state !== 'online') continue;
    let after: Buffer | undefined;
    do {
      const page = await node.store.list(after, 10_000);
      for (const { name } of page.fragments) highest = Math.max(highest, locator.invert(name)?.term ?? 0);
      after = page.next;
    } while (after !== undefined);
  }
  return highest;
}
