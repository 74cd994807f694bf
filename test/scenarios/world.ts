/** A running server with about 200 objects of mixed sizes, and questions to it as an operator would ask them. */
import { createHash } from 'node:crypto';
import { open, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import type { ScrubResult, StatusReport } from '../../src/admin/report.ts';
import { type Reply, TestS3 } from '../harness/s3.ts';
import {
  holdfast,
  type RunningServer,
  type ServerOptions,
  startServer,
  waitUntil,
} from '../harness/server.ts';
import { Prng } from '../simulation/prng.ts';

const SIZES = [0, 1, 700, 4096, 32_768, 32_769, 100_000];
const LARGE_SIZES = [1_500_000, 6_000_000];
const OBJECTS = 200;
const REQUESTS_AT_ONCE = 16;

export class Scenario {
  server: RunningServer;
  s3: TestS3;
  readonly #digests = new Map<string, string>();

  private constructor(server: RunningServer) {
    this.server = server;
    this.s3 = new TestS3(server);
  }

  static async start(options: ServerOptions = {}): Promise<Scenario> {
    const server = await startServer({
      ...options,
      flags: ['--log-level', 'warn', ...(options.flags ?? [])],
    });
    const scenario = new Scenario(server);
    await scenario.s3.ok('PUT', '/bucket');
    return scenario;
  }

  async restart(): Promise<void> {
    const { data } = this.server;
    this.server = await startServer({ data, flags: ['--log-level', 'warn'] });
    this.s3 = new TestS3(this.server);
  }

  async close(): Promise<void> {
    await this.server.stop('SIGKILL');
    await rm(dirname(this.server.data), { recursive: true, force: true });
  }

  folder(node: number): string {
    return join(this.server.data, 'nodes', `node-${node}`);
  }

  async fill(seed: number, count = OBJECTS): Promise<void> {
    const prng = new Prng(seed);
    const bodies = Array.from({ length: count }, (_, i) => {
      const sizes = i % 40 === 0 ? LARGE_SIZES : SIZES;
      return { path: `/bucket/${seed}/${i}`, body: prng.bytes(prng.pick(sizes)) };
    });
    await eachAtOnce(bodies, async ({ path, body }) => {
      await this.s3.ok('PUT', path, { body });
      this.#digests.set(path, digest(body));
    });
  }

  /** Every object, byte for byte. */
  async readAll(): Promise<void> {
    const replies = await this.#getAll();
    for (const { path, reply, expected } of replies) {
      expect(`${path} ${reply.status} ${digest(reply.body)}`).toBe(`${path} 200 ${expected}`);
    }
  }

  /** How many are answered right; the others get 5xx or a broken connection, and nobody gets a wrong byte. */
  async readWhatIsThere(): Promise<{ readonly right: number; readonly refused: number }> {
    let [right, refused] = [0, 0];
    await eachAtOnce([...this.#digests], async ([path, expected]) => {
      const reply = await this.s3.send('GET', path).catch(() => undefined);
      if (reply?.status === 200) {
        expect(`${path} ${digest(reply.body)}`).toBe(`${path} ${expected}`);
        right += 1;
      } else {
        if (reply !== undefined) expect(reply.status, path).toBeGreaterThanOrEqual(500);
        refused += 1;
      }
    });
    return { right, refused };
  }

  async #getAll(): Promise<{ path: string; reply: Reply; expected: string }[]> {
    const replies: { path: string; reply: Reply; expected: string }[] = [];
    await eachAtOnce([...this.#digests], async ([path, expected]) => {
      replies.push({ path, reply: await this.s3.send('GET', path), expected });
    });
    return replies;
  }

  run(...args: string[]) {
    return holdfast([...args, '--data', this.server.data]);
  }

  async status(): Promise<StatusReport> {
    return JSON.parse((await this.run('status', '--json')).stdout) as StatusReport;
  }

  /** The same truth over HTTP, which starts no process. */
  async quickStatus(): Promise<StatusReport> {
    const reply = await fetch(`${this.server.statusPage}/status.json`);
    return (await reply.json()) as StatusReport;
  }

  async until(condition: (status: StatusReport) => boolean, timeoutMs = 30_000): Promise<StatusReport> {
    let status = await this.quickStatus();
    await waitUntil(
      async () => condition((status = await this.quickStatus())),
      timeoutMs,
      () => JSON.stringify({ ...status, server: this.server.output() }, null, 1),
    );
    return status;
  }

  async scrub(...flags: string[]): Promise<ScrubResult & { readonly code: number | null }> {
    const { code, stdout, stderr } = await this.run('scrub', '--json', ...flags);
    if (stdout === '') throw new Error(stderr);
    return { ...(JSON.parse(stdout) as ScrubResult), code };
  }
}

export function isHealed(status: StatusReport): boolean {
  return status.health === 'ok' && status.stripes.complete === status.stripes.total;
}

async function eachAtOnce<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, worker));
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export async function segmentsOf(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith('.seg')).map((name) => join(folder, name));
}

/** Flips one bit in every `strideBytes` of the file, from the first stride on. */
export async function flipBits(path: string, strideBytes: number): Promise<number> {
  const { size } = await stat(path);
  const file = await open(path, 'r+');
  let flipped = 0;
  try {
    const byte = Buffer.alloc(1);
    for (let at = strideBytes; at < size; at += strideBytes) {
      await file.read(byte, 0, 1, at);
      byte[0] = (byte[0] ?? 0) ^ 0x10;
      await file.write(byte, 0, 1, at);
      flipped += 1;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return flipped;
}
