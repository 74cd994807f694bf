/** Where the gateway is reached: S3, the control socket for the CLI, and the status page. All tell the same truth. */
import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import { startControlServer } from '../admin/controlsocket.ts';
import { Metrics } from '../admin/metrics.ts';
import { startPageServer } from '../admin/pageserver.ts';
import type { GatewayControl } from '../admin/report.ts';
import type { Clock } from '../base/clock.ts';
import { SECOND_MS } from '../base/units.ts';
import { type Config, parseAddress } from '../config/load.ts';
import { operations } from '../s3/operations/index.ts';
import { S3Server } from '../s3/server.ts';
import { bucketControl } from './bucketcontrol.ts';
import type { Closers } from './closers.ts';
import type { Foundation } from './foundation.ts';
import type { OpenGrid } from './opengrid.ts';
import { buildStatus } from './status.ts';
import type { Storage } from './storage.ts';

const DRAIN_MS = 30 * SECOND_MS;

export interface DoorParts {
  readonly config: Config;
  readonly foundation: Foundation;
  readonly grid: OpenGrid;
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Logger;
  readonly startedAtMs: number;
}

export interface Doors {
  readonly s3: S3Server;
  readonly control: GatewayControl;
  readonly endpoint: string;
  /** undefined when it is switched off. */
  readonly statusPage: string | undefined;
}

/** @throws PortInUse or ConfigInvalid naming the address and its setting */
export async function openDoors(parts: DoorParts, closers: Closers): Promise<Doors> {
  const { config, foundation } = parts;
  const metrics = new Metrics();
  const s3 = createS3(parts, metrics);
  const address = parseAddress(config.string('s3.listen'), config.source('s3.listen'));
  const bound = await s3.listen(address.host, address.port);
  closers.add(() => s3.close({ graceMs: DRAIN_MS }));
  const scheme = config.optional('s3.tls-cert') === undefined ? 'http' : 'https';
  const endpoint = `${scheme}://${hostOf(address.host)}:${bound.port}`;
  const control = createControl(parts, () => status(parts, endpoint), metrics);
  const socket = await startControlServer(control, foundation.data.path);
  closers.add(() => socket.close());
  return { s3, control, endpoint, statusPage: await startPage(config, control, closers) };
}

function status({ foundation, grid, storage, clock, startedAtMs }: DoorParts, endpoint: string) {
  const { registry, nodes, committer } = grid;
  const { engine, profile, bundle } = foundation;
  return buildStatus({
    ...{ registry, healer: storage.healer, engine, profile, endpoint, startedAtMs },
    grid: bundle.gridId.toString('hex').slice(0, 8),
    nowMs: () => clock.nowMs(),
    placeOf: (record) => nodes.placeOf(record),
    problemOf: (id) => nodes.problem(id) || registry.problem(id),
    isStalled: () => committer.stalled,
    relaxedStripes: storage.stripes.relaxedCount,
  });
}

function createS3({ config, foundation, grid, storage, log }: DoorParts, metrics: Metrics): S3Server {
  const { credentials, profile } = foundation;
  const { accessKeyId, secretAccessKey } = credentials;
  const ownerId = createHash('sha256').update('holdfast owner').update(accessKeyId).digest('hex');
  const root = { accessKeyId, secretAccessKey, ownerId, displayName: 'root' };
  const certPath = config.optional('s3.tls-cert');
  const keyPath = config.optional('s3.tls-key');
  return new S3Server({
    operations,
    objects: storage.objects.service,
    credentials: { find: (accessKeyId) => (accessKeyId === root.accessKeyId ? root : undefined) },
    log,
    ready: () => grid.registry.candidates(Buffer.alloc(0)).length > profile.m,
    region: config.string('s3.region'),
    domains: config.strings('s3.domains'),
    ...(certPath !== undefined && keyPath !== undefined ? { tls: { certPath, keyPath } } : {}),
    limits: { connectionsMax: config.number('s3.connections') },
    onRequest: (sample) => metrics.countRequest(sample),
  });
}

function createControl(
  { grid: { nodes }, storage: { healer, objects }, clock }: DoorParts,
  status: GatewayControl['status'],
  metrics: Metrics,
): GatewayControl {
  return {
    status,
    stopNode: (id) => nodes.stop(id),
    startNode: (id) => nodes.start(id),
    addNode: (node) => nodes.add(node),
    removeNode: async (id) => {
      await nodes.remove(id);
      await healer.nodeLost(id, 'node removed');
    },
    replaceNode: async (id, path) => {
      const replaced = await nodes.replace(id, path);
      await healer.nodeLost(id, 'node replaced');
      return replaced;
    },
    scrub: async ({ dryRun, deleteOrphans }) => {
      const startedMs = clock.monotonicMs();
      const { counts, ...rest } = await healer.scrubNow({ dryRun, deleteOrphans });
      return { ...counts, ...rest, durationMs: clock.monotonicMs() - startedMs, dryRun };
    },
    ...bucketControl(objects.buckets),
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
