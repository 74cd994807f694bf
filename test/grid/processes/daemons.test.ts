/**
 * A gateway without nodes of its own over daemons of three farms, all of them processes: they are added while it runs, killed, lost as a farm,
 * and taken out; every acknowledged object is compared byte for byte.
 */
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StatusReport } from '../../../src/admin/report.ts';
import { patternBytes } from '../../conformance/codec.ts';
import { type RunningDaemon, startDaemonProcess } from '../../harness/daemon.ts';
import { TestS3 } from '../../harness/s3.ts';
import {
  type RunningServer,
  repository,
  startServer,
  temporaryDirectory,
  waitUntil,
} from '../../harness/server.ts';

const HEAL_MS_MAX = 60_000;
const TEST_MS_MAX = 150_000;
const farms = ['ghent', 'cairo', 'quito', 'ghent', 'cairo', 'quito', 'ghent', 'cairo', 'quito'];
const directory = temporaryDirectory();
const daemons: RunningDaemon[] = [];
const objects = new Map<string, Buffer>();
let server: RunningServer;
let s3: TestS3;

async function holdfast(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const command = [join(repository, 'src/cli/main.ts'), ...args, '--data', server.data];
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, command)) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

const addressOf = ({ tlsPort }: RunningDaemon) => `tls://127.0.0.1:${tlsPort}`;
const joining = (daemon: RunningDaemon) => ['--join', daemon.joinToken() ?? ''];
const restarted = ({ data, port, tlsPort }: RunningDaemon) =>
  startDaemonProcess(data, { plain: port, tls: tlsPort });

const status = async () => JSON.parse((await holdfast('status', '--json')).stdout) as StatusReport;

async function put(name: string, lengthBytes: number): Promise<void> {
  const body = Buffer.from(patternBytes(lengthBytes, objects.size + 1));
  await s3.ok('PUT', `/grid/${name}`, { body });
  objects.set(name, body);
}

async function expectAll(): Promise<void> {
  for (const [name, body] of objects) {
    const got = await s3.ok('GET', `/grid/${name}`);
    expect(Buffer.compare(got.body, body), name).toBe(0);
  }
}

async function healed(): Promise<void> {
  let last: StatusReport | undefined;
  await waitUntil(
    async () => {
      last = await status();
      return last.stripes.total > 0 && last.stripes.incomplete === 0 && last.stripes.narrow === 0;
    },
    HEAL_MS_MAX,
    () => JSON.stringify(last, null, 1),
  );
}

beforeAll(async () => {
  for (const i of farms.keys()) daemons.push(await startDaemonProcess(join(directory, `node-${i + 1}`)));
  server = await startServer({
    data: join(directory, 'gateway'),
    environment: { HOLDFAST_GRID_NODES: '0' },
  });
  s3 = new TestS3(server);
});

afterAll(async () => {
  await server?.stop('SIGKILL');
  await Promise.all(daemons.map((daemon) => daemon.stop('SIGKILL')));
  await rm(directory, { recursive: true, force: true });
});

