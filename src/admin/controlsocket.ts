/**
 * The control socket: HTTP with JSON over a Unix socket in the data directory, mode 0600, so that who may read the keys may
 * operate the server and nobody else. The CLI is its only client. Socket paths hold about 100 bytes; below a longer data
 * directory the socket lies in a private temporary folder and `control.path` says where.
 */
import { chmod, mkdtemp, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fastify, { type FastifyInstance } from 'fastify';
import { errorTable, HoldfastError } from '../base/errors.ts';
import type { EtagKind } from '../objects/types.ts';
import type { GatewayControl, NodeToAdd } from './report.ts';

const SOCKET_PATH_BYTES_MAX = 100;
const NODE_TEXT_LENGTH_MAX = 1024;
const NODE_WEIGHT_MAX = 1000;
export const SOCKET_NAME = 'control.sock';
export const SOCKET_POINTER = 'control.path';

export interface ControlServer {
  readonly path: string;
  close(): Promise<void>;
}

/** The caller holds the lock of the data directory, so a socket left behind is a dead one. */
export async function startControlServer(
  control: GatewayControl,
  dataDirectory: string,
): Promise<ControlServer> {
  const pointer = join(dataDirectory, SOCKET_POINTER);
  await rm(pointer, { force: true });
  const near = join(dataDirectory, SOCKET_NAME);
  const far =
    Buffer.byteLength(near) > SOCKET_PATH_BYTES_MAX ? await mkdtemp(join(tmpdir(), 'holdfast-')) : undefined;
  const path = far === undefined ? near : join(far, SOCKET_NAME);
  await unlink(path).catch(() => undefined);
  const server = routes(control);
  const umask = process.umask(0o177);
  try {
    await server.listen({ path });
  } finally {
    process.umask(umask);
  }
  await chmod(path, 0o600);
  if (far !== undefined) await writeFile(pointer, path, { mode: 0o600 });
  return {
    path,
    close: async () => {
      await server.close();
      if (far !== undefined) await rm(far, { recursive: true, force: true });
      await rm(pointer, { force: true });
    },
  };
}

function routes(control: GatewayControl): FastifyInstance {
  const server = fastify({ logger: false, forceCloseConnections: true });
  server.setErrorHandler((error, _request, reply) => {
    const known = error instanceof HoldfastError ? error : undefined;
    const status = known ? errorTable[known.code].httpStatus : 500;
    reply.code(status).send({ code: known?.code ?? 'InternalError', message: (error as Error).message });
  });
  server.get('/status', () => control.status());
  server.get('/metrics', async (_request, reply) => reply.type('text/plain').send(await control.metrics()));
  server.post<{ Params: { id: string } }>('/nodes/:id/stop', async (request) => {
    await control.stopNode(nodeId(request.params.id));
    return {};
  });
  server.post<{ Params: { id: string } }>('/nodes/:id/start', async (request) => {
    await control.startNode(nodeId(request.params.id));
    return {};
  });
  server.post<{ Params: { id: string }; Body: { path?: string } }>('/nodes/:id/replace', (request) =>
    control.replaceNode(nodeId(request.params.id), request.body?.path),
  );
  server.post<{ Body: unknown }>('/nodes', (request) => control.addNode(nodeToAdd(request.body)));
  server.delete<{ Params: { id: string } }>('/nodes/:id', async (request) => {
    await control.removeNode(nodeId(request.params.id));
    return {};
  });
  server.post<{ Body: { dryRun?: boolean; deleteOrphans?: boolean } }>('/scrub', (request) =>
    control.scrub({
      dryRun: request.body?.dryRun === true,
      deleteOrphans: request.body?.deleteOrphans === true,
    }),
  );
  server.get('/buckets', () => control.listBuckets());
  server.post<{ Params: { name: string }; Body: { etag?: unknown } }>('/buckets/:name', async (request) => {
    const etag = request.body?.etag;
    await control.setBucket(request.params.name, etag === undefined ? {} : { etag: etagKind(etag) });
    return {};
  });
  return server;
}

/** @throws InvalidArgument naming the field that is wrong */
function nodeToAdd(body: unknown): NodeToAdd {
  const refuse = (why: string): never => {
    throw new HoldfastError('InvalidArgument', { detail: why });
  };
  if (typeof body !== 'object' || body === null) return refuse('what is to be added is missing');
  const fields = body as Record<string, unknown>;
  const texts = [
    'address',
    'namespace',
    'password',
    'farm',
    'site',
    'country',
    'join',
    'fingerprint',
  ] as const;
  for (const name of texts) {
    const value = fields[name];
    if (value === undefined) continue;
    if (typeof value !== 'string' || value.length === 0 || value.length > NODE_TEXT_LENGTH_MAX) {
      refuse(`${name} is a text of 1 to ${NODE_TEXT_LENGTH_MAX} characters`);
    }
  }
  const { address, weight, acceptNonDurable } = fields;
  if (address === undefined) refuse('address is missing');
  if (weight !== undefined && !(typeof weight === 'number' && weight > 0 && weight <= NODE_WEIGHT_MAX)) {
    refuse(`weight is a number above 0 and up to ${NODE_WEIGHT_MAX}`);
  }
  if (acceptNonDurable !== undefined && typeof acceptNonDurable !== 'boolean') {
    refuse('acceptNonDurable is true or false');
  }
  return fields as unknown as NodeToAdd;
}

function etagKind(value: unknown): EtagKind {
  if (value === 'md5' || value === 'opaque') return value;
  throw new HoldfastError('InvalidArgument', {
    detail: `ETags are "md5" or "opaque", not ${JSON.stringify(value)}`,
  });
}

function nodeId(text: string): number {
  const id = Number(text);
  if (!/^\d{1,5}$/.test(text) || id > 65_535) {
    throw new HoldfastError('InvalidArgument', {
      detail: `"${text}" is not a node id; holdfast nodes list shows them`,
    });
  }
  return id;
}
