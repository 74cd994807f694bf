/** A small S3 client for tests: presigned requests over fetch, so that nothing but the request itself is hidden. */
import { presign, type Target } from '../../bench/load/presign.ts';
import type { RunningServer } from './server.ts';

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

export class TestS3 {
  readonly #target: Target;

  constructor(server: Pick<RunningServer, 'port' | 'accessKeyId' | 'secretAccessKey'>) {
    const { port, accessKeyId, secretAccessKey } = server;
    this.#target = { host: '127.0.0.1', port, accessKeyId, secretAccessKey };
  }

  /** Rejects only when there is no answer at all. */
  async send(
    method: string,
    path: string,
    options: {
      readonly query?: Readonly<Record<string, string>>;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: Uint8Array | string;
    } = {},
  ): Promise<Reply> {
    const url = `http://${this.#target.host}:${this.#target.port}${presign(this.#target, method, path, options.query)}`;
    const reply = await fetch(url, {
      method,
      headers: options.headers ?? {},
      ...(options.body === undefined ? {} : { body: options.body as Uint8Array<ArrayBuffer> | string }),
    });
    return { status: reply.status, headers: reply.headers, body: Buffer.from(await reply.arrayBuffer()) };
  }

  /** Rejects unless the status is 2xx. */
  async ok(method: string, path: string, options: Parameters<TestS3['send']>[2] = {}): Promise<Reply> {
    const reply = await this.send(method, path, options);
    if (reply.status >= 300) throw new Error(`${method} ${path}: ${reply.status} ${reply.body.toString()}`);
    return reply;
  }

  async putMultipart(path: string, parts: readonly Uint8Array[]): Promise<void> {
    const created = await this.ok('POST', path, { query: { uploads: '' } });
    const uploadId = /<UploadId>([^<]+)</.exec(created.body.toString())?.[1] ?? '';
    const etags: string[] = [];
    for (const [index, body] of parts.entries()) {
      const reply = await this.ok('PUT', path, { query: { partNumber: String(index + 1), uploadId }, body });
      etags.push(reply.headers.get('etag') ?? '');
    }
    const list = etags
      .map((etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${etag}</ETag></Part>`)
      .join('');
    const body = `<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`;
    const done = await this.ok('POST', path, { query: { uploadId }, body });
    if (!done.body.toString().includes('<ETag>'))
      throw new Error(`complete ${path}: ${done.body.toString()}`);
  }
}