test('a gateway without nodes says so, and takes them one at a time', async () => {
  const created = await s3.send('PUT', '/grid');
  expect(created.status).toBe(200);
  expect((await s3.send('PUT', '/grid/too-early', { body: Buffer.alloc(100_000) })).status).toBe(503);
  for (const [i, farm] of farms.slice(0, 6).entries()) {
    const at = addressOf(daemons[i]!);
    const added = await holdfast('nodes', 'add', at, ...joining(daemons[i]!), '--farm', farm, '--json');
    expect(added, added.stderr).toMatchObject({ code: 0 });
    expect(JSON.parse(added.stdout)).toEqual({ id: i + 1, address: at });
  }
  const twice = await holdfast(
    'nodes',
    'add',
    addressOf(daemons[0]!),
    ...joining(daemons[0]!),
    '--farm',
    'x',
  );
  expect(twice.stderr).toMatch(/the grid has this node already/);
  const wrongNode = await holdfast(
    'nodes',
    'add',
    addressOf(daemons[7]!),
    ...joining(daemons[6]!),
    '--farm',
    'x',
  );
  expect(wrongNode.stderr).toMatch(/its identity is \S+, pinned is \S+/);
  const noToken = await holdfast('nodes', 'add', addressOf(daemons[7]!), '--farm', 'x');
  expect(noToken.stderr).toMatch(/needs --join/);
  const noFarm = await holdfast('nodes', 'add', 'plain://127.0.0.1:1');
  expect(noFarm.stderr).toMatch(/needs --farm/);
  const nobody = await holdfast('nodes', 'add', 'plain://127.0.0.1:1', '--farm', 'x');
  expect(nobody.stderr).toMatch(/node at 127\.0\.0\.1:1: .*ECONNREFUSED/);
  const scheme = await holdfast('nodes', 'add', 'http://127.0.0.1:1', '--farm', 'x');
  expect(scheme.stderr).toMatch(/there are tls:\/\/, plain:\/\/, zdb:\/\//);
  const shown = await holdfast('nodes', 'show', '2');
  expect(shown.stdout).toMatch(/^farm +cairo$/m);
  expect(shown.stdout).toMatch(/^path +tls:\/\//m);
  expect((await holdfast('nodes', 'show', '99')).stderr).toMatch(/there is no node 99/);
  const report = await status();
  expect(report.nodes.map(({ state }) => state)).toEqual(Array(6).fill('online'));
  expect(report.warnings.join('\n')).not.toMatch(/without TLS/);
});

test('objects of all sizes are written and read, and the farm rule is kept', async () => {
  for (const [i, size] of [0, 1, 1000, 40_000, 1_000_000, 5_000_000, 9_000_000].entries()) {
    await put(`first/${i}`, size);
  }
  await expectAll();
  const report = await status();
  expect(report.stripes.total).toBeGreaterThan(0);
  expect(report.warnings.join('\n')).not.toMatch(/more fragments on one farm/);
});

test('kill -9 of any two daemons under load loses nothing, and they come back', {
  timeout: TEST_MS_MAX,
}, async () => {
  const writing = Promise.all(Array.from({ length: 12 }, (_, i) => put(`killed/${i}`, 700_000)));
  await daemons[1]!.stop('SIGKILL');
  await daemons[4]!.stop('SIGKILL');
  await writing;
  await expectAll();
  await put('while two are away', 3_000_000);
  for (const i of [1, 4]) daemons[i] = await restarted(daemons[i]!);
  await healed();
  await expectAll();
});

test('nodes added under load get their share, and a farm is lost as a whole', {
  timeout: TEST_MS_MAX,
}, async () => {
  const writing = Promise.all(Array.from({ length: 12 }, (_, i) => put(`joined/${i}`, 600_000)));
  for (const i of [6, 7, 8]) {
    const at = addressOf(daemons[i]!);
    const added = await holdfast('nodes', 'add', at, ...joining(daemons[i]!), '--farm', farms[i]!);
    expect(added, added.stderr).toMatchObject({ code: 0 });
  }
  await writing;
  for (let i = 0; i < 12; i++) await put(`after/${i}`, 600_000);
  const joined = async () => (await status()).nodes.slice(6);
  await waitUntil(async () => (await joined()).every(({ fragments }) => fragments > 0), 10_000);
  expect((await joined()).map(({ id }) => id)).toEqual([7, 8, 9]);
  await Promise.all([0, 3, 6].map((i) => daemons[i]!.stop('SIGKILL')));
  for (const name of [...objects.keys()].filter((one) => one.startsWith('after/'))) {
    const got = await s3.ok('GET', `/grid/${name}`);
    expect(Buffer.compare(got.body, objects.get(name)!), name).toBe(0);
  }
  for (const i of [0, 3, 6]) daemons[i] = await restarted(daemons[i]!);
  await healed();
  await expectAll();
});

test('a node is taken out, what it had is rebuilt, and its id is not used again', {
  timeout: TEST_MS_MAX,
}, async () => {
  const held = await holdfast('nodes', 'remove', '9');
  expect(held.stderr).toMatch(/node 9 holds \d+ fragments .* with --force/);
  expect((await holdfast('nodes', 'remove', '9', '--dry-run')).stdout).toMatch(/would be rebuilt/);
  expect((await holdfast('nodes', 'remove', '9', '--force')).stdout).toBe('node 9 is out of the grid\n');
  await daemons[8]!.stop('SIGKILL');
  await healed();
  await expectAll();
  const fresh = await startDaemonProcess(join(directory, 'node-10'));
  daemons.push(fresh);
  const added = await holdfast(
    'nodes',
    'add',
    `plain://127.0.0.1:${fresh.port}`,
    '--farm',
    'quito',
    '--json',
  );
  expect(JSON.parse(added.stdout)).toMatchObject({ id: 10 });
});

test('the gateway is killed and started again over the same daemons', async () => {
  await server.stop('SIGKILL');
  server = await startServer({ data: server.data, environment: { HOLDFAST_GRID_NODES: '0' } });
  s3 = new TestS3(server);
  await expectAll();
  await put('after the restart', 2_000_000);
  expect((await status()).nodes.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 10]);
});
