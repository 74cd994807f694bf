/**
 * The status page and /metrics, read-only and without credentials: bound to 127.0.0.1 unless the operator says otherwise.
 * It shows no keys, no object names.
 */
import fastify, { type FastifyInstance } from 'fastify';
import { asListenError } from './listen.ts';
import { statusPage } from './pagehtml.ts';
import type { GatewayControl } from './report.ts';

export async function startPageServer(
  control: GatewayControl,
  address: { readonly host: string; readonly port: number },
): Promise<FastifyInstance> {
  const server = fastify({ logger: false, forceCloseConnections: true });
  server.addHook('onSend', async (_request, reply) => {
    reply.header('x-content-type-options', 'nosniff');
    reply.header('cache-control', 'no-store');
    reply.header(
      'content-security-policy',
      "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'",
    );
  });
  server.setNotFoundHandler((request, reply) => {
    if (request.method === 'GET' || request.method === 'HEAD')
      return reply.code(404).type('text/plain').send('not found\n');
    return reply
      .code(405)
      .header('allow', 'GET, HEAD')
      .type('text/plain')
      .send('this server only answers GET\n');
  });
  server.get('/', (_request, reply) => reply.type('text/html; charset=utf-8').send(statusPage));
  server.get('/status.json', () => control.status());
  server.get('/metrics', async (_request, reply) =>
    reply.type('text/plain; version=0.0.4; charset=utf-8').send(await control.metrics()),
  );
  server.get('/health/live', () => ({ status: 'ok' }));
  try {
    await server.listen({ host: address.host, port: address.port });
  } catch (error) {
    throw asListenError(error, address, 'admin.listen (--admin)');
  }
  return server;
}
