/**
 * A running gateway: opens the data directory, the metadata, the keys and the nodes, takes a term, and serves. Order matters: the lock of
 * the metadata comes before anything is changed, the inventory of names before a term is taken, the term before anything is
 * written (design/commits.md, "Names").
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { startControlServer } from '../admin/controlsocket.ts';
import { Metrics } from '../admin/metrics.ts';
import { startPageServer } from '../admin/pageserver.ts';
import type { GatewayControl } from '../admin/report.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { HoldfastError, hasCode } from '../base/errors.ts';
import { type Random, systemRandom } from '../base/random.ts';
import { DAY_MS, SECOND_MS } from '../base/units.ts';
import { codecById } from '../coding/registry.ts';
import { SlotCommitter } from '../commitlog/committer.ts';
import { engineSlotWriter } from '../commitlog/slot.ts';
import { openTerm } from '../commitlog/term.ts';
import { type Credentials, loadCredentials } from '../config/credentials.ts';
import { type DataDirectory, openDataDirectory } from '../config/datadirectory.ts';
import { type Config, parseAddress } from '../config/load.ts';
import { version } from '../config/version.ts';
import { createBundle, type GatewayBundle, loadBundle } from '../crypto/bundle.ts';
import { deriveGridKeys, repairKeysOf } from '../crypto/gridkeys.ts';
import { EpochKeyring } from '../crypto/keyring.ts';
import { createLocator } from '../crypto/locator.ts';
import { platformSelfTest } from '../crypto/selftest.ts';
import { GridRegistry } from '../grid/registry.ts';
import type { GridNode } from '../grid/types.ts';
import { Healer } from '../healing/healer.ts';
import { Task } from '../healing/task.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { type LevelEngine, openLevel } from '../metadata/level.ts';
import { encodeRecord } from '../metadata/records.ts';
import { realDisk } from '../node/realdisk.ts';
import { createObjects, type Objects } from '../objects/service.ts';
import { operations } from '../s3/operations/index.ts';
import { S3Server } from '../s3/server.ts';
import { WorkerEngine } from '../stripes/engine/workers.ts';
import { Stripes } from '../stripes/store.ts';
import type { Profile } from '../stripes/types.ts';
import { EmbeddedNodes, type NodeFolders } from './embeddednodes.ts';
import { orphansHeldUntilMs } from './rollback.ts';
import { buildStatus } from './status.ts';
import { upkeepTasks } from './upkeep.ts';
import { type Welcome, writeClientFiles } from './welcome.ts';

/** One log for each gateway; there is one gateway. */
const LOG_ID = 1;
const DRAIN_MS = 30 * SECOND_MS;
const GRID_KEY = keys.singleton('grid');
const NAMES_PER_PAGE = 10_000;

interface TermLocator {
  invert(name: Uint8Array): { readonly term: number } | undefined;
}

export interface Gateway {
  readonly welcome: Welcome;
  readonly control: GatewayControl;
  reloadTls(): void;
  /** Finishes requests, then what is under way, then closes. */
  close(): Promise<void>;
}

/** What was opened so far, closed in reverse order when the start fails half-way or the gateway stops. */
class Closers {
  readonly #closers: (() => Promise<unknown> | unknown)[] = [];

  add(close: () => Promise<unknown> | unknown): void {
    this.#closers.push(close);
  }

