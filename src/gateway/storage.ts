/** Stripes and objects over the grid, and what keeps them well in the background: healing and upkeep. */
import type { Logger } from 'pino';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { Task } from '../base/task.ts';
import { DAY_MS, SECOND_MS } from '../base/units.ts';
import type { Config } from '../config/load.ts';
import { repairKeysOf } from '../crypto/gridkeys.ts';
import { EpochKeyring } from '../crypto/keyring.ts';
import { Healer } from '../healing/healer.ts';
import { createObjects, type Objects } from '../objects/service.ts';
import { createStripeEngine } from '../stripes/engine/create.ts';
import { Stripes } from '../stripes/store.ts';
import type { Closers } from './closers.ts';
import type { Foundation } from './foundation.ts';
import { LOG_ID, type OpenGrid } from './opengrid.ts';
import { upkeepTasks } from './upkeep.ts';

export interface StorageParts {
  readonly config: Config;
  readonly foundation: Foundation;
  readonly grid: OpenGrid;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface Storage {
  readonly objects: Objects;
  readonly healer: Healer;
  readonly stripes: Stripes;
}

export async function openStorage(parts: StorageParts, closers: Closers): Promise<Storage> {
  const { clock, random, log } = parts;
  const { engine, gridKeys, profile } = parts.foundation;
  const { registry, committer, token } = parts.grid;
  const stripeEngine = createStripeEngine({ profile });
  closers.add(() => stripeEngine.close());
  const stripes = await Stripes.create({
    ...{ grid: registry, clock, profile },
    engine: stripeEngine,
    keys: repairKeysOf(gridKeys),
    positions: { logId: LOG_ID, ...token },
  });
  const keyring = new EpochKeyring({ keys: gridKeys, clock, random });
  const objects = createObjects({
    ...{ engine, committer, stripes, keyring, clock, random },
    newBucketEtags: parts.config.string('s3.etag') === 'opaque' ? 'opaque' : 'md5',
    onBackgroundError: (err) => log.warn({ err }, 'background work failed; it is tried again'),
  });
  closers.add(() => objects.upkeep.close());
  const healer = startHealing(parts, stripes, objects, closers);
  startUpkeep(parts, objects, closers);
  return { objects, healer, stripes };
}

function startHealing(parts: StorageParts, stripes: Stripes, objects: Objects, closers: Closers): Healer {
  const { config, clock, log, random } = parts;
  const { engine, profile } = parts.foundation;
  const { registry, nodes, committer, heldUntilMs } = parts.grid;
  const healer = new Healer({
    ...{ engine, committer, clock, random, log, profile },
    orphansHeldUntilMs: heldUntilMs,
    relocate: (stripeId) => objects.upkeep.relocateStripe(stripeId),
    grid: registry,
    surgery: stripes.surgery,
    isPinned: (stripeId) => stripes.isPinned(stripeId),
    logId: LOG_ID,
    repairBytesPerSecond: config.number('healing.repair-rate'),
    scrubBytesPerSecond: config.number('healing.scrub-rate'),
    scrubPassMs: config.number('healing.scrub-days') * DAY_MS,
    declareLost: (nodeId) => nodes.declareLost(nodeId),
  });
  stripes.onDamage = (stripeId, index, reason) => {
    healer.damage.report(stripeId, index, `found ${reason} by a read`);
  };
  registry.onRegression((node) => healer.inventoryNode(node.id, { lostData: true }));
  healer.start();
  closers.add(() => healer.stop());
  return healer;
}

function startUpkeep({ config, grid, clock, log }: StorageParts, objects: Objects, closers: Closers): void {
  const idleMsMax = config.number('s3.upload-days') * DAY_MS;
  const tasks = upkeepTasks(objects.upkeep, clock, idleMsMax).map(
    ({ name, step }) => new Task(name, clock, log, step),
  );
  tasks.push(
    new Task('nodes', clock, log, async () => {
      await grid.nodes.look();
      return SECOND_MS;
    }),
  );
  for (const task of tasks) task.start();
  closers.add(() => Promise.all(tasks.map((task) => task.stop())));
}
