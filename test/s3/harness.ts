/** A server with a small operation table on a real socket, and a raw client that sends exactly what a test says. */
import { connect, type Socket } from 'node:net';
import pino from 'pino';
import { createBodyDigest } from '../../src/coding/digest.ts';
import type { ObjectBody, ObjectService } from '../../src/objects/types.ts';
import type { Operation, OperationContext } from '../../src/s3/operation.ts';
import type { RequestRecord } from '../../src/s3/parts.ts';
import { S3Server, type S3ServerOptions } from '../../src/s3/server.ts';
import { amzDate, type ChunkOptions, frame, presign, signHeader, type Unsigned } from './signer.ts';

export const keys = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'a secret for tests' };
export const ownerId = '5e'.repeat(32);

/** Bytes that tell their own position. */
export function pattern(lengthBytes: number): Buffer {
  const bytes = Buffer.alloc(lengthBytes);
  for (let i = 0; i < lengthBytes; i++) bytes[i] = (i * 7 + (i >> 8)) & 0xff;
  return bytes;
}

/** Streams through one small buffer that is overwritten for each piece, as pooled memory is. */
export function pooledBody(
  data: Buffer,
  pieceBytes: number,
  failAtBytes = Number.POSITIVE_INFINITY,
): ObjectBody {
  const range = { firstByte: 0, lengthBytes: data.length, partial: false };
  const pool = Buffer.alloc(pieceBytes);
  async function* stream(): AsyncGenerator<Uint8Array, void, void> {
    for (let at = 0; at < data.length; at += pieceBytes) {
      if (at >= failAtBytes) throw new Error('the disk is gone: secret detail');
      const bytes = data.copy(pool, 0, at, at + pieceBytes);
      yield pool.subarray(0, bytes);
      pool.fill(0xee);
    }
  }
  return { info: {} as ObjectBody['info'], range, stream };
}

async function putObject(context: OperationContext) {
  const body = context.body();
  const digest = createBodyDigest([...body.algorithms, 'md5']);
  let bytes = 0;
  for await (const piece of body) {
    digest.update(piece);
    bytes += piece.length;
  }
  const digests = digest.digest();
  const checksum = body.verify(digests);
  return {
    status: 200,
    headers: {
      etag: `"${digests.md5?.toString('hex')}"`,
      'x-bytes': String(bytes),
      'x-announced': String(body.lengthBytes),
      'x-key': encodeURIComponent(`${context.bucket} ${context.key}`),
      ...(checksum && { [`x-amz-checksum-${checksum.algorithm.toLowerCase()}`]: checksum.value }),
    },
  };
}

const row = (
  name: string,
  method: Operation['method'],
  level: Operation['level'],
  handle: Operation['handle'],
  more: Partial<Operation> = {},
): Operation => ({ name, method, level, selectors: {}, parameters: [], headers: [], handle, ...more });

export const rows: readonly Operation[] = [
  row('ListBuckets', 'GET', 'service', async () => ({ status: 200, body: '<Buckets/>' })),
  row('ListObjects', 'GET', 'bucket', async (context) => ({ status: 200, body: `<L>${context.bucket}</L>` })),
  row(
    'ListObjectsV2',
    'GET',
    'bucket',
    async ({ query }) => ({ status: 200, body: `<V2>${query.get('prefix')}</V2>` }),
    {
      selectors: { 'list-type': '2' },
      parameters: ['prefix'],
    },
  ),
  row('PutObject', 'PUT', 'object', putObject, {
    headers: ['x-amz-meta-*', 'if-none-match', 'x-amz-checksum-crc32', 'x-amz-checksum-sha256'],
  }),
  row(
    'CopyObject',
    'PUT',
    'object',
    async ({ endpoint }) => ({ status: 200, body: `<Copy>${endpoint}</Copy>` }),
    {
      selectingHeader: 'x-amz-copy-source',
    },
  ),
  row('HeadObject', 'HEAD', 'object', async () => ({ status: 200, headers: { 'content-length': '12345' } })),
  row('DeleteObject', 'DELETE', 'object', async () => ({ status: 204 })),
  row(
    'DeleteObjects',
    'POST',
    'bucket',
    async (context) => ({ status: 200, body: `<D>${(await context.document(1000)).length}</D>` }),
    { selectors: { delete: true } },
  ),
];

export interface Harness {
  readonly server: S3Server;
  readonly port: number;
  readonly host: string;
  readonly records: RequestRecord[];
  readonly logLines: string[];
  close(): Promise<void>;
}

export async function start(
  more: readonly Operation[] = [],
  options: Partial<S3ServerOptions> = {},
): Promise<Harness> {
  const records: RequestRecord[] = [];
  const logLines: string[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void logLines.push(line) });
  const replaced = new Set(more.map((operation) => operation.name));
  const server = new S3Server({
    operations: [...more, ...rows.filter((operation) => !replaced.has(operation.name))],
    objects: {} as ObjectService,
    credentials: {
      find: (id) => (id === keys.accessKeyId ? { ...keys, ownerId, displayName: 'tester' } : undefined),
    },
    log,
    ready: () => true,
    onRequest: (record) => records.push(record),
    ...options,
  });
  const { port } = await server.listen('127.0.0.1', 0);
  const close = () => server.close({ graceMs: 0 });
  return { server, port, host: `127.0.0.1:${port}`, records, logLines, close };
}

