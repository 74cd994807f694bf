/** Requests as they come in at a server: arrays of bulk strings, within limits. */
import { parseCount, Scanner } from './scanner.ts';
import { type Bulk, RespFault } from './values.ts';

const ARRAY = 0x2a;
const BULK = 0x24;

export interface RequestLimits {
  readonly argumentsMax: number;
  /** Of one argument. */
  readonly valueBytesMax: number;
  /** Of all arguments of a request together. */
  readonly requestBytesMax: number;
}

export class RequestParser {
  readonly #limits: RequestLimits;
  readonly #scanner = new Scanner();
  #arguments: Bulk[] | undefined;
  #missing = 0;
  /** Of the argument whose length has been read; -1 when the next thing is a length. */
  #length = -1;
  #announcedBytes = 0;

  constructor(limits: RequestLimits) {
    this.#limits = limits;
  }

  /** Takes the next bytes. `next` must have returned undefined before. */
  push(chunk: Buffer): void {
    this.#scanner.push(chunk);
  }

  /** Bytes of the request that is being received, as far as their length is known: what it will hold in memory. */
  get announcedBytes(): number {
    return this.#announcedBytes;
  }

  /** Whether part of a request has come and the rest is awaited. */
  get isInside(): boolean {
    return this.#arguments !== undefined;
  }

  /** The next whole request; undefined when more bytes are needed. An empty array is skipped. @throws RespFault; nothing can follow it */
  next(): Bulk[] | undefined {
    for (;;) {
      if (this.#arguments === undefined) {
        if (!this.#begin()) return undefined;
      } else if (this.#missing === 0) {
        const request = this.#arguments;
        this.#arguments = undefined;
        this.#announcedBytes = 0;
        if (request.length > 0) return request;
      } else if (!this.#argument(this.#arguments)) return undefined;
    }
  }

  #begin(): boolean {
    const first = this.#scanner.peek();
    if (first < 0) return false;
    if (first !== ARRAY) throw new RespFault('Malformed request, array expected');
    this.#arguments = [];
    this.#missing = -1;
    return true;
  }

  #argument(request: Bulk[]): boolean {
    if (this.#missing < 0) {
      const line = this.#scanner.line();
      if (line === undefined) return false;
      this.#missing = parseCount(line);
      if (this.#missing < 0) throw new RespFault('Malformed request, array expected');
      if (this.#missing > this.#limits.argumentsMax) throw new RespFault('Too many arguments');
      return true;
    }
    if (this.#length < 0) {
      const line = this.#scanner.line();
      if (line === undefined) return false;
      this.#length = this.#lengthIn(line);
      this.#announcedBytes += this.#length;
      if (this.#announcedBytes > this.#limits.requestBytesMax) throw new RespFault('Payload too big');
    }
    const bulk = this.#scanner.bulk(this.#length);
    if (bulk === undefined) return false;
    this.#length = -1;
    this.#missing -= 1;
    request.push(bulk);
    return true;
  }

  #lengthIn(line: string): number {
    if (line.charCodeAt(0) !== BULK) throw new RespFault('Malformed request, bulk string expected');
    const length = parseCount(line);
    if (length < 0) throw new RespFault('Malformed request, bulk string expected');
    if (length > this.#limits.valueBytesMax) throw new RespFault('Payload too big');
    return length;
  }
}
