/** Both load generators see the same in a server's answers: a benchmark is only as right as its client. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { preferredClient, runLoad } from '../../bench/load/client.ts';
import type { Plan } from '../../bench/load/plan.ts';

const BODY_BYTES = 300_000;
const REQUESTS = 10;
const bodies = new Set<string>();

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    hash.update(piece);
    bytes += piece.length;
  }
  bodies.add(`${bytes} ${hash.digest('hex')}`);
  const path = request.url?.split('?')[0];
  if (path === '/bench/length') response.end(Buffer.alloc(BODY_BYTES));
  else if (path === '/bench/empty') response.writeHead(204).end();
  else if (path === '/bench/chunks') {
    for (let i = 0; i < 3; i++) response.write(Buffer.alloc(BODY_BYTES / 3, 'x'));
    response.end();
  } else response.writeHead(404, { 'content-length': 2 }).end('no');
}

const server = createServer((request, response) => void answer(request, response));
beforeAll(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening');
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});

function plan(path: string, method: Plan['method'], bodyBytes: number): Plan {
  const { port } = server.address() as { port: number };
  return {
    target: { host: '127.0.0.1', port, accessKeyId: 'key', secretAccessKey: 'secret' },
    connections: 2,
    method,
    paths: [path],
    bodyBytes,
    requestsMax: REQUESTS,
    durationMs: 30_000,
  };
}

const clients = [...new Set([preferredClient(), 'JavaScript' as const])];

describe.each(clients)('the load generator in %s', (client) => {
  test.each([
    ['a body with a length', '/bench/length', BODY_BYTES],
    ['no body', '/bench/empty', 0],
  ])('counts answers with %s', async (_what, path, bytes) => {
    const result = await runLoad(plan(path, 'GET', 0), client);
    expect(result).toMatchObject({ requests: REQUESTS, failed: 0, bytes: REQUESTS * bytes });
    expect(result.p99Ms).toBeGreaterThanOrEqual(result.p50Ms);
  });

  test('finds the end of an answer in chunks', async () => {
    const result = await runLoad(plan('/bench/chunks', 'GET', 0), client);
    expect(result).toMatchObject({ requests: REQUESTS, failed: 0 });
    expect(result.bytes).toBeGreaterThanOrEqual(REQUESTS * BODY_BYTES);
  });

  test('counts a refusal as a failure, not as a request', async () => {
    const result = await runLoad(plan('/bench/missing', 'GET', 0), client);
    expect(result).toMatchObject({ requests: 0, failed: REQUESTS });
    expect(result.firstFailure).toContain('404');
  });

  test('sends the same whole body with every request', async () => {
    bodies.clear();
    await runLoad(plan('/bench/empty', 'PUT', BODY_BYTES), client);
    expect([...bodies]).toHaveLength(1);
    expect([...bodies][0]).toMatch(new RegExp(`^${BODY_BYTES} `));
  });
});