export interface RawResponse {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
}

/** One connection. `send` and `receive` are apart, so that a test can pipeline, stall and cut. */
export class RawClient {
  readonly socket: Socket;
  #pieces: Buffer[] = [];
  #receivedBytes = 0;
  #closed = false;
  #wake: () => void = () => undefined;

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1' });
    this.socket.on('data', (data) => {
      this.#pieces.push(data);
      this.#receivedBytes += data.length;
      this.#wake();
    });
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.#closed = true;
      this.#wake();
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  get received(): Buffer {
    if (this.#pieces.length > 1) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0] ?? Buffer.alloc(0);
  }

  /** Without joining what came: cheap however often it is asked for. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  get #buffer(): Buffer {
    return this.received;
  }

  set #buffer(rest: Buffer) {
    this.#pieces = [rest];
    this.#receivedBytes = rest.length;
  }

  send(data: string | Uint8Array): void {
    this.socket.write(data);
  }

  async until(condition: () => boolean, what: string, waitMs = 5000): Promise<void> {
    const deadline = Date.now() + waitMs;
    while (!condition()) {
      if (Date.now() > deadline)
        throw new Error(
          `${what}: nothing in ${waitMs} ms, got ${this.#buffer.toString('latin1').slice(0, 300)}`,
        );
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 50);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  async waitClosed(waitMs = 5000): Promise<void> {
    await this.until(() => this.#closed, 'closing', waitMs);
  }

  /** The next response. `bodiless` for answers to HEAD. */
  async receive(bodiless = false): Promise<RawResponse> {
    await this.until(() => this.#buffer.includes('\r\n\r\n') || this.#closed, 'response');
    const end = this.#buffer.indexOf('\r\n\r\n');
    if (end < 0)
      throw new Error(
        `connection closed without a response: ${this.#buffer.toString('latin1').slice(0, 200)}`,
      );
    const [statusLine = '', ...lines] = this.#buffer.subarray(0, end).toString('latin1').split('\r\n');
    const headers: Record<string, string> = {};
    for (const line of lines) {
      const colon = line.indexOf(':');
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    this.#buffer = this.#buffer.subarray(end + 4);
    const status = Number(statusLine.split(' ')[1]);
    const empty = bodiless || status === 304 || status === 204 || status === 100;
    const body = empty ? Buffer.alloc(0) : await this.#body(headers);
    return { status, headers, body };
  }

  async #body(headers: Record<string, string>): Promise<Buffer> {
    if (headers['transfer-encoding'] === 'chunked') return this.#chunkedBody();
    const length = Number(headers['content-length']);
    await this.until(() => this.#receivedBytes >= length || this.#closed, 'body');
    if (this.#buffer.length < length) throw new Error(`short body: ${this.#buffer.length} of ${length}`);
    const body = this.#buffer.subarray(0, length);
    this.#buffer = this.#buffer.subarray(length);
    return body;
  }

  async #chunkedBody(): Promise<Buffer> {
    await this.until(() => this.#buffer.includes('0\r\n\r\n') || this.#closed, 'chunked body');
    const pieces: Buffer[] = [];
    for (;;) {
      const line = this.#buffer.indexOf('\r\n');
      const size = Number.parseInt(this.#buffer.toString('latin1', 0, line), 16);
      pieces.push(this.#buffer.subarray(line + 2, line + 2 + size));
      this.#buffer = this.#buffer.subarray(line + 4 + size);
      if (size === 0) return Buffer.concat(pieces);
    }
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** Head of a signed request, with its empty line. */
export function head(
  harness: Harness,
  request: Partial<Unsigned> & Pick<Unsigned, 'method' | 'path'>,
  at = Date.now(),
): string {
  const signed = signHeader(
    { ...request, headers: { host: harness.host, ...request.headers } },
    { keys, dateTime: amzDate(at) },
  );
  const lines = Object.entries(signed.headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${request.method} ${signed.target} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

/** A whole PUT in aws-chunked framing. */
export function streamingPut(
  harness: Harness,
  data: Buffer,
  form: string,
  options: ChunkOptions,
  more: Record<string, string> = {},
) {
  const dateTime = amzDate(Date.now());
  const headers: Record<string, string> = {
    host: harness.host,
    'content-encoding': 'aws-chunked',
    'x-amz-decoded-content-length': String(data.length),
    ...(options.trailer && { 'x-amz-trailer': options.trailer.map(([name]) => name).join(',') }),
    ...more,
  };
  const signed = signHeader(
    { method: 'PUT', path: '/bucket/streamed', headers, payloadHash: form },
    { keys, dateTime },
  );
  return { headers: signed.headers, body: frame(data, options, signed, dateTime), target: signed.target };
}

export function presigned(
  harness: Harness,
  method: string,
  path: string,
  expiresSeconds = 60,
  at = Date.now(),
): string {
  const url = presign(
    { method, path, headers: { host: harness.host } },
    { keys, dateTime: amzDate(at), expiresSeconds },
  );
  return url.target;
}

export function codeOf(response: RawResponse): string {
  return /<Code>([^<]*)<\/Code>/.exec(response.body.toString())?.[1] ?? '';
}
