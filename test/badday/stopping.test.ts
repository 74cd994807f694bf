/**
 * SIGINT and SIGTERM finish what is under way and exit 0; the same signal again at once (npm repeats it) counts once; a later one
 * ends the process there and then. A stop during the start is a stop.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestS3 } from '../harness/s3.ts';
import {
  type RunningServer,
  repository,
  startServer,
  temporaryDirectory,
  waitUntil,
} from '../harness/server.ts';
import { type RawClient, RawRequests } from './rawclient.ts';
import { body, free, main, removeData } from './support.ts';

const data = join(temporaryDirectory(), 'data');
const sent = body(300_000, 1);
let server: RunningServer;

beforeAll(async () => {
  server = await startServer({ data });
  await new TestS3(server).ok('PUT', '/stop');
  await server.stop();
});
afterAll(async () => {
  await server.stop('SIGKILL');
  removeData(data);
});

/** Starts the server and an upload that has sent half its body. */
async function startedUpload(key: string): Promise<RawClient> {
  server = await startServer({ data });
  const requests = new RawRequests(server);
  const client = requests.open();
  const headers = { 'content-length': String(sent.length), expect: '100-continue' };
  client.send(requests.head({ method: 'PUT', path: `/stop/${key}`, headers }));
  expect((await client.receive()).status).toBe(100);
  client.send(sent.subarray(0, 150_000));
  return client;
}

async function finishUpload(client: RawClient): Promise<void> {
  client.send(sent.subarray(150_000));
  expect((await client.receive()).status).toBe(200);
}

const refusesConnections = async () =>
  new TestS3(server).send('GET', '/').then(
    () => false,
    () => true,
  );

async function expectStored(key: string): Promise<void> {
  server = await startServer({ data });
  expect((await new TestS3(server).ok('GET', `/stop/${key}`)).body.equals(sent)).toBe(true);
  await server.stop();
}

test.each(['SIGINT', 'SIGTERM'] as const)('%s lets a slow upload finish, then exits 0', async (signal) => {
  const client = await startedUpload(signal);
  const exited = once(server.process, 'exit');
  server.process.kill(signal);
  await waitUntil(refusesConnections, 10_000);
  await finishUpload(client);
  // No second signal: one that comes when node has given its handlers back ends the process in the system's way.
  expect(await exited).toEqual([0, null]);
  expect(server.output()).toContain('finishing requests; again to stop at once');
  await expectStored(signal);
});

test('a signal repeated at once counts once', async () => {
  const client = await startedUpload('repeated');
  server.process.kill('SIGINT');
  await waitUntil(() => server.output().includes('finishing requests'), 10_000);
  server.process.kill('SIGINT');
  server.process.kill('SIGTERM');
  await waitUntil(refusesConnections, 10_000);
  await finishUpload(client);
  await once(server.process, 'exit');
  expect(server.process.exitCode).toBe(0);
});

test('a second signal later ends the process at once, and loses nothing acknowledged', async () => {
  const client = await startedUpload('never');
  await new TestS3(server).ok('PUT', '/stop/acknowledged', { body: sent });
  server.process.kill('SIGTERM');
  await waitUntil(() => server.output().includes('finishing requests'), 10_000);
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(server.process.exitCode).toBe(null);
  const atMs = performance.now();
  expect(await server.stop('SIGTERM')).toBe(143);
  expect(performance.now() - atMs).toBeLessThan(3000);
  await client.waitClosed();
  await expectStored('acknowledged');
  server = await startServer({ data });
  expect((await new TestS3(server).send('GET', '/stop/never')).status).toBe(404);
  await server.stop();
});

test('an idle connection does not hold up a stop', async () => {
  server = await startServer({ data });
  const idle = await new RawRequests(server).socket();
  idle.on('error', () => undefined);
  const atMs = performance.now();
  expect(await server.stop()).toBe(0);
  expect(performance.now() - atMs).toBeLessThan(10_000);
  idle.destroy();
});

describe('a stop during the start', () => {
  test.each([30, 120, 250, 400, 600])('after %d ms ends the process and does no harm', async (delayMs) => {
    const child = spawn(process.execPath, [main, 'serve', '--data', data, ...free], { stdio: 'ignore' });
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    child.kill('SIGTERM');
    await once(child, 'exit');
    // Before the handler is installed, the signal itself ends the process.
    expect([child.exitCode, child.signalCode]).toBeOneOf([
      [0, null],
      [null, 'SIGTERM'],
    ] as unknown[]);
    await expectStored('acknowledged');
  });
});

test.each(['SIGINT', 'SIGTERM'] as const)(
  'bin/holdfast.js passes %s on and ends with the code of the server',
  async (signal) => {
    const command = [join(repository, 'bin/holdfast.js'), 'serve', '--data', data, ...free];
    const child = spawn(process.execPath, command, { stdio: ['ignore', 'ignore', 'pipe'] });
    let output = '';
    child.stderr.on('data', (piece: Buffer) => (output += piece.toString()));
    await waitUntil(
      () => output.includes('Stop it with'),
      30_000,
      () => output,
    );
    child.kill(signal);
    await once(child, 'exit');
    expect([child.exitCode, child.signalCode]).toEqual([0, null]);
    await expectStored('acknowledged');
  },
);
