/** Clients that stop, and servers that are stopped, while native threads receive or send: everything ends in time, as it would without them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { RawRequests } from '../badday/rawclient.ts';
import { TestS3 } from '../harness/s3.ts';
import { type RunningServer, startServer, waitUntil } from '../harness/server.ts';
import { pattern } from '../objects/world.ts';
import { answer, descriptors, Endpoint, sendAll, WAIT_MS } from './endpoint.ts';
import { codeOf, type RawClient } from './harness.ts';

const MIB = 1024 * 1024;
const bytes = pattern(24 * MIB, 1);

describe('deadlines', () => {
  let endpoint: Endpoint;
  afterEach(() => endpoint.close());

  async function stopAfter(sentBytes: number): Promise<RawClient> {
    const client = endpoint.open();
    client.send(endpoint.putHead({ key: 'slow', bytes }));
    await sendAll(client, bytes.subarray(0, sentBytes));
    return client;
  }

  test.each([1.2 * MIB, 3 * MIB, 4 * MIB, 10 * MIB + 1, 24 * MIB - 1])(
    'of a client that stops after %i bytes pass, and it is told',
    async (sentBytes) => {
      endpoint = await Endpoint.start({ limits: { bodyIdleMs: 300 } });
      const client = await stopAfter(sentBytes);
      const response = await answer(client);
      expect(codeOf(response)).toBe('RequestTimeout');
      client.destroy();
      await endpoint.idle();
      await endpoint.expectAbsent('slow');
    },
  );

  test('of a client that goes on, but too slowly, pass as well', async () => {
    endpoint = await Endpoint.start({ limits: { bodyWindowMs: 1000, bodyWindowBytes: 1000 } });
    const client = await stopAfter(3 * MIB);
    const drip = setInterval(() => client.send('a'), 50);
    const response = await answer(client).finally(() => clearInterval(drip));
    expect(codeOf(response)).toBe('RequestTimeout');
  });

  test('of a client that does not read its answer pass', async () => {
    endpoint = await Endpoint.start({ limits: { writeStallMs: 400 } });
    await endpoint.store('large', bytes);
    const client = endpoint.open();
    client.socket.pause();
    client.send(endpoint.head('GET', '/bucket/large'));
    await waitUntil(() => endpoint.harness.server.activeRequests === 1, WAIT_MS);
    await endpoint.idle();
    client.socket.resume();
    await client.waitClosed(WAIT_MS);
    const body = client.received.subarray(client.received.indexOf('\r\n\r\n') + 4);
    expect(body.length).toBeLessThan(bytes.length);
    expect(body.equals(bytes.subarray(0, body.length))).toBe(true);
  });
});

describe('a server that is closed', () => {
  test('lets uploads end within its grace, and ends those that do not', async () => {
    const endpoint = await Endpoint.start();
    const clients = await Promise.all(
      [1.5, 3, 6, 9].map(async (sent, i) => {
        const client = endpoint.open();
        client.send(endpoint.putHead({ key: `k${i}`, bytes }));
        await sendAll(client, bytes.subarray(0, sent * MIB));
        return client;
      }),
    );
    const reading = endpoint.open();
    await endpoint.store('large', bytes);
    reading.send(endpoint.head('GET', '/bucket/large'));
    reading.socket.pause();
    await waitUntil(() => endpoint.harness.server.activeRequests === 5, WAIT_MS);
    const closed = endpoint.harness.server.close({ graceMs: 1500 });
    const [first, ...others] = clients as [RawClient, ...RawClient[]];
    first.send(bytes.subarray(1.5 * MIB));
    expect((await answer(first)).status).toBe(200);
    await closed;
    for (const other of others) await other.waitClosed(WAIT_MS);
    await endpoint.expectStored('k0', bytes);
    for (const key of ['k1', 'k2', 'k3']) await endpoint.expectAbsent(key);
    await endpoint.close();
  });

  test('without any grace leaves no descriptor and no buffer', async () => {
    const before = descriptors();
    for (let round = 0; round < 3; round++) {
      const endpoint = await Endpoint.start();
      await endpoint.store('large', bytes);
      for (let i = 0; i < 10; i++) {
        const client = endpoint.open();
        if (i % 2) client.send(endpoint.head('GET', '/bucket/large'));
        else {
          client.send(endpoint.putHead({ key: 'k', bytes }));
          client.send(bytes.subarray(0, (1 + i) * MIB));
        }
      }
      await sleep(round * 30);
      await endpoint.harness.server.close({ graceMs: 0 });
      await endpoint.close();
    }
    await waitUntil(
      () => descriptors() <= before + 2,
      WAIT_MS,
      () => `${descriptors()} descriptors after ${before}`,
    );
  });
});

describe('the real server', () => {
  let server: RunningServer;
  beforeAll(async () => {
    server = await startServer();
    await new TestS3(server).ok('PUT', '/bucket');
  });
  afterAll(() => server.stop('SIGKILL'));

  const put = (requests: RawRequests, key: string) =>
    requests.head({
      method: 'PUT',
      path: `/bucket/${key}`,
      headers: { 'content-length': String(bytes.length) },
    });

  test('has as many descriptors after hundreds of broken uploads and downloads as before, and goes on', async () => {
    const requests = new RawRequests(server);
    const whole = await requests.exchange(put(requests, 'whole'), bytes);
    expect(whole.status).toBe(200);
    const pid = server.process.pid ?? 0;
    const before = descriptors(pid);
    for (let round = 0; round < 25; round++) {
      await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          const client = requests.open();
          if (i % 2) {
            client.send(requests.head({ method: 'GET', path: '/bucket/whole' }));
            await client.until(() => client.receivedBytes > i * 100_000, 'bytes', WAIT_MS);
          } else {
            client.send(put(requests, 'broken'));
            await sendAll(client, bytes.subarray(0, MIB + i * 100_000));
          }
          if (i % 3) client.socket.destroy();
          else client.socket.resetAndDestroy();
          await client.waitClosed();
        }),
      );
    }
    await waitUntil(
      () => descriptors(pid) <= before + 5,
      WAIT_MS,
      () => `${descriptors(pid)} descriptors after ${before}`,
    );
    const client = requests.open();
    client.send(requests.head({ method: 'GET', path: '/bucket/whole' }));
    expect((await answer(client)).body.equals(bytes)).toBe(true);
    client.destroy();
    const absent = await requests.exchange(requests.head({ method: 'GET', path: '/bucket/broken' }));
    expect(absent.status).toBe(404);
    expect(server.output()).not.toContain('InternalError');
  });

  test('ends when it is told to in the middle of many uploads and downloads, once they have ended', async () => {
    const requests = new RawRequests(server);
    const start = (i: number) => {
      const client = requests.open();
      if (i % 2) {
        client.socket.pause();
        client.send(requests.head({ method: 'GET', path: '/bucket/whole' }));
      } else {
        client.send(put(requests, `stopped${i}`));
        client.send(bytes.subarray(0, MIB + i * MIB));
      }
      return client;
    };
    const clients = Array.from({ length: 16 }, (_, i) => start(i));
    await sleep(200);
    const stopped = server.stop();
    await sleep(100);
    await Promise.all(
      clients.map(async (client, i) => {
        if (i % 4 > 1) return client.destroy();
        if (i % 2) client.socket.resume();
        else client.send(bytes.subarray(MIB + i * MIB));
        const response = await answer(client);
        expect(response.status).toBe(200);
        if (i % 2) expect(response.body.equals(bytes)).toBe(true);
      }),
    );
    expect(await stopped).toBe(0);
  });
});
