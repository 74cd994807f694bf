/**
 * A real gateway over six real daemons, one of which lies in every way, and one of which is cut off from it for a while: no wrong byte is ever
 * returned, writing goes on, and what a liar threw away is found and rebuilt.
 */
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StatusReport } from '../../../src/admin/report.ts';
import { patternBytes } from '../../conformance/codec.ts';
import { type RunningDaemon, startDaemonProcess } from '../../harness/daemon.ts';
import { type Lie, LyingProxy } from '../../harness/lyingproxy.ts';
import { TestS3 } from '../../harness/s3.ts';
import {
  type RunningServer,
  repository,
  startServer,
  temporaryDirectory,
  waitUntil,
} from '../../harness/server.ts';

const NODES = 6;
const HEAL_MS_MAX = 90_000;
const TEST_MS_MAX = 150_000;
const directory = temporaryDirectory();
const daemons: RunningDaemon[] = [];
const proxies: LyingProxy[] = [];
const objects = new Map<string, Buffer>();
let server: RunningServer;
let s3: TestS3;

async function holdfast(...args: string[]): Promise<string> {
  const command = [join(repository, 'src/cli/main.ts'), ...args, '--data', server.data];
  try {
    return (await promisify(execFile)(process.execPath, command)).stdout;
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    if (code !== 3) throw new Error(`holdfast ${args.join(' ')} ended with ${code}: ${stderr}`);
    return stdout;
  }
}

const status = async () => JSON.parse(await holdfast('status', '--json')) as StatusReport;

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
      const { total, incomplete, narrow } = last.stripes;
      return (
        total > 0 && incomplete === 0 && narrow === 0 && last.nodes.every(({ state }) => state === 'online')
      );
    },
    HEAL_MS_MAX,
    () => JSON.stringify(last, null, 1),
  );
}

beforeAll(async () => {
  server = await startServer({
    data: join(directory, 'gateway'),
    environment: { HOLDFAST_GRID_NODES: '0' },
  });
  s3 = new TestS3(server);
  for (let i = 1; i <= NODES; i++) {
    const daemon = await startDaemonProcess(join(directory, `node-${i}`));
    const proxy = new LyingProxy(daemon.port);
    daemons.push(daemon);
    proxies.push(proxy);
    const port = await proxy.listen();
    await holdfast('nodes', 'add', `plain://127.0.0.1:${port}`, '--farm', `farm ${i}`);
  }
  await s3.ok('PUT', '/grid');
  for (const [i, size] of [100, 30_000, 200_000, 1_000_000, 4_500_000].entries())
    await put(`first/${i}`, size);
});

afterAll(async () => {
  await server?.stop('SIGKILL');
  for (const proxy of proxies) proxy.close();
  await Promise.all(daemons.map((daemon) => daemon.stop('SIGKILL')));
  await rm(directory, { recursive: true, force: true });
});

test.each(['flipped', 'short', 'other'] as const)(
  'a node whose answers are %s misleads nobody',
  { timeout: TEST_MS_MAX },
  async (lie: Lie) => {
    const liar = proxies[2]!;
    const before = liar.lies;
    liar.lie = lie;
    await expectAll();
    await put(`while ${lie}`, 700_000);
    await expectAll();
    expect(liar.lies).toBeGreaterThan(before);
    liar.lie = 'honest';
    await holdfast('scrub');
    await healed();
    await expectAll();
  },
);

test('what a node acknowledged and threw away is found and rebuilt', { timeout: TEST_MS_MAX }, async () => {
  const liar = proxies[4]!;
  liar.lie = 'dropping';
  for (let i = 0; i < 8; i++) await put(`dropped/${i}`, 300_000);
  expect(liar.lies).toBeGreaterThan(0);
  await expectAll();
  liar.lie = 'honest';
  const scrub = JSON.parse(await holdfast('scrub', '--json')) as { missing: number };
  expect(scrub.missing).toBeGreaterThan(0);
  await healed();
  // It holds now what it said that it held: two others may go.
  for (const i of [0, 1]) proxies[i]!.lie = 'cut';
  await expectAll();
  for (const i of [0, 1]) proxies[i]!.lie = 'honest';
  await healed();
});

test('two nodes that are cut off, and come back, cost nothing but time', {
  timeout: TEST_MS_MAX,
}, async () => {
  for (const i of [3, 5]) proxies[i]!.lie = 'cut';
  for (let i = 0; i < 6; i++) await put(`cut/${i}`, 400_000);
  await expectAll();
  for (const i of [3, 5]) proxies[i]!.lie = 'honest';
  await healed();
  await expectAll();
});
