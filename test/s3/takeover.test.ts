/**
 * Large uploads, whose connection is taken over by a native thread, on raw sockets: whatever the client does, no byte of a body is parsed
 * as a request, no byte of a request ends in a body, and nothing is left behind. With HOLDFAST_NATIVE=off the same holds of the ordinary way.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { waitUntil } from '../harness/server.ts';
import { pattern } from '../objects/world.ts';
import { answer, descriptors, Endpoint, nativeCalls, sendAll, WAIT_MS } from './endpoint.ts';
import { codeOf, presigned, type RawClient, streamingPut } from './harness.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const calls = nativeCalls();
let endpoint: Endpoint;

beforeEach(async () => {
  endpoint = await Endpoint.start();
});
afterEach(() => endpoint.close());

type Sender = (client: RawClient, bytes: Buffer) => Promise<void>;

async function inPieces(client: RawClient, bytes: Buffer, pieceBytes: () => number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const length = pieceBytes();
    await sendAll(client, bytes.subarray(at, at + length));
    at += length;
  }
}

const senders: Readonly<Record<string, Sender>> = {
  'in one write': sendAll,
  'in pieces of any length': (client, bytes) =>
    inPieces(client, bytes, () => 1 + Math.floor(Math.random() ** 3 * 700 * KIB)),
  'with its last bytes one by one': async (client, bytes) => {
    await sendAll(client, bytes.subarray(0, -20));
    for (const byte of bytes.subarray(-20)) {
      await sendAll(client, Buffer.of(byte));
      await sleep(2);
    }
  },
  'with pauses longer than a stripe may take to fill': async (client, bytes) => {
    const third = Math.ceil(bytes.length / 3);
    for (let at = 0; at < bytes.length; at += third) {
      await sendAll(client, bytes.subarray(at, at + third));
      await sleep(600);
    }
  },
};

const lengths = [
  512 * KIB,
  MIB,
  MIB + 1,
  1.5 * MIB - 1,
  1.5 * MIB,
  1.5 * MIB + 1,
  4 * MIB - 1,
  4 * MIB,
  4 * MIB + 1,
  5 * MIB + 3,
  20 * MIB,
];

describe.each(Object.entries(senders))('a body sent %s', (_, send) => {
  test('is stored as it was sent, whatever its length', async () => {
    await Promise.all(
      lengths.map(async (length, i) => {
        const bytes = pattern(length, i);
        const client = endpoint.open();
        client.send(endpoint.putHead({ key: `k${length}`, bytes }));
        await send(client, bytes);
        expect((await answer(client)).status, `${length} bytes`).toBe(200);
        await endpoint.expectStored(`k${length}`, bytes);
      }),
    );
  });
});

test.runIf(calls)('a native thread receives large bodies', async () => {
  const bytes = pattern(8 * MIB);
  const before = calls?.receives ?? 0;
  // A busy machine may take too long for a client that counts as fast.
  for (let i = 0; i < 20 && calls?.receives === before; i++) {
    const client = endpoint.open();
    client.send(endpoint.putHead({ key: 'k', bytes }));
    client.send(bytes);
    expect((await answer(client)).status).toBe(200);
    client.destroy();
  }
  expect(calls?.receives).toBeGreaterThan(before);
});

test('bodies of many connections do not mix', async () => {
  const bodies = Array.from({ length: 24 }, (_, i) => pattern(5 * MIB + i * 4099, 100 + i));
  await Promise.all(
    bodies.map(async (bytes, i) => {
      const client = endpoint.open();
      client.send(endpoint.putHead({ key: `many${i}`, bytes, signedPayload: i % 2 === 0 }));
      await inPieces(client, bytes, () => 1 + Math.floor(Math.random() * MIB));
      expect((await answer(client)).status).toBe(200);
    }),
  );
  for (const [i, bytes] of bodies.entries()) await endpoint.expectStored(`many${i}`, bytes);
});

describe('one connection', () => {
  test('serves large and small requests one after the other', async () => {
    const client = endpoint.open();
    for (let i = 0; i < 6; i++) {
      const bytes = pattern(2 * MIB + 512 * KIB * i + i, i);
      client.send(endpoint.putHead({ key: `serial${i}`, bytes }));
      client.send(bytes);
      expect((await answer(client)).status).toBe(200);
      client.send(endpoint.head('GET', `/bucket/serial${i}`));
      expect((await answer(client)).body.equals(bytes)).toBe(true);
      client.send(endpoint.head('HEAD', `/bucket/serial${i}`));
      expect((await answer(client, true)).status).toBe(200);
      const small = pattern(100 + i);
      client.send(endpoint.putHead({ key: 'small', bytes: small }));
      client.send(small);
      expect((await answer(client)).status).toBe(200);
      client.send(endpoint.head('GET', '/bucket/absent'));
      expect((await answer(client)).status).toBe(404);
    }
  });

  test('serves requests that came in the same bytes as the end of a large body', async () => {
    const bytes = pattern(6 * MIB + 5);
    const client = endpoint.open();
    const next = `${endpoint.head('GET', '/bucket/first')}${endpoint.head('HEAD', '/bucket/first')}${endpoint.head('GET', '/bucket/absent')}`;
    client.send(endpoint.putHead({ key: 'first', bytes }));
    await sendAll(client, bytes.subarray(0, 5 * MIB));
    client.send(Buffer.concat([bytes.subarray(5 * MIB), Buffer.from(next)]));
    expect((await answer(client)).status).toBe(200);
    expect([200, 404]).toContain((await answer(client)).status);
    await answer(client, true);
    expect((await answer(client)).status).toBe(404);
    await endpoint.expectStored('first', bytes);
  });

  test.each([1, 2, 3])('serves large uploads that are pipelined without a break (%i)', async (seed) => {
    const bodies = Array.from({ length: 5 }, (_, i) => pattern(2 * MIB + 333 * KIB * i + i, seed * 10 + i));
    const stream = Buffer.concat(
      bodies.flatMap((bytes, i) => [
        Buffer.from(endpoint.putHead({ key: `pipelined${i}`, bytes, signedPayload: true })),
        bytes,
        Buffer.from(i % 2 ? endpoint.head('GET', '/bucket/absent') : ''),
      ]),
    );
    const client = endpoint.open();
    const sent =
      seed === 1
        ? sendAll(client, stream)
        : inPieces(client, stream, () => 1 + Math.floor(Math.random() * 300 * KIB));
    for (const i of bodies.keys()) {
      expect((await answer(client)).status, `upload ${i}`).toBe(200);
      if (i % 2) expect((await answer(client)).status).toBe(404);
    }
    await sent;
    for (const [i, bytes] of bodies.entries()) await endpoint.expectStored(`pipelined${i}`, bytes);
  });

  test('takes no byte of a body for a request, however much it looks like one', async () => {
    const victim = pattern(1000);
    await endpoint.store('victim', victim);
    const removal = Buffer.from(`\r\n0\r\n\r\n${endpoint.head('DELETE', '/bucket/victim')}`);
    const bytes = Buffer.alloc(5 * MIB + 77);
    for (let at = 0; at < bytes.length; at += removal.length) removal.copy(bytes, at);
    const client = endpoint.open();
    for (const send of Object.values(senders)) {
      client.send(endpoint.putHead({ key: 'disguised', bytes }));
      await send(client, bytes);
      expect((await answer(client)).status).toBe(200);
      await endpoint.expectStored('disguised', bytes);
      await endpoint.expectStored('victim', victim);
      expect(client.received.length).toBe(0);
    }
    client.destroy();
    // And where the client goes away in the middle of it.
    for (const cut of [1.2 * MIB, 2 * MIB + 1, 4 * MIB + 5]) {
      const broken = endpoint.open();
      broken.send(endpoint.putHead({ key: 'cut', bytes }));
      await sendAll(broken, bytes.subarray(0, cut));
      broken.socket.end();
      await broken.waitClosed(WAIT_MS);
    }
    await endpoint.expectStored('victim', victim);
    await endpoint.expectAbsent('cut');
  });

  test('ends after a body that is longer than announced, which is stored as announced', async () => {
    const bytes = pattern(4 * MIB);
    const client = endpoint.open();
    client.send(endpoint.putHead({ key: 'longer', bytes: bytes.subarray(0, 3 * MIB) }));
    client.send(bytes);
    expect((await answer(client)).status).toBe(200);
    await client.waitClosed(WAIT_MS);
    await endpoint.expectStored('longer', bytes.subarray(0, 3 * MIB));
  });

  test('goes on after an upload that asked for another protocol', async () => {
    const bytes = pattern(3 * MIB);
    const client = endpoint.open();
    const headers = { connection: 'Upgrade', upgrade: 'h2c' };
    client.send(endpoint.putHead({ key: 'upgrade', bytes, headers }));
    client.send(bytes);
    expect((await answer(client)).status).toBe(200);
    await endpoint.expectStored('upgrade', bytes);
  });
});

describe('a large body is checked', () => {
  const bytes = pattern(4 * MIB + 9);
  const md5 = createHash('md5').update(bytes).digest('base64');
  const sha256 = createHash('sha256').update(bytes).digest('base64');

  async function put(headers: Record<string, string>, body = bytes, signedPayload = false) {
    const client = endpoint.open();
    client.send(endpoint.putHead({ key: 'checked', bytes, headers, signedPayload }));
    client.send(body);
    const response = await answer(client);
    // The connection is good for another request whatever came of this one.
    client.send(endpoint.head('GET', '/bucket/absent'));
    expect((await answer(client)).status).toBe(404);
    return response;
  }

  test('against what the client says it is', async () => {
    const wrong = Buffer.from(bytes);
    wrong[3 * MIB] = (wrong[3 * MIB] ?? 0) ^ 1;
    expect(codeOf(await put({ 'content-md5': md5 }, wrong))).toBe('BadDigest');
    expect(codeOf(await put({ 'x-amz-checksum-sha256': sha256 }, wrong))).toBe('BadDigest');
    expect(codeOf(await put({}, wrong, true))).toBe('XAmzContentSHA256Mismatch');
    await endpoint.expectAbsent('checked');
    expect((await put({ 'content-md5': md5 })).status).toBe(200);
    expect((await put({ 'x-amz-checksum-sha256': sha256 })).status).toBe(200);
    expect((await put({}, bytes, true)).status).toBe(200);
    await endpoint.expectStored('checked', bytes);
  });

  test('and asked for, where the client waits to be', async () => {
    const client = endpoint.open();
    for (let i = 0; i < 2; i++) {
      client.send(endpoint.putHead({ key: 'asked', bytes, headers: { expect: '100-continue' } }));
      expect((await client.receive()).status).toBe(100);
      client.send(bytes);
      expect((await answer(client)).status).toBe(200);
      await endpoint.expectStored('asked', bytes);
    }
  });

  test('in whatever framing it comes', async () => {
    const client = endpoint.open();
    const framed = streamingPut(endpoint.harness, bytes, 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD', {
      chunkBytes: 256 * KIB,
      signed: true,
    });
    const lines = (headers: Record<string, string>) =>
      Object.entries(headers)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('');
    const length = { 'content-length': String(framed.body.length) };
    client.send(`PUT ${framed.target} HTTP/1.1\r\n${lines({ ...framed.headers, ...length })}\r\n`);
    client.send(framed.body);
    expect((await answer(client)).status).toBe(200);
    await endpoint.expectStored('streamed', bytes);

    client.send(endpoint.head('PUT', '/bucket/chunked', { 'transfer-encoding': 'chunked' }));
    for (let at = 0; at < bytes.length; at += MIB) {
      const chunk = bytes.subarray(at, at + MIB);
      client.send(
        Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]),
      );
    }
    client.send('0\r\n\r\n');
    expect((await answer(client)).status).toBe(200);
    await endpoint.expectStored('chunked', bytes);

    const target = presigned(endpoint.harness, 'PUT', '/bucket/presigned');
    client.send(
      `PUT ${target} HTTP/1.1\r\nhost: ${endpoint.harness.host}\r\ncontent-length: ${bytes.length}\r\n\r\n`,
    );
    client.send(bytes);
    expect((await answer(client)).status).toBe(200);
    await endpoint.expectStored('presigned', bytes);
  });
});

describe('a client that goes away', () => {
  const bytes = pattern(9 * MIB);
  const offsets = [
    0,
    1,
    700 * KIB,
    MIB,
    MIB + 1,
    1.7 * MIB,
    3 * MIB + 5,
    4 * MIB,
    5 * MIB,
    8 * MIB,
    9 * MIB - 1,
  ];
  const ways: Readonly<Record<string, (client: RawClient) => void>> = {
    'closes its connection': (client) => client.socket.destroy(),
    'resets its connection': (client) => client.socket.resetAndDestroy(),
    'ends its side': (client) => client.socket.end(),
  };

  test.each(Object.entries(ways))('and %s leaves nothing behind', async (_, leave) => {
    const before = descriptors();
    const other = endpoint.open();
    const untouched = pattern(6 * MIB, 9);
    other.send(endpoint.putHead({ key: 'other', bytes: untouched }));
    await sendAll(other, untouched.subarray(0, 3 * MIB));
    for (const pauseMs of [0, 30]) {
      await Promise.all(
        offsets.map(async (offset) => {
          const client = endpoint.open();
          client.send(endpoint.putHead({ key: `gone${offset}`, bytes }));
          await sendAll(client, bytes.subarray(0, offset));
          if (pauseMs > 0) await sleep(pauseMs);
          leave(client);
          await client.waitClosed(WAIT_MS);
        }),
      );
    }
    other.send(untouched.subarray(3 * MIB));
    expect((await answer(other)).status).toBe(200);
    await endpoint.expectStored('other', untouched);
    await endpoint.idle();
    for (const offset of offsets) await endpoint.expectAbsent(`gone${offset}`);
    other.destroy();
    await waitUntil(
      () => descriptors() <= before,
      WAIT_MS,
      () => `${descriptors()} descriptors after ${before}`,
    );
    expect(endpoint.loggedErrors).toEqual([]);
  });

  test('after its last byte has its object stored', async () => {
    const client = endpoint.open();
    client.send(endpoint.putHead({ key: 'whole', bytes }));
    await sendAll(client, bytes);
    client.socket.end();
    await client.waitClosed(WAIT_MS);
    await endpoint.idle();
    await endpoint.expectStored('whole', bytes);
  });
});

describe('a server that cannot go on', () => {
  test.each([3 * MIB, 8 * MIB, 40 * MIB])('answers in the middle of a body of %i bytes', async (length) => {
    const bytes = pattern(length);
    const { stripes } = endpoint.world;
    const lastGood = stripes.writes + (length > 4 * MIB ? 1 : 0);
    stripes.beforeWrite = () => {
      if (stripes.writes > lastGood) throw new HoldfastError('SlowDown');
    };
    const client = endpoint.open();
    client.send(endpoint.putHead({ key: 'refused', bytes }));
    client.send(bytes);
    const response = await answer(client);
    expect(codeOf(response)).toBe('SlowDown');
    stripes.beforeWrite = () => undefined;
    if (response.headers['connection'] === 'close') await client.waitClosed(WAIT_MS);
    else {
      client.send(endpoint.head('GET', '/bucket/refused'));
      expect((await answer(client)).status).toBe(404);
    }
    await endpoint.expectAbsent('refused');
  });
});
