/**
 * A bucket of a million keys, put through the server and listed through, then mass-deleted: `node bench/millionkeys.ts [keys]`. The first page is
 * timed with the bucket full, and again after most of it was deleted.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { TestS3 } from '../test/harness/s3.ts';
import { startServer } from '../test/harness/server.ts';
import { run } from './load/generator.ts';

const count = Number(process.argv[2] ?? 1_000_000);
const CONNECTIONS = 64;
const server = await startServer({ flags: ['--log-level', 'warn'] });
const s3 = new TestS3(server);
const target = {
  host: '127.0.0.1',
  port: server.port,
  accessKeyId: server.accessKeyId,
  secretAccessKey: server.secretAccessKey,
};
const say = (text: string) => process.stdout.write(`${text}\n`);
const rssMiB = () =>
  Math.round(
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.process.pid}/status`, 'utf8'))?.[1]) / 1024,
  );
const keyOf = (i: number) => `key-${String(i).padStart(9, '0')}`;

async function firstPageMs(): Promise<string> {
  const startedMs = performance.now();
  await s3.ok('GET', '/many', { query: { 'list-type': '2' } });
  return `${(performance.now() - startedMs).toFixed(1)} ms`;
}

async function listAll(): Promise<number> {
  let listed = 0;
  let after = '';
  for (;;) {
    const page = (
      await s3.ok('GET', '/many', { query: { 'list-type': '2', 'start-after': after } })
    ).body.toString();
    const names = page.match(/<Key>[^<]+/g) ?? [];
    listed += names.length;
    after = names.at(-1)?.slice('<Key>'.length) ?? after;
    if (!page.includes('<IsTruncated>true')) return listed;
  }
}

async function deleteMost(): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let from = next; from < count * 0.9; from = next) {
      next = from + 1000;
      const objects = Array.from(
        { length: 1000 },
        (_, i) => `<Object><Key>${keyOf(from + i)}</Key></Object>`,
      ).join('');
      const body = `<Delete><Quiet>true</Quiet>${objects}</Delete>`;
      const headers = { 'content-md5': createHash('md5').update(body).digest('base64') };
      await s3.ok('POST', '/many', { query: { delete: '' }, headers, body });
    }
  };
  await Promise.all(Array.from({ length: 4 }, worker));
}

try {
  await s3.ok('PUT', '/many');
  const SLICE = 20_000;
  const startedMs = performance.now();
  for (let from = 0; from < count; from += SLICE) {
    const paths = Array.from({ length: Math.min(SLICE, count - from) }, (_, i) => `/many/${keyOf(from + i)}`);
    const plan = {
      target,
      connections: CONNECTIONS,
      method: 'PUT',
      paths,
      bodyBytes: 100,
      requestsMax: paths.length,
      durationMs: 3.6e6,
    } as const;
    const result = await run(plan);
    if (result.failed > 0) throw new Error(`${result.failed} PUTs failed: ${result.firstFailure}`);
  }
  say(
    `${count} PUTs of 100 B: ${(count / ((performance.now() - startedMs) / 1000)).toFixed(0)}/s, RSS ${rssMiB()} MiB`,
  );
  say(`first page, cold: ${await firstPageMs()}; again: ${await firstPageMs()}`);
  const listStartedMs = performance.now();
  const listed = await listAll();
  const seconds = (performance.now() - listStartedMs) / 1000;
  say(`${listed} keys listed through at ${(listed / seconds).toFixed(0)} keys/s, RSS ${rssMiB()} MiB`);
  const deleteStartedMs = performance.now();
  await deleteMost();
  say(
    `90 % deleted at ${((count * 0.9) / ((performance.now() - deleteStartedMs) / 1000)).toFixed(0)} keys/s`,
  );
  say(
    `first page after the mass delete: ${await firstPageMs()}; again: ${await firstPageMs()}, RSS ${rssMiB()} MiB`,
  );
} finally {
  await server.stop();
  await rm(server.data, { recursive: true, force: true });
}
