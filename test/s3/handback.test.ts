/**
 * A connection between its two readers: taken over and given back at any point, beneath the server, so that each moment can be chosen.
 * Whatever the native thread took is in its buffer, whatever it did not is given out by the request, and what follows is the next request.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { nativeJobs } from '../../src/base/nativejobs.ts';
import { Takeover } from '../../src/s3/takeover.ts';
import { waitUntil } from '../harness/server.ts';
import { pattern } from '../objects/world.ts';
import { descriptors, sendAll } from './endpoint.ts';
import { RawClient } from './harness.ts';

const jobs = nativeJobs();
const KIB = 1024;
const MIB = 1024 * KIB;

let server: Server;
let client: RawClient;
let broken: string[];
const arrivals: { readonly request: IncomingMessage; readonly response: ServerResponse }[] = [];

beforeEach(async () => {
  broken = [];
  arrivals.length = 0;
  server = createServer((request, response) => arrivals.push({ request, response }));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    broken.push(error.code ?? '');
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  client = new RawClient((server.address() as AddressInfo).port);
});
afterEach(async () => {
  client.destroy();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function arrival(index: number) {
  await waitUntil(() => arrivals.length > index, 10_000);
  const found = arrivals[index];
  if (found === undefined) throw new Error('no request');
  return found;
}

/** A request whose first bytes were given out by node, and the takeover of what follows. */
class Upload {
  readonly pieces: Buffer[] = [];
  readonly request: IncomingMessage;
  readonly takeover: Takeover;
  ended = false;

  private constructor(request: IncomingMessage, take: () => Takeover | undefined) {
    this.request = request;
    request.on('error', () => undefined);
    request.on('data', (piece: Buffer) => this.pieces.push(piece));
    request.on('end', () => {
      this.ended = true;
    });
    const takeover = take();
    if (takeover === undefined) throw new Error('not taken over');
    this.takeover = takeover;
  }

  static begin(request: IncomingMessage): Upload {
    if (jobs === undefined) throw new Error('no native jobs');
    return new Upload(request, () => Takeover.begin(jobs, request));
  }

  async receive(lengthBytes: number, waitMs = 10_000) {
    const target = Buffer.alloc(lengthBytes);
    const received = await this.takeover.receive(target, waitMs);
    this.pieces.push(target.subarray(0, received.lengthBytes));
    return received;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.pieces);
  }
}

const headOf = (lengthBytes: number) =>
  `PUT /k HTTP/1.1\r\nhost: a\r\ncontent-length: ${lengthBytes}\r\n\r\n`;

async function begin(bytes: Buffer): Promise<Upload> {
  client.send(headOf(bytes.length));
  return Upload.begin((await arrival(0)).request);
}

async function expectWhole(upload: Upload, bytes: Buffer): Promise<void> {
  await waitUntil(
    () => upload.ended,
    10_000,
    () => `${upload.bytes.length} of ${bytes.length}`,
  );
  expect(upload.bytes.equals(bytes)).toBe(true);
  expect(upload.request.complete).toBe(true);
}

async function expectNextRequest(index: number): Promise<void> {
  client.send('GET /next HTTP/1.1\r\nhost: a\r\n\r\n');
  expect((await arrival(index)).request.url).toBe('/next');
  expect(broken).toEqual([]);
}

test.runIf(jobs).each([0, 1, 65_536, MIB - 1, MIB, MIB + 1, 3 * MIB - 1, 3 * MIB])(
  'is given back after %i bytes of a body',
  async (takenBytes) => {
    const bytes = pattern(3 * MIB, 1);
    const upload = await begin(bytes);
    const sent = sendAll(client, bytes);
    if (takenBytes > 0) expect((await upload.receive(takenBytes)).lengthBytes).toBe(takenBytes);
    upload.takeover.end();
    upload.takeover.end();
    await expectWhole(upload, bytes);
    await sent;
    await expectNextRequest(1);
  },
);

test.runIf(jobs).each([0, 1, 5000, MIB])(
  'is given back while a receive that has %i bytes is under way',
  async (sentBytes) => {
    const bytes = pattern(3 * MIB, 2);
    const upload = await begin(bytes);
    const receiving = upload.receive(2 * MIB);
    await sendAll(client, bytes.subarray(0, sentBytes));
    await sleep(20);
    upload.takeover.end();
    // What came meanwhile is lost with the receive, as whoever breaks it off wants.
    expect((await receiving).ended).toBe(true);
    upload.request.resume();
    await sendAll(client, bytes.subarray(sentBytes));
    await waitUntil(() => upload.ended, 10_000);
    const rest = upload.bytes;
    expect(rest.equals(bytes.subarray(bytes.length - rest.length))).toBe(true);
    await expectNextRequest(1);
  },
);

test.runIf(jobs)('takes nothing when it is asked after its end', async () => {
  const bytes = pattern(MIB, 3);
  const upload = await begin(bytes);
  upload.takeover.end();
  expect(await upload.receive(1000)).toEqual({ lengthBytes: 0, ended: true });
  client.send(bytes);
  await expectWhole(upload, bytes);
});

