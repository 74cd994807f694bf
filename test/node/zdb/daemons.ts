/** Daemons for tests, in this process, on directories and ports of their own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { DAY_MS, MIB } from '../../../src/base/units.ts';
import { type Daemon, type DaemonOptions, startDaemon } from '../../../src/node/daemon.ts';
import { realDisk } from '../../../src/node/realdisk.ts';
import { ZdbClient } from './client.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

export async function emptyDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-daemon-'));
  undo.push(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** What it logged as a warning or an error is in `said`. */
export async function start(
  directory: string,
  changes: Partial<DaemonOptions> = {},
): Promise<Daemon & { readonly said: string[] }> {
  const said: string[] = [];
  const say = (_: object, message: string) => said.push(message);
  const daemon = await startDaemon({
    directory,
    listen: { host: '127.0.0.1', port: 0 },
    tlsListen: undefined,
    wantsJoinToken: false,
    adminPassword: Buffer.alloc(0),
    capacityBytes: undefined,
    connectionsMax: 1000,
    scrubPassMs: 30 * DAY_MS,
    scrubBytesPerSecond: 20 * MIB,
    ...{ version: '0', disk: realDisk, clock: systemClock, random: systemRandom },
    log: { info: () => undefined, warn: say, error: say },
    onEnd: (reason) => said.push(reason.message),
    ...changes,
  });
  undo.push(() => daemon.close());
  return Object.assign(daemon, { said });
}

export function client(port: number | undefined): ZdbClient {
  const opened = new ZdbClient(port!);
  undo.push(() => opened.close());
  return opened;
}
