/** Requests that no client library would send: signed heads for the real server, on sockets that a test can stall and cut. */
import { connect, type Socket } from 'node:net';
import type { RunningServer } from '../harness/server.ts';
import { codeOf, RawClient, type RawResponse } from '../s3/harness.ts';
import { amzDate, type ChunkOptions, frame, type Signed, signHeader } from '../s3/signer.ts';

export { codeOf, RawClient, type RawResponse };

export interface RawRequest {
  readonly method: string;
  readonly path: string;
  readonly query?: readonly (readonly [string, string])[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly payloadHash?: string;
}

export class RawRequests {
  readonly #server: Pick<RunningServer, 'port' | 'accessKeyId' | 'secretAccessKey'>;

  constructor(server: Pick<RunningServer, 'port' | 'accessKeyId' | 'secretAccessKey'>) {
    this.#server = server;
  }

  #sign(request: RawRequest, dateTime: string): Signed {
    const headers = { host: `127.0.0.1:${this.#server.port}`, ...request.headers };
    return signHeader({ ...request, headers }, { keys: this.#server, dateTime });
  }

  /** Request line and headers, with the empty line. */
  head(request: RawRequest): string {
    return headText(request.method, this.#sign(request, amzDate(Date.now())));
  }

  /** A PUT in aws-chunked framing: its head and its framed body. */
  streaming(path: string, data: Buffer, form: string, options: ChunkOptions, announcedBytes = data.length) {
    const dateTime = amzDate(Date.now());
    const headers: Record<string, string> = {
      'content-encoding': 'aws-chunked',
      'x-amz-decoded-content-length': String(announcedBytes),
      ...(options.trailer && { 'x-amz-trailer': options.trailer.map(([name]) => name).join(',') }),
    };
    const signed = this.#sign({ method: 'PUT', path, headers, payloadHash: form }, dateTime);
    const body = frame(data, options, signed, dateTime);
    return { head: (bytes: number) => headText('PUT', signed, bytes), body };
  }

  open(): RawClient {
    return new RawClient(this.#server.port);
  }

  /** A bare socket, connected. */
  socket(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port: this.#server.port, host: '127.0.0.1' }, () => resolve(socket));
      socket.once('error', reject);
    });
  }

  /** Sends everything at once and waits for the answer. */
  async exchange(head: string, body: Uint8Array | string = ''): Promise<RawResponse> {
    const client = this.open();
    client.send(head);
    client.send(body);
    try {
      return await client.receive();
    } finally {
      client.destroy();
    }
  }
}

function headText(method: string, signed: Signed, bytes?: number): string {
  const headers =
    bytes === undefined ? signed.headers : { ...signed.headers, 'content-length': String(bytes) };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${signed.target} HTTP/1.1\r\n${lines.join('')}\r\n`;
}
