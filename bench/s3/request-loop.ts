/**
 * What one signed request costs the server beside its handler: `node bench/s3/request-loop.ts [seconds]`. Serves a GET of
 * 4 KiB and a PUT of 4 KiB whose handlers do nothing, over real connections with wrk (Debian's package), and reports
 * requests a second and server CPU for each, next to a bare node:http server that answers the same bytes, and to the same S3
 * server behind fastify's router (its body parsers off, its reply hijacked: the least it can cost).
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fastify from 'fastify';
import pino from 'pino';
import type { ObjectBody, ObjectService } from '../../src/objects/types.ts';
import type { Operation } from '../../src/s3/operation.ts';
import { S3Server } from '../../src/s3/server.ts';
import { amzDate, presign, signHeader } from '../../test/s3/signer.ts';

const keys = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'a secret for benches' };
const piece = Buffer.alloc(4096, 'x');
const CONNECTIONS = 32;

async function* stream(): AsyncGenerator<Uint8Array, void, void> {
  yield piece;
}
const body: ObjectBody = {
  info: {} as ObjectBody['info'],
  range: { firstByte: 0, lengthBytes: piece.length, partial: false },
  stream,
};

const row = { level: 'object', selectors: {}, parameters: [], headers: [] } as const;
const operations: Operation[] = [
  {
    ...row,
    name: 'GetObject',
    method: 'GET',
    handle: async () => ({ status: 200, headers: { etag: '"x"' }, body }),
  },
  {
    ...row,
    name: 'PutObject',
    method: 'PUT',
    handle: async (context) => {
      for await (const part of context.body()) if (part.length === 0) break;
      return { status: 200, headers: { etag: '"x"' } };
    },
  },
];

async function serve(kind: string): Promise<void> {
  let port: number;
  if (kind === 'bare') {
    const server = http.createServer((request, response) => {
      request.resume();
      request.on('end', () => response.writeHead(200, { 'Content-Length': piece.length }).end(piece));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as { port: number }).port;
  } else {
    const credential = { ...keys, ownerId: '5e'.repeat(32), displayName: 'bench' };
    const server = new S3Server({
      operations,
      objects: {} as ObjectService,
      credentials: { find: (id) => (id === keys.accessKeyId ? credential : undefined) },
      log: pino({ level: 'warn' }),
      ready: () => true,
    });
    if (kind === 'fastify') port = await listenWithFastify(server);
    else ({ port } = await server.listen('127.0.0.1', 0));
  }
  process.on('message', () => process.send?.(process.cpuUsage()));
  process.send?.(port);
}

async function listenWithFastify(server: S3Server): Promise<number> {
  const app = fastify({ logger: false });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.all('/*', (request, reply) => {
    reply.hijack();
    server.handle(request.raw, reply.raw, false);
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  return (app.server.address() as { port: number }).port;
}

const message = <T>(child: ChildProcess): Promise<T> =>
  new Promise((resolve) => {
    child.once('message', (value) => resolve(value as T));
  });

function wrkScript(method: string, headers: Record<string, string>, withBody: boolean): string {
  const path = join(tmpdir(), `holdfast-wrk-${process.pid}.lua`);
  const lines = Object.entries(headers).map(
    ([name, value]) => `wrk.headers["${name === 'host' ? 'Host' : name}"] = "${value}"`,
  );
  const payload = withBody ? `wrk.body = string.rep("x", ${piece.length})` : '';
  writeFileSync(path, [`wrk.method = "${method}"`, ...lines, payload].join('\n'));
  return path;
}

async function measure(kind: string, form: string, method: string, seconds: number): Promise<void> {
  const child = fork(import.meta.filename, ['--serve', kind], { execArgv: process.execArgv });
  const port = await message<number>(child);
  const unsigned = { method, path: '/bucket/some/key', headers: { host: `127.0.0.1:${port}` } };
  const options = { keys, dateTime: amzDate(Date.now()) };
  const signed = form === 'presigned' ? presign(unsigned, options) : signHeader(unsigned, options);
  const script = wrkScript(method, signed.headers, method === 'PUT');
  const cpu = () => {
    const answer = message<NodeJS.CpuUsage>(child);
    child.send('cpu');
    return answer;
  };
  const run = (duration: number) =>
    execFileSync(
      'wrk',
      ['-t1', `-c${CONNECTIONS}`, `-d${duration}s`, '-s', script, `http://127.0.0.1:${port}${signed.target}`],
      { encoding: 'utf8' },
    );
  run(1);
  const before = await cpu();
  const output = run(seconds);
  const after = await cpu();
  const count = Number(/(\d+) requests in/.exec(output)?.[1]);
  const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]);
  const bad = /Non-2xx.*: (\d+)/.exec(output)?.[1] ?? '0';
  if (bad !== '0')
    throw new Error(`${bad} of ${count} requests were refused: these figures would be of refusals`);
  const cpuUs = (after.user + after.system - before.user - before.system) / count;
  const name = `${kind} ${method} ${form}`.padEnd(24);
  process.stdout.write(
    `${name} ${rate.toFixed(0).padStart(7)} requests/s  ${cpuUs.toFixed(1)} µs CPU each\n`,
  );
  child.kill();
}

if (process.argv[2] === '--serve') {
  await serve(process.argv[3] ?? 's3');
} else {
  const seconds = Number(process.argv[2] ?? 3);
  for (const method of ['GET', 'PUT']) {
    await measure('bare', 'header', method, seconds);
    await measure('s3', 'header', method, seconds);
    await measure('fastify', 'header', method, seconds);
    await measure('s3', 'presigned', method, seconds);
  }
}
