/** The S3 server with its real operations over the object layer in memory, in this process, and what tests of its sockets ask of it. */
import { readdirSync } from 'node:fs';
import { expect, vi } from 'vitest';
import { nativeJobs } from '../../src/base/nativejobs.ts';
import type { OperationContext } from '../../src/s3/operation.ts';
import { operations } from '../../src/s3/operations/index.ts';
import type { S3ServerOptions } from '../../src/s3/server.ts';
import { waitUntil } from '../harness/server.ts';
import { checkInvariants } from '../objects/invariants.ts';
import { createWorld, getBytes, putRequest, type World } from '../objects/world.ts';
import { type Harness, head, RawClient, type RawResponse, start } from './harness.ts';
import { sha256Hex } from './signer.ts';

export const WAIT_MS = 30_000;

export interface Put {
  readonly key: string;
  readonly bytes: Buffer;
  readonly announcedBytes?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signedPayload?: boolean;
}

export class Endpoint {
  readonly world: World;
  readonly harness: Harness;
  readonly #clients: RawClient[] = [];
  readonly #handling: Set<unknown>;

  private constructor(world: World, harness: Harness, handling: Set<unknown>) {
    this.world = world;
    this.harness = harness;
    this.#handling = handling;
  }

  static async start(options: Partial<S3ServerOptions> = {}): Promise<Endpoint> {
    const world = await createWorld({ chunksPerStripe: 256, openChunksMax: 64, buffers: 8 });
    await world.service.createBucket('bucket', 'us-east-1');
    const handling = new Set<unknown>();
    const watched = operations.map((operation) => ({
      ...operation,
      handle: (context: OperationContext) => {
        const answer = operation.handle(context);
        handling.add(answer);
        return answer.finally(() => handling.delete(answer));
      },
    }));
    const harness = await start(watched, { objects: world.service, ...options });
    return new Endpoint(world, harness, handling);
  }

  /** No request is under way, and none of one whose client is gone. */
  async idle(): Promise<void> {
    const { server } = this.harness;
    const state = () => `${server.activeRequests} requests and ${this.#handling.size} handlers are under way`;
    await waitUntil(() => server.activeRequests + this.#handling.size === 0, WAIT_MS, state);
  }

  open(): RawClient {
    const client = new RawClient(this.harness.port);
    this.#clients.push(client);
    return client;
  }

  /** Nothing of what the test did may be left. */
  async close(): Promise<void> {
    for (const client of this.#clients) client.destroy();
    await this.idle();
    await this.harness.close();
    const { pool } = this.world.stripes;
    await waitUntil(
      () => pool.available === pool.capacity,
      WAIT_MS,
      () => 'stripe buffers are not back',
    );
    await checkInvariants(this.world);
    await this.world.close();
  }

  head(method: string, path: string, headers: Readonly<Record<string, string>> = {}): string {
    return head(this.harness, { method, path, headers });
  }

  putHead(put: Put): string {
    const headers = { 'content-length': String(put.announcedBytes ?? put.bytes.length), ...put.headers };
    const payload = put.signedPayload ? { payloadHash: sha256Hex(put.bytes) } : {};
    return head(this.harness, { method: 'PUT', path: `/bucket/${put.key}`, headers, ...payload });
  }

  /** Past the server, so that the next of its answers is for the next of the test's requests. */
  store(key: string, bytes: Buffer): Promise<unknown> {
    return this.world.service.putObject(putRequest('bucket', key, bytes, { pieceBytes: 1024 * 1024 }));
  }

  async expectStored(key: string, bytes: Buffer): Promise<void> {
    const stored = await getBytes(this.world.service, 'bucket', key);
    expect(stored.length, key).toBe(bytes.length);
    expect(stored.equals(bytes), key).toBe(true);
  }

  async expectAbsent(key: string): Promise<void> {
    await expect(getBytes(this.world.service, 'bucket', key), key).rejects.toMatchObject({
      code: 'NoSuchKey',
    });
  }

  /** Errors that an operator would be woken by. */
  get loggedErrors(): string[] {
    return this.harness.logLines
      .filter((line) => (JSON.parse(line) as { level: number }).level >= 50)
      .slice(0, 3);
  }
}

/** With a wait that allows for many large bodies at once. */
export async function answer(client: RawClient, bodiless = false): Promise<RawResponse> {
  await client.until(() => client.received.includes('\r\n\r\n') || client.closed, 'response', WAIT_MS);
  const end = client.received.indexOf('\r\n\r\n');
  const length = /content-length: (\d+)/i.exec(client.received.toString('latin1', 0, Math.max(0, end)));
  const wanted = end + 4 + (bodiless ? 0 : Number(length?.[1] ?? 0));
  await client.until(() => client.receivedBytes >= wanted || client.closed, 'body', WAIT_MS);
  return client.receive(bodiless);
}

/** Writes and waits until the socket has taken it. */
export function sendAll(client: RawClient, bytes: Uint8Array | string): Promise<void> {
  return new Promise((resolve) => client.socket.write(bytes, () => resolve()));
}

export function descriptors(pid: number | 'self' = 'self'): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** How often native threads were asked to receive and to send; undefined without them. */
export function nativeCalls() {
  const jobs = nativeJobs();
  if (jobs === undefined) return undefined;
  const receive = vi.spyOn(jobs.addon, 'inletReceive');
  const send = vi.spyOn(jobs.addon, 'sendBytes');
  return {
    get receives() {
      return receive.mock.calls.length;
    },
    get sends() {
      return send.mock.calls.length;
    },
  };
}
