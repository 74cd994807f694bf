/**
 * Large answers, most of whose bytes are sent by native threads, on raw sockets: every byte once and in its place however the client reads,
 * and nothing left of those that went away. With HOLDFAST_NATIVE=off the same holds of the ordinary way.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { nativeJobs } from '../../src/base/nativejobs.ts';
import { waitUntil } from '../harness/server.ts';
import { pattern } from '../objects/world.ts';
import { answer, descriptors, Endpoint, nativeCalls, sendAll, WAIT_MS } from './endpoint.ts';
import type { RawClient } from './harness.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const calls = nativeCalls();
const large = pattern(24 * MIB + 4321, 1);
const other = pattern(5 * MIB + 3, 2);
let endpoint: Endpoint;

beforeEach(async () => {
  endpoint = await Endpoint.start();
  await endpoint.store('large', large);
  await endpoint.store('other', other);
});
afterEach(() => endpoint.close());

const get = (client: RawClient, key: string, headers: Record<string, string> = {}) =>
  client.send(endpoint.head('GET', `/bucket/${key}`, headers));

async function expectBody(client: RawClient, bytes: Buffer): Promise<void> {
  const { body } = await answer(client);
  expect(body.length).toBe(bytes.length);
  expect(body.equals(bytes)).toBe(true);
}

test.runIf(calls)('native threads send large answers', async () => {
  const before = calls?.sends ?? 0;
  const client = endpoint.open();
  get(client, 'large');
  await expectBody(client, large);
  expect(calls?.sends).toBeGreaterThan(before);
});

describe('every byte comes once and in its place', () => {
  test('of ranges around the length from which on native threads send', async () => {
    const client = endpoint.open();
    for (const length of [256 * KIB, 384 * KIB, 512 * KIB - 1, 512 * KIB, 512 * KIB + 1, MIB, 2 * MIB + 5]) {
      for (const first of [0, 1, MIB - 3, 4 * MIB - 100 * KIB]) {
        get(client, 'large', { range: `bytes=${first}-${first + length - 1}` });
        await expectBody(client, large.subarray(first, first + length));
      }
    }
  });

  test('of one connection that asks for large and small things in turn', async () => {
    const client = endpoint.open();
    for (let i = 0; i < 4; i++) {
      get(client, 'other');
      await expectBody(client, other);
      client.send(endpoint.head('HEAD', '/bucket/large'));
      expect((await answer(client, true)).headers['content-length']).toBe(String(large.length));
      client.send(endpoint.head('GET', '/bucket/absent'));
      expect((await answer(client)).status).toBe(404);
    }
  });

  test('of answers that were asked for without waiting', async () => {
    const client = endpoint.open();
    const asked = ['other', 'large', 'absent', 'other', 'other'].map((key) =>
      endpoint.head('GET', `/bucket/${key}`),
    );
    const put = endpoint.putHead({ key: 'between', bytes: other, headers: { expect: '100-continue' } });
    client.send(`${asked.join('')}${put}`);
    await expectBody(client, other);
    await expectBody(client, large);
    expect((await answer(client)).status).toBe(404);
    await expectBody(client, other);
    await expectBody(client, other);
    expect((await client.receive()).status).toBe(100);
    client.send(Buffer.concat([other, Buffer.from(endpoint.head('GET', '/bucket/other'))]));
    expect((await answer(client)).status).toBe(200);
    await expectBody(client, other);
    await endpoint.expectStored('between', other);
  });

  test('where a connection uploads one object while another is on its way out', async () => {
    const client = endpoint.open();
    for (let i = 0; i < 3; i++) {
      get(client, 'large');
      client.send(endpoint.putHead({ key: 'up', bytes: other }));
      const sent = sendAll(client, other);
      get(client, 'other');
      await expectBody(client, large);
      expect((await answer(client)).status).toBe(200);
      await expectBody(client, other);
      await sent;
    }
    await endpoint.expectStored('up', other);
  });

  test('to a client that stops reading for a while, and to one that reads slowly', async () => {
    const clients = [endpoint.open(), endpoint.open()];
    for (const client of clients) {
      get(client, 'large');
      client.socket.pause();
    }
    const [stopping, slow] = clients as [RawClient, RawClient];
    await sleep(300);
    stopping.socket.resume();
    await stopping.until(() => stopping.receivedBytes > 3 * MIB, 'bytes', WAIT_MS);
    stopping.socket.pause();
    for (let i = 0; i < 20; i++) {
      slow.socket.resume();
      await sleep(2);
      slow.socket.pause();
      await sleep(10);
    }
    for (const client of clients) client.socket.resume();
    await Promise.all(clients.map((client) => expectBody(client, large)));
  });

  test('to many connections at once', async () => {
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const client = endpoint.open();
        get(client, i % 4 ? 'other' : 'large');
        await expectBody(client, i % 4 ? other : large);
      }),
    );
  });

  test('of the last answer of a connection', async () => {
    const client = endpoint.open();
    get(client, 'large', { connection: 'close' });
    await expectBody(client, large);
    await client.waitClosed(WAIT_MS);
  });

  test.runIf(calls)('where native threads take no job', async () => {
    const addon = nativeJobs()?.addon;
    if (addon === undefined) return;
    const refused = vi.spyOn(addon, 'sendBytes').mockImplementation(() => {
      throw new RangeError('descriptor cannot be duplicated: too many are open');
    });
    try {
      const client = endpoint.open();
      get(client, 'large');
      await expectBody(client, large);
      get(client, 'other');
      await expectBody(client, other);
      expect(refused).toHaveBeenCalledTimes(2);
    } finally {
      refused.mockRestore();
    }
  });
});

describe('a client that goes away', () => {
  const ways: Readonly<Record<string, (client: RawClient) => void>> = {
    closes: (client) => client.socket.destroy(),
    resets: (client) => client.socket.resetAndDestroy(),
    'ends its side': (client) => client.socket.end(),
  };

  test.each(Object.entries(ways))(
    'and %s in the middle of an answer leaves nothing behind',
    async (_, leave) => {
      const descriptorsBefore = descriptors();
      const healthy = endpoint.open();
      for (let round = 0; round < 8; round++) {
        await Promise.all(
          Array.from({ length: 20 }, async (_unused, i) => {
            const client = endpoint.open();
            get(client, 'large');
            if (i % 2) await client.until(() => client.receivedBytes > i * 300 * KIB, 'bytes', WAIT_MS);
            else await sleep(i * 3);
            leave(client);
            await client.waitClosed(WAIT_MS);
          }),
        );
      }
      get(healthy, 'large');
      await expectBody(healthy, large);
      healthy.destroy();
      await endpoint.idle();
      await waitUntil(
        () => descriptors() <= descriptorsBefore,
        WAIT_MS,
        () => `${descriptors()} descriptors after ${descriptorsBefore}`,
      );
      expect(endpoint.loggedErrors).toEqual([]);
      const codes = endpoint.harness.records.map(({ errorCode }) => errorCode);
      expect(codes).not.toContain('InternalError');
    },
  );
});

describe('an answer that cannot go on', () => {
  test('ends its connection short of its length', async () => {
    const { stripes } = endpoint.world;
    const lastGood = stripes.opens + 10;
    stripes.beforeOpen = () => {
      if (stripes.opens > lastGood) throw new HoldfastError('InternalError');
    };
    const client = endpoint.open();
    get(client, 'large');
    await client.waitClosed(WAIT_MS);
    const start = client.received.indexOf('\r\n\r\n') + 4;
    const body = client.received.subarray(start);
    expect(body.length).toBeLessThan(large.length);
    expect(body.equals(large.subarray(0, body.length))).toBe(true);
  });
});