  async closeAll(): Promise<void> {
    const failures: unknown[] = [];
    for (let close = this.#closers.pop(); close !== undefined; close = this.#closers.pop()) {
      try {
        await close();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}

export async function startGateway(
  config: Config,
  environment: Readonly<Record<string, string | undefined>>,
  log: Logger,
): Promise<Gateway> {
  const closers = new Closers();
  try {
    return await assemble(config, environment, log, closers);
  } catch (error) {
    await closers.closeAll().catch((err: unknown) => log.error({ err }, 'closing after a failed start'));
    throw error;
  }
}

async function assemble(
  config: Config,
  environment: Readonly<Record<string, string | undefined>>,
  log: Logger,
  closers: Closers,
): Promise<Gateway> {
  platformSelfTest();
  const [clock, random] = [systemClock, systemRandom];
  const startedAtMs = clock.nowMs();
  const profile = profileOf(config);
  const data = await openDataDirectory(config.string('data'));
  const engine = await openLevel(data.metadata);
  closers.add(() => engine.close());
  const { bundle, notes } = await openBundle(data, engine, random);
  const gridKeys = deriveGridKeys(bundle);
  const credentials = await loadCredentials(data.credentials, environment, random);

  const registry = new GridRegistry(clock, profile);
  const capacityBytes = config.optionalNumber('grid.node-capacity');
  const disk = realDisk;
  const embedded = new EmbeddedNodes({
    dataDirectory: data.path,
    ...{ engine, disk, clock, random, registry, log, capacityBytes },
  });
  closers.add(() => embedded.close());
  const added = await embedded.open(foldersOf(config, data));
  const highest = await highestTerm(registry, await createLocator(gridKeys));
  const heldUntilMs = await orphansHeldUntilMs(engine, highest, clock.nowMs());
  if (heldUntilMs > clock.nowMs()) {
    log.warn('the metadata is older than what the nodes hold: fragments that it does not know are kept');
  }
  const token = await openTerm(engine, highest, random);
  const committer = new SlotCommitter({
    ...{ engine, clock, token },
    writer: engineSlotWriter(engine),
    onFailure: (err, slot, attempt) =>
      log.error({ err, slot, attempt }, 'metadata could not be written; trying again'),
  });
  closers.add(() => committer.close());
  embedded.committer = committer;
  await committer.commit(
    [...added].map(([id, record]) => ({ type: 'put', key: keys.node(id), value: encodeRecord(record) })),
  );

  const stripeEngine = new WorkerEngine({ profile });
  closers.add(() => stripeEngine.close());
  const positions = { logId: LOG_ID, ...token };
  const stripes = await Stripes.create({
    ...{ grid: registry, clock, profile, positions },
    engine: stripeEngine,
    keys: repairKeysOf(gridKeys),
  });
  const keyring = new EpochKeyring({ keys: gridKeys, clock, random });
  const objects = createObjects({
    ...{ engine, committer, stripes, keyring, clock, random },
    onBackgroundError: (err) => log.warn({ err }, 'background work failed; it is tried again'),
  });
  closers.add(() => objects.upkeep.idle());
  const healer = startHealing({
    config,
    engine,
    committer,
    registry,
    stripes,
    clock,
    log,
    profile,
    random,
    embedded,
    objects,
    heldUntilMs,
    closers,
  });
  startUpkeep({ config, objects, embedded, clock, log, closers });

  const metrics = new Metrics();
  const s3 = createS3(config, credentials, objects, registry, profile, metrics, log);
  const s3Address = parseAddress(config.string('s3.listen'), config.source('s3.listen'));
  const bound = await s3.listen(s3Address.host, s3Address.port);
  closers.add(() => s3.close({ graceMs: DRAIN_MS }));
  const endpoint = `${config.optional('s3.tls-cert') === undefined ? 'http' : 'https'}://${hostOf(s3Address.host)}:${bound.port}`;
  const status = () =>
    buildStatus({
      ...{ registry, healer, engine, profile, endpoint, startedAtMs },
      grid: bundle.gridId.toString('hex').slice(0, 8),
      nowMs: () => clock.nowMs(),
      absolutePath: (path) => embedded.absolute(path),
      problemOf: (id) => embedded.problem(id) || registry.problem(id),
      isStalled: () => committer.stalled,
    });
  const control = createControl({ status, embedded, healer, metrics, clock });
  const socket = await startControlServer(control, data.path);
  closers.add(() => socket.close());
  const statusPage = await startPage(config, control, closers);
  const buckets = await objects.service.listBuckets();
  const commands = await writeClientFiles({
    dataDirectory: data.path,
    endpoint,
    region: config.string('s3.region'),
    credentials,
    firstBucket: buckets[0]?.name,
  });
  const { survives, nodes } = await status();
  return {
    welcome: {
      version,
      endpoint,
      statusPage,
      data: data.path,
      grid: `${nodes.filter((node) => node.admin !== 'lost').length} nodes, ${profile.k} + ${profile.m}; survives ${survives.text}`,
      keys: credentials.source,
      notes,
      ...commands,
    },
    control,
    reloadTls: () => void s3.reloadTls(),
    close: () => closers.closeAll(),
  };
}

function profileOf(config: Config): Profile {
  const profile = {
    k: config.number('grid.data-fragments'),
    m: config.number('grid.parity-fragments'),
    codecId: config.number('grid.codec'),
  };
  const codec = codecById(profile.codecId);
  if (!codec.supports(profile.k, profile.m)) {
    throw new HoldfastError('ConfigInvalid', {
      detail: `${config.source('grid.codec')}: codec ${codec.name} cannot do ${profile.k} + ${profile.m}`,
    });
  }
  return profile;
}

/**
 * Keys are made once, with an empty metadata database. When one of the two is there without the other, the other was lost: making new
 * keys, or taking every fragment for an orphan, would finish what the loss began.
 */
async function openBundle(
  data: DataDirectory,
  engine: MetadataEngine,
  random: Random,
): Promise<{ readonly bundle: GatewayBundle; readonly notes: readonly string[] }> {
  const grid = await engine.get(GRID_KEY);
  if (data.hasBundle) {
    const { bundle, warnings } = await loadBundle(data.bundle);
    if (grid !== undefined && !grid.equals(bundle.gridId)) {
      throw new HoldfastError('DataDirectoryInvalid', {
        detail: `${data.bundle} and ${data.metadata} belong to different grids; put the right one back from a copy`,
      });
    }
    if (grid === undefined && data.hasNodes) {
      throw new HoldfastError('DataDirectoryInvalid', {
        detail: `${data.metadata} is empty, but there are keys and nodes: put the metadata back from a copy`,
      });
    }
    if (grid === undefined) await putGrid(engine, bundle);
    return { bundle, notes: warnings };
  }
  // A missing file is refused there with its name.
  if (grid !== undefined || data.hasNodes) await loadBundle(data.bundle);
  const bundle = await createBundle(data.bundle, random);
  await putGrid(engine, bundle);
  return {
    bundle,
    notes: [`${data.bundle} holds the keys of everything: keep a copy of it in a safe place`],
  };
}

function putGrid(engine: MetadataEngine, bundle: GatewayBundle): Promise<void> {
  return engine.batch([{ type: 'put', key: GRID_KEY, value: bundle.gridId }], { sync: true });
}

function foldersOf(config: Config, data: DataDirectory): NodeFolders {
  const folders = config.strings('grid.folders');
  if (folders.length > 0) return { paths: folders, onlyFirst: false };
  const count = config.number('grid.nodes');
  const paths = Array.from({ length: count }, (_, index) => join(data.nodes, `node-${index + 1}`));
  return { paths, onlyFirst: config.source('grid.nodes') === 'default' };
}

/** The highest term in the names that the nodes hold; 0 when there are none. */
async function highestTerm(registry: GridRegistry, locator: TermLocator): Promise<number> {
  const online = registry.nodes().filter((node) => node.state === 'online');
  return Math.max(0, ...(await Promise.all(online.map((node) => highestTermOn(node, locator)))));
}

/** A node that fails while it is listed has said what it said: starts differ by their random number as well. */
async function highestTermOn({ store }: GridNode, locator: TermLocator): Promise<number> {
  let highest = 0;
  let after: Buffer | undefined;
  try {
    do {
      const page = await store.list(after, NAMES_PER_PAGE);
      for (const { name } of page.fragments) highest = Math.max(highest, locator.invert(name)?.term ?? 0);
      after = page.next;
    } while (after !== undefined);
  } catch (error) {
    if (!hasCode(error, 'NodeUnavailable', 'NodeFailed')) throw error;
  }
  return highest;
}

function startHealing(parts: {
  readonly config: Config;
  readonly engine: LevelEngine;
  readonly committer: SlotCommitter;
  readonly registry: GridRegistry;
  readonly stripes: Stripes;
  readonly clock: Clock;
  readonly log: Logger;
  readonly profile: Profile;
  readonly random: Random;
  readonly embedded: EmbeddedNodes;
  readonly objects: Objects;
  readonly heldUntilMs: number;
  readonly closers: Closers;
}): Healer {
  const { config, engine, committer, registry, stripes, clock, log, profile, random, embedded } = parts;
  const healer = new Healer({
    ...{ engine, committer, clock, random, log, profile },
    orphansHeldUntilMs: parts.heldUntilMs,
    relocate: (stripeId) => parts.objects.upkeep.relocateStripe(stripeId),
    grid: registry,
    surgery: stripes.surgery,
    isPinned: (stripeId) => stripes.isPinned(stripeId),
    logId: LOG_ID,
    repairBytesPerSecond: config.number('healing.repair-rate'),
    scrubBytesPerSecond: config.number('healing.scrub-rate'),
    scrubPassMs: config.number('healing.scrub-days') * DAY_MS,
    declareLost: (nodeId) => embedded.declareLost(nodeId),
  });
  stripes.onDamage = (stripeId, index, reason) => {
    if (reason !== 'unreachable') healer.damage.report(stripeId, index, `found ${reason} by a read`);
  };
  registry.onRegression((node) => healer.inventoryNode(node.id, { lostData: true }));
  healer.start();
  parts.closers.add(() => healer.stop());
  return healer;
}

function startUpkeep(parts: {
  readonly config: Config;
  readonly objects: Objects;
  readonly embedded: EmbeddedNodes;
  readonly clock: Clock;
  readonly log: Logger;
  readonly closers: Closers;
}): void {
  const { config, objects, embedded, clock, log } = parts;
  const idleMsMax = config.number('s3.upload-days') * DAY_MS;
  const tasks = upkeepTasks(objects.upkeep, clock, idleMsMax).map(
    ({ name, step }) => new Task(name, clock, log, step),
  );
  tasks.push(
    new Task('nodes', clock, log, async () => {
      await embedded.look();
      return SECOND_MS;
    }),
  );
  for (const task of tasks) task.start();
  parts.closers.add(() => Promise.all(tasks.map((task) => task.stop())));
}

function createS3(
  config: Config,
  credentials: Credentials,
  objects: Objects,
  registry: GridRegistry,
  profile: Profile,
  metrics: Metrics,
  log: Logger,
): S3Server {
  const { accessKeyId, secretAccessKey } = credentials;
  const ownerId = createHash('sha256').update('holdfast owner').update(accessKeyId).digest('hex');
  const root = { accessKeyId, secretAccessKey, ownerId, displayName: 'root' };
  const certPath = config.optional('s3.tls-cert');
  const keyPath = config.optional('s3.tls-key');
  return new S3Server({
    operations,
    objects: objects.service,
    credentials: { find: (accessKeyId) => (accessKeyId === root.accessKeyId ? root : undefined) },
    log,
    ready: () => registry.candidates(Buffer.alloc(0)).length > profile.m,
    region: config.string('s3.region'),
    domains: config.strings('s3.domains'),
    ...(certPath !== undefined && keyPath !== undefined ? { tls: { certPath, keyPath } } : {}),
    limits: { connectionsMax: config.number('s3.connections') },
    onRequest: (sample) => metrics.countRequest(sample),
  });
}

function createControl(parts: {
  readonly status: GatewayControl['status'];
  readonly embedded: EmbeddedNodes;
  readonly healer: Healer;
  readonly metrics: Metrics;
  readonly clock: Clock;
}): GatewayControl {
  const { status, embedded, healer, metrics, clock } = parts;
  return {
    status,
    stopNode: (id) => embedded.stop(id),
    startNode: (id) => embedded.start(id),
    replaceNode: async (id, path) => {
      const replaced = await embedded.replace(id, path);
      await healer.nodeLost(id, 'node replaced');
      return replaced;
    },
    scrub: async ({ dryRun, deleteOrphans }) => {
      const startedMs = clock.monotonicMs();
      const { counts, ...rest } = await healer.scrubNow({ dryRun, deleteOrphans });
      return { ...counts, ...rest, durationMs: clock.monotonicMs() - startedMs, dryRun };
    },
    metrics: async () => metrics.render(await status()),
  };
}

async function startPage(
  config: Config,
  control: GatewayControl,
  closers: Closers,
): Promise<string | undefined> {
  if (config.string('admin.listen') === 'off') return undefined;
  const address = parseAddress(config.string('admin.listen'), config.source('admin.listen'));
  const page = await startPageServer(control, address);
  closers.add(() => page.close());
  const bound = page.server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port;
  return `http://${hostOf(address.host)}:${port}`;
}

/** A host for people to paste: the wildcard addresses are reached by the loopback one. */
function hostOf(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}