test.runIf(jobs)('counts what came before a deadline, and no more', async () => {
  const bytes = pattern(2 * MIB, 4);
  const upload = await begin(bytes);
  client.send(bytes.subarray(0, 1234));
  expect(await upload.receive(MIB, 200)).toEqual({ lengthBytes: 1234, ended: false });
  expect(await upload.receive(MIB, 0)).toEqual({ lengthBytes: 0, ended: false });
  client.send(bytes.subarray(1234));
  expect((await upload.receive(MIB)).lengthBytes).toBe(MIB);
  upload.takeover.end();
  await expectWhole(upload, bytes);
  await expectNextRequest(1);
});

test.runIf(jobs)(
  'ends when node was set reading under it, since two readers share its body then',
  async () => {
    const bytes = pattern(8 * MIB, 5);
    const upload = await begin(bytes);
    const receiving = upload.receive(8 * MIB);
    const socket = upload.request.socket as Socket & { _paused?: boolean };
    socket._paused = false;
    socket.resume();
    let sentBytes = 0;
    for (; sentBytes < 6 * MIB && upload.request.readableLength === 0; sentBytes += 300_000) {
      client.send(bytes.subarray(sentBytes, sentBytes + 300_000));
      await sleep(5);
    }
    expect(upload.request.readableLength).toBeGreaterThan(0);
    // Held back again, as node does by itself when a request's buffer is full: nothing but what it read can tell.
    socket._paused = true;
    socket.pause();
    client.send(bytes.subarray(sentBytes));
    client.socket.end();
    expect((await receiving).ended).toBe(true);
    await client.waitClosed();
    expect(socket.destroyed).toBe(true);
  },
);

test.runIf(jobs).each(['destroy', 'resetAndDestroy', 'end'] as const)(
  'notices a client that goes away (%s) while it receives and while it does not',
  async (way) => {
    const bytes = pattern(2 * MIB, 6);
    const upload = await begin(bytes);
    const receiving = upload.receive(MIB);
    await sendAll(client, bytes.subarray(0, 3000));
    await sleep(20);
    client.socket[way]();
    expect((await receiving).ended).toBe(true);
    expect(upload.bytes.equals(bytes.subarray(0, upload.bytes.length))).toBe(true);
    upload.takeover.end();
    await waitUntil(() => upload.request.socket.destroyed, 10_000);
    expect(arrivals.length).toBe(1);
  },
);

test.runIf(jobs)('ends with its socket, even under a receive', async () => {
  const before = descriptors();
  const upload = await begin(pattern(2 * MIB, 7));
  const receiving = upload.receive(MIB);
  upload.request.socket.destroy();
  expect((await receiving).ended).toBe(true);
  await client.waitClosed();
  expect(descriptors()).toBeLessThanOrEqual(before);
});

test.runIf(jobs)('is not begun where a request is held back, or its socket listened to', async () => {
  client.send(headOf(MIB));
  const { request } = await arrival(0);
  const socket = request.socket as Socket & { _paused?: boolean };
  const take = () => jobs && Takeover.begin(jobs, request);
  socket._paused = true;
  expect(take()).toBeUndefined();
  socket._paused = false;
  socket.pause();
  socket.unshift(Buffer.from('a'));
  expect(take()).toBeUndefined();
  socket.destroy();
  expect(take()).toBeUndefined();
});

/** What the native thread waits for, by the descriptors of its epoll. */
function watched(): number {
  let count = 0;
  for (const name of readdirSync('/proc/self/fdinfo')) {
    try {
      const text = readFileSync(`/proc/self/fdinfo/${name}`, 'utf8');
      count += text.match(/^tfd:/gm)?.length ?? 0;
    } catch {
      // Closed since the list was made.
    }
  }
  return count;
}

test.runIf(jobs)('leaves nothing behind after many bodies', async () => {
  const bytes = pattern(600 * KIB, 8);
  let before = 0;
  const held: RawClient[] = [];
  for (let i = 0; i < 40; i++) {
    client.send(headOf(bytes.length));
    const { request, response } = await arrival(i);
    const upload = Upload.begin(request);
    client.send(bytes);
    expect((await upload.receive(bytes.length)).lengthBytes).toBe(bytes.length);
    upload.takeover.end();
    await expectWhole(upload, bytes);
    response.end();
    await client.receive();
    if (i === 3) before = watched();
    // Other connections, so that the next takeover has a descriptor of another number.
    held.push(new RawClient((server.address() as AddressInfo).port));
    await new Promise((resolve) => held.at(-1)?.socket.once('connect', resolve));
  }
  const connections = held.length * 2;
  expect(watched()).toBeLessThan(before + connections + 8);
  for (const other of held) other.destroy();
  await waitUntil(
    () => watched() <= before,
    10_000,
    () => `${watched()} are watched, ${before} were`,
  );
});
