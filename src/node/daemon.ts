/**
 * A 3Node: one process, one data directory, no other state. It opens the directory, listens, and looks after what it keeps: compaction, and a
 * scrub that reads every byte again in a month. It may be closed in order or killed: nothing acknowledged depends on which.
 */
import { createServer } from 'node:net';
import { resolve } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { hasCode } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { Task } from '../base/task.ts';
import { MIB, SECOND_MS } from '../base/units.ts';
import type { Disk } from './disk.ts';
import { makeDurableDirectory } from './identity.ts';
import { lockDirectory } from './lock.ts';
import { openSecureSide, type SecureSide } from './secure.ts';
import { type Listener, type ListenTarget, listen } from './server/listener.ts';
import { NodeStore } from './store.ts';
import type { ZdbContext } from './zdb/context.ts';
import { ZdbSession } from './zdb/session.ts';
import { Waiters } from './zdb/waiters.ts';

const COMPACTION_BYTES_PER_STEP = 16 * MIB;
/** At this size or a tenth of a second's share, whichever is more, a scrub reads on. */
const SCRUB_BYTES_MIN = MIB;
const SCRUB_REST_MS = SECOND_MS;
const SCRUB_PASS_REST_MS = 10 * 60 * SECOND_MS;

export interface NodeLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface DaemonOptions {
  readonly directory: string;
  /** undefined: no plain listener. */
  readonly listen: ListenTarget | undefined;
  /** undefined: no TLS listener. */
  readonly tlsListen: ListenTarget | undefined;
  /** Make a join token, also when a grid is pinned already. */
  readonly wantsJoinToken: boolean;
  readonly adminPassword: Buffer;
  readonly capacityBytes: number | undefined;
  readonly connectionsMax: number;
  readonly scrubPassMs: number;
  readonly scrubBytesPerSecond: number;
  readonly version: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: NodeLog;
  /** The node cannot go on: its disk failed, or its directory went away. */
  readonly onEnd: (reason: Error) => void;
}

export interface Daemon {
  readonly nodeUuid: string;
  /** Where it listens without TLS; undefined when it does not. */
  readonly port: number | undefined;
  readonly tls:
    | {
        readonly port: number;
        readonly fingerprint: string;
        readonly fullFingerprint: string;
        readonly joinToken: string | undefined;
      }
    | undefined;
  close(): Promise<void>;
}

/** @throws DataDirectoryBusy, NodeUnavailable, FormatTooNew, PortInUse, naming what is wrong */
export async function startDaemon(given: DaemonOptions): Promise<Daemon> {
  const options = { ...given, directory: resolve(given.directory) };
  const { directory, clock, random, disk, log } = options;
  if (!(await disk.exists(directory))) await makeDurableDirectory(disk, directory);
  const lock = await lockDirectory(directory);
  let store: NodeStore | undefined;
  try {
    const limit = options.capacityBytes === undefined ? {} : { capacityBytes: options.capacityBytes };
    store = await NodeStore.open({ disk, directory, clock, random, initialise: true, ...limit });
    const { damagedRecords, tornRecords } = store.replayReport;
    if (damagedRecords > 0)
      log.warn({ damagedRecords }, 'records were found damaged; scrubs of gateways will repair them');
    if (tornRecords > 0) log.info({ tornRecords }, 'what a crash had left unfinished was cut off');
    const context = contextFor(options, store);
    const listener = await listenPlain(options, context);
    const secure = await listenSecurely(options, store, context);
    const tasks = upkeep(options, store);
    for (const task of tasks) task.start();
    const opened = store;
    return {
      nodeUuid: store.nodeUuid,
      port: listener?.port,
      tls: secure,
      close: async () => {
        await Promise.all([listener?.close(), secure?.listener.close(), ...tasks.map((task) => task.stop())]);
        await opened.close();
        await lock.release();
      },
    };
  } catch (error) {
    await store?.close();
    await lock.release();
    throw error;
  }
}

function contextFor(options: DaemonOptions, store: NodeStore): ZdbContext {
  const { clock, random, adminPassword, version, log } = options;
  return {
    ...{ store, clock, random, adminPassword, version },
    waiters: new Waiters(),
    startedAtMs: clock.nowMs(),
    onFault: (err) => log.error({ err }, 'a request ended with an error of ours'),
  };
}

async function listenPlain(
  options: DaemonOptions,
  context: ZdbContext,
): Promise<(Listener & { port: number }) | undefined> {
  if (options.listen === undefined) return undefined;
  const { clock, log, connectionsMax } = options;
  const server = createServer();
  const listener = await listen(
    {
      ...{ server, transport: 'plain', connectionsMax, clock },
      fingerprintOf: () => undefined,
      openSession: () => new ZdbSession(context),
      onError: (err) => log.error({ err }, 'a connection ended with an error of ours'),
    },
    options.listen,
  );
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return Object.assign(listener, { port });
}

/** A node that no grid knows yet makes a join token at every start: whoever can read what it says may take it. */
async function listenSecurely(options: DaemonOptions, store: NodeStore, context: ZdbContext) {
  if (options.tlsListen === undefined) return undefined;
  const { directory, clock, random, log, connectionsMax } = options;
  const side = await openSecureSide({
    ...{ directory, store, context, clock, random, connectionsMax },
    onError: (err) => log.error({ err }, 'a TLS connection ended with an error of ours'),
  });
  const listener = await side.listen(options.tlsListen);
  const { port } = listener;
  const { fingerprint, fullFingerprint } = side;
  const wanted = options.wantsJoinToken || !side.isEnrolled;
  return {
    listener,
    port,
    fingerprint,
    fullFingerprint,
    joinToken: wanted ? await joinToken(side, log) : undefined,
  };
}

/** As many as may be open are no reason not to start. */
async function joinToken(side: SecureSide, log: NodeLog): Promise<string | undefined> {
  try {
    return await side.makeJoinToken();
  } catch (error) {
    if (!hasCode(error, 'InvalidRequest')) throw error;
    log.warn({}, error.message);
    return undefined;
  }
}

function upkeep(options: DaemonOptions, store: NodeStore): Task[] {
  const { clock, log } = options;
  const compaction = new Task('compaction', clock, log, async () => {
    try {
      await store.checkDirectory();
      await store.compactStep(COMPACTION_BYTES_PER_STEP);
    } catch (error) {
      if (hasCode(error, 'NodeFailed', 'NodeUnavailable')) options.onEnd(error);
      throw error;
    }
    return SECOND_MS;
  });
  return [compaction, scrubbing(options, store)];
}

/** Reads as fast as a pass in time needs, and not faster than it may. */
function scrubbing({ clock, log, scrubPassMs, scrubBytesPerSecond }: DaemonOptions, store: NodeStore): Task {
  return new Task('scrub', clock, log, async () => {
    const { usedBytes } = await store.hello();
    const needed = (usedBytes / (scrubPassMs / SECOND_MS)) * (SCRUB_REST_MS / SECOND_MS);
    const budgetBytes = Math.min(Math.max(SCRUB_BYTES_MIN, 2 * needed), Math.max(1, scrubBytesPerSecond));
    const cursor = await store.loadScrubCursor();
    const progress = await store.scrubStep(cursor, budgetBytes);
    await store.saveScrubCursor(progress.next);
    for (const key of progress.corrupt) {
      log.warn({ key: key.toString('hex') }, 'a value is not what was stored; it is not served any more');
    }
    return progress.next === undefined ? Math.min(SCRUB_PASS_REST_MS, scrubPassMs) : SCRUB_REST_MS;
  });
}
