/** A data directory with one object in it, stopped, of which tests break copies. */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { TestS3 } from '../harness/s3.ts';
import { type RunningServer, startServer, temporaryDirectory } from '../harness/server.ts';
import { failedStart, linesOf } from './support.ts';

const CONTENT = 'what must survive';

export class Original {
  readonly root = temporaryDirectory();
  readonly #running: RunningServer[] = [];
  #copies = 0;

  async make(): Promise<void> {
    const server = await this.start({ data: join(this.root, 'original') });
    const s3 = new TestS3(server);
    await s3.ok('PUT', '/kept');
    await s3.ok('PUT', '/kept/object', { body: CONTENT });
    await server.stop();
  }

  copy(): string {
    const copy = join(this.root, `copy-${this.#copies++}`);
    cpSync(join(this.root, 'original'), copy, { recursive: true });
    return copy;
  }

  /** A server that ends with the tests, whatever they do. */
  async start(...options: Parameters<typeof startServer>): Promise<RunningServer> {
    const server = await startServer(...options);
    this.#running.push(server);
    return server;
  }

  async end(): Promise<void> {
    for (const server of this.#running) await server.stop('SIGKILL');
    rmSync(this.root, { recursive: true, force: true });
  }

  async expectServes(data: string): Promise<void> {
    const server = await this.start({ data });
    const reply = await new TestS3(server).ok('GET', '/kept/object');
    expect(reply.body.toString()).toBe(CONTENT);
    expect(await server.stop()).toBe(0);
  }
}

/** One line, exit code 1. */
export async function expectRefused(data: string, why: RegExp, flags: readonly string[] = []): Promise<void> {
  const result = await failedStart(data, flags);
  expect(linesOf(result)).toEqual([expect.stringMatching(why)]);
  expect(result.code).toBe(1);
}
