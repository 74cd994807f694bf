/**
 * Any mix of large and small requests on many connections, sent without waiting for answers, cut into writes of any length, with pauses and
 * bodies that look like requests: every answer is the right one, in order. Large bodies are taken over or not, as it comes.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { pattern } from '../objects/world.ts';
import { answer, Endpoint, sendAll, WAIT_MS } from './endpoint.ts';
import type { RawClient } from './harness.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const ROUNDS = Number(process.env['REQUEST_MIX_ROUNDS'] ?? 1);
const stored = [pattern(300, 1), pattern(700 * KIB, 2), pattern(5 * MIB + 9, 3)] as const;

interface Step {
  readonly sent: Buffer;
  readonly expect: (client: RawClient) => Promise<void>;
}

const below = (limit: number) => Math.floor(Math.random() * limit);

function bodyOf(endpoint: Endpoint): Buffer {
  const length = [below(2000), below(MIB), MIB + below(3), below(8 * MIB)][below(4)] ?? 0;
  if (below(2)) return pattern(length, below(1000));
  const text = Buffer.from(`\r\n0\r\n\r\n${endpoint.head('DELETE', `/bucket/stored${below(3)}`)}`);
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at += text.length) text.copy(bytes, at);
  return bytes;
}

function upload(endpoint: Endpoint, key: string, kept: Map<string, Buffer>): Step {
  const bytes = bodyOf(endpoint);
  kept.set(key, bytes);
  return {
    sent: Buffer.concat([
      Buffer.from(endpoint.putHead({ key, bytes, signedPayload: below(2) === 0 })),
      bytes,
    ]),
    expect: async (client) => expect((await answer(client)).status, key).toBe(200),
  };
}

function question(endpoint: Endpoint): Step {
  const index = below(3);
  const bytes = stored[index] ?? Buffer.alloc(0);
  const method = below(3) ? 'GET' : 'HEAD';
  return {
    sent: Buffer.from(endpoint.head(method, `/bucket/stored${index}`)),
    expect: async (client) => {
      const { headers, body } = await answer(client, method === 'HEAD');
      expect(headers['content-length']).toBe(String(bytes.length));
      if (method === 'GET') expect(body.equals(bytes)).toBe(true);
    },
  };
}

/** Now and then the connection is left before its end. */
async function converse(endpoint: Endpoint, name: string, kept: Map<string, Buffer>): Promise<void> {
  const own = new Map<string, Buffer>();
  const steps = Array.from({ length: 1 + below(6) }, (_, i) =>
    below(2) ? upload(endpoint, `${name}-${i}`, own) : question(endpoint),
  );
  const stream = Buffer.concat(steps.map(({ sent }) => sent));
  const client = endpoint.open();
  const leavesAt = below(4) ? Number.POSITIVE_INFINITY : below(stream.length);
  const longest = [100 * KIB, MIB, 20 * MIB][below(3)] ?? MIB;
  const sending = async () => {
    for (let at = 0; at < stream.length && !client.closed; ) {
      const length = 1 + below(longest);
      await sendAll(client, stream.subarray(at, Math.min(at + length, leavesAt)));
      at += length;
      if (at >= leavesAt) return void (below(2) ? client.socket.end() : client.socket.resetAndDestroy());
      if (below(20) === 0) await sleep(below(700));
    }
  };
  const sent = sending();
  if (leavesAt === Number.POSITIVE_INFINITY) {
    for (const step of steps) await step.expect(client);
    for (const [key, bytes] of own) kept.set(key, bytes);
    expect(client.received.length).toBe(0);
    client.destroy();
  }
  await sent;
  await client.waitClosed(WAIT_MS);
}

test('every answer is the right one', { timeout: 60_000 * ROUNDS }, async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const endpoint = await Endpoint.start();
    const kept = new Map(stored.map((bytes, i) => [`stored${i}`, bytes]));
    for (const [key, bytes] of kept) await endpoint.store(key, bytes);
    await Promise.all(Array.from({ length: 16 }, (_, i) => converse(endpoint, `c${i}`, kept)));
    await endpoint.idle();
    for (const [key, bytes] of kept) await endpoint.expectStored(key, bytes);
    expect(endpoint.loggedErrors).toEqual([]);
    await endpoint.close();
  }
});
