/** A client of the 0-db protocol for tests: sends, and waits for what comes. */
import { connect as dial, type Socket } from 'node:net';
import { type Argument, encodeRequest } from '../../../src/base/resp/encode.ts';
import { ReplyParser } from '../../../src/base/resp/replies.ts';
import { Bulk, RespFailure, type RespValue, SimpleString } from '../../../src/base/resp/values.ts';

export const CLOSED = Symbol('closed');

export class ZdbClient {
  readonly socket: Socket;
  readonly #parser = new ReplyParser({ valueBytesMax: 9e6, replyBytesMax: 1e9, elementsMax: 1e6 });
  readonly #replies: RespValue[] = [];
  #waiting: ((value: RespValue | typeof CLOSED) => void)[] = [];
  #closed = false;

  constructor(port: number, host = '127.0.0.1') {
    this.socket = dial(port, host);
    this.socket.setNoDelay(true);
    this.socket.on('error', () => undefined);
    this.socket.on('data', (chunk) => {
      this.#parser.push(chunk);
      for (let next = this.#parser.next(); next !== undefined; next = this.#parser.next()) {
        const waiter = this.#waiting.shift();
        if (waiter === undefined) this.#replies.push(next);
        else waiter(next);
      }
    });
    this.socket.on('close', () => {
      this.#closed = true;
      for (const waiter of this.#waiting.splice(0)) waiter(CLOSED);
    });
  }

  write(...request: Argument[]): void {
    for (const piece of encodeRequest(request)) this.socket.write(piece);
  }

  /** The next reply, or CLOSED. */
  next(): Promise<RespValue | typeof CLOSED> {
    const ready = this.#replies.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    if (this.#closed) return Promise.resolve(CLOSED);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  send(...request: Argument[]): Promise<RespValue | typeof CLOSED> {
    this.write(...request);
    return this.next();
  }

  /** As plain JavaScript: `+text`, `-text`, numbers, Buffers, null, arrays. */
  async ask(...request: Argument[]): Promise<unknown> {
    return plain(await this.send(...request));
  }

  close(): void {
    this.socket.destroy();
  }
}

export function plain(value: RespValue | typeof CLOSED): unknown {
  if (value === CLOSED) return 'closed';
  if (value instanceof SimpleString) return `+${value.text}`;
  if (value instanceof RespFailure) return `-${value.text}`;
  if (value instanceof Bulk) return value.toBuffer();
  return Array.isArray(value) ? value.map(plain) : value;
}
