/**
 * A running gateway, from the ground up: foundation.ts (data directory, metadata, keys), opengrid.ts (nodes, term, committer), storage.ts
 * (stripes, objects, healing), doors.ts (S3, control socket, status page). It is closed in the reverse order.
 */
import type { Logger } from 'pino';
import type { GatewayControl } from '../admin/report.ts';
import { systemClock } from '../base/clock.ts';
import { systemRandom } from '../base/random.ts';
import type { Config } from '../config/load.ts';
import { version } from '../config/version.ts';
import { platformSelfTest } from '../crypto/selftest.ts';
import { Closers } from './closers.ts';
import { type Doors, openDoors } from './doors.ts';
import { type Foundation, openFoundation } from './foundation.ts';
import { openGrid } from './opengrid.ts';
import { openStorage, type Storage } from './storage.ts';
import { type Welcome, writeClientFiles } from './welcome.ts';

export interface Gateway {
  readonly welcome: Welcome;
  readonly control: GatewayControl;
  reloadTls(): void;
  /** Finishes requests, then what is under way, then closes. */
  close(): Promise<void>;
}

export async function startGateway(
  config: Config,
  environment: Readonly<Record<string, string | undefined>>,
  log: Logger,
): Promise<Gateway> {
  const closers = new Closers();
  try {
    return await start(config, environment, log, closers);
  } catch (error) {
    await closers.closeAll().catch((err: unknown) => log.error({ err }, 'closing after a failed start'));
    throw error;
  }
}

async function start(
  config: Config,
  environment: Readonly<Record<string, string | undefined>>,
  log: Logger,
  closers: Closers,
): Promise<Gateway> {
  platformSelfTest();
  const seams = { clock: systemClock, random: systemRandom, log };
  const startedAtMs = seams.clock.nowMs();
  const foundation = await openFoundation(config, environment, seams.random, closers);
  const grid = await openGrid(config, foundation, seams, closers);
  const storage = await openStorage({ config, foundation, grid, ...seams }, closers);
  const { clock } = seams;
  const doors = await openDoors({ config, foundation, grid, storage, clock, log, startedAtMs }, closers);
  return {
    welcome: await welcome(config, foundation, storage, doors),
    control: doors.control,
    reloadTls: () => void doors.s3.reloadTls(),
    close: () => closers.closeAll(),
  };
}

async function welcome(
  config: Config,
  { data, credentials, profile, notes }: Foundation,
  { objects }: Storage,
  { control, endpoint, statusPage }: Doors,
): Promise<Welcome> {
  const [firstBucket] = await objects.service.listBuckets();
  const commands = await writeClientFiles({
    dataDirectory: data.path,
    region: config.string('s3.region'),
    firstBucket: firstBucket?.name,
    ...{ endpoint, credentials },
  });
  const { survives, nodes, kernels } = await control.status();
  const count = nodes.filter((node) => node.admin !== 'lost').length;
  return {
    ...{ version, endpoint, statusPage, notes, ...commands },
    data: data.path,
    grid: `${count} nodes, ${profile.k} + ${profile.m}; survives ${survives.text}`,
    keys: credentials.source,
    kernels: kernels.text,
  };
}
