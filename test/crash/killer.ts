/**
 * A server that is killed with SIGKILL at chosen instants, and what each of its objects may hold afterwards: one content, or two while an
 * unanswered request may have changed it.
 */
import { createHash, randomInt } from 'node:crypto';
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { MIB } from '../../src/base/units.ts';
import { body, scrubOf, statusOf } from '../badday/support.ts';
import { TestS3 } from '../harness/s3.ts';
import { type RunningServer, startServer, temporaryDirectory, waitUntil } from '../harness/server.ts';
import { Prng } from '../simulation/prng.ts';

export const seed = Number(process.env['HOLDFAST_TEST_SEED'] ?? randomInt(2 ** 31));
const generator = new Prng(seed);
export const random = () => generator.u32() / 2 ** 32;

export const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
export const ABSENT = 'absent';

export class Killer {
  readonly data = join(temporaryDirectory(), 'data');
  readonly allowed = new Map<string, Set<string>>();
  server: RunningServer | undefined;
  #s3: TestS3 | undefined;

  get s3(): TestS3 {
    if (this.#s3 === undefined) throw new Error('the server was not started');
    return this.#s3;
  }

  async start(): Promise<void> {
    this.server = await startServer({ data: this.data, flags: ['--log-level', 'warn'] });
    this.#s3 = new TestS3(this.server);
  }

  /** The first start, and a bucket with objects that nothing changes. */
  async begin(): Promise<void> {
    await this.start();
    await this.s3.ok('PUT', '/moments');
    for (const [i, size] of [100, 30_000, 700_000, 6 * MIB].entries()) {
      await this.put(`/moments/kept/${i}`, body(size, i));
    }
  }

  async end(): Promise<void> {
    await this.server?.stop('SIGKILL');
    rmSync(dirname(this.data), { recursive: true, force: true });
  }

  async put(path: string, bytes: Uint8Array): Promise<void> {
    this.allowed.set(path, new Set([...(this.allowed.get(path) ?? [ABSENT]), digest(bytes)]));
    await this.s3.ok('PUT', path, { body: bytes });
    this.allowed.set(path, new Set([digest(bytes)]));
  }

  async remove(path: string): Promise<void> {
    this.allowed.set(path, new Set([...(this.allowed.get(path) ?? []), ABSENT]));
    await this.s3.ok('DELETE', path);
    this.allowed.set(path, new Set([ABSENT]));
  }

  async createUpload(path: string): Promise<string> {
    const created = await this.s3.ok('POST', path, { query: { uploads: '' } });
    return /<UploadId>([^<]+)</.exec(created.body.toString())?.[1] ?? '';
  }

  /** Runs `work`, kills the server `delayMs` after it began, starts it again, and checks every object. */
  async killDuring(work: () => Promise<unknown>, delayMs: number): Promise<void> {
    const done = work().catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    await this.server?.stop('SIGKILL');
    await done;
    await this.start();
    for (const [path, digests] of this.allowed) {
      const reply = await this.s3.send('GET', path);
      expect([200, 404], `${path}: ${reply.body.subarray(0, 300)}`).toContain(reply.status);
      const found = reply.status === 404 ? ABSENT : digest(reply.body);
      const context = `${path} (seed ${seed}, ${delayMs} ms): ${reply.status}, ${reply.body.length} bytes`;
      expect(digests.has(found), context).toBe(true);
      this.allowed.set(path, new Set([found]));
    }
  }

  /** Nothing is missing, and nothing is left that nobody needs. */
  async expectClean(): Promise<void> {
    await scrubOf(this);
    expect(await scrubOf(this)).toMatchObject({
      corrupt: 0,
      missing: 0,
      orphans: 0,
      unreachable: 0,
      unrepairable: 0,
    });
    await waitUntil(async () => {
      const { health, healing } = await statusOf(this);
      return health === 'ok' && healing.tombs === 0;
    }, 20_000);
    const { nodes, objects } = await statusOf(this);
    const live = [...this.allowed.values()].filter((digests) => !digests.has(ABSENT)).length;
    expect(objects.count).toBe(live);
    expect(nodes.map((node) => node.damagedRecords)).toEqual([0, 0, 0, 0, 0, 0]);
  }
}

export async function durationOf(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

export function completion(etags: readonly string[]): string {
  const parts = etags.map((etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${etag}</ETag></Part>`);
  return `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`;
}
