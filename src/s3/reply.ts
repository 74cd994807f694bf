/**
 * Writes the answer to one request: documents, object bodies and errors. Content-Length is always set, except on a
 * deferred answer; a body that fails on its way ends the connection, so that nothing short can look whole.
 *
 * Object bodies are written piece by piece. A piece may lie in pooled memory that is used again once the next one is
 * asked for, so that happens only after the socket has taken it.
 */
import type { ServerResponse } from 'node:http';
import { HoldfastError } from '../base/errors.ts';
import { nativeJobs } from '../base/nativejobs.ts';
import type { ObjectBody } from '../objects/types.ts';
import { errorDocument, errorElement, type S3Error, toS3Error } from './errordocument.ts';
import type { Exchange } from './exchange.ts';
import { WRITE_SLICE_BYTES } from './limits.ts';
import type { OperationResponse } from './operation.ts';
import { connectionFailed, Outlet } from './outlet.ts';
import type { ServerParts } from './parts.ts';
import { XML_DECLARATION } from './xml-build.ts';

const XML_TYPE = 'application/xml';
/** Smaller answers are written by node at once: handing a piece over costs more than it saves. */
const OUTLET_BYTES_MIN = 2 * WRITE_SLICE_BYTES;
const unsafeInHeader = /[^\t\x20-\x7e\x80-\xff]/;
const controlCharacter = /[\x00-\x08\x0a-\x1f\x7f]/;

export class Reply {
  readonly #parts: ServerParts;
  readonly #exchange: Exchange;
  readonly #response: ServerResponse;

  constructor(parts: ServerParts, exchange: Exchange) {
    this.#parts = parts;
    this.#exchange = exchange;
    this.#response = exchange.response;
  }

  /** Rejects only before the first byte has been written. */
  async send(answer: OperationResponse): Promise<void> {
    const { body } = answer;
    if (answer.deferred) await this.#sendDeferred(answer, answer.deferred);
    else if (typeof body === 'object') await this.#sendObject(answer, body);
    else this.#sendText(answer.status, answer.headers, body ?? '', body === undefined ? undefined : XML_TYPE);
  }

  /** Answers with the error, or ends the connection where an answer has begun. Never throws. */
  fail(error: unknown): void {
    try {
      this.#fail(error);
    } catch (err) {
      this.#parts.log.error({ err, requestId: this.#exchange.requestId }, 'an error could not be answered');
      this.#exchange.request.socket.destroy();
    }
  }

  #fail(error: unknown): void {
    const shown = toS3Error(error);
    this.#exchange.errorCode = shown.code;
    if (shown.httpStatus >= 500) this.#logFailure(error, shown.httpStatus);
    if (this.#response.headersSent || this.#response.destroyed) {
      this.#exchange.request.socket.destroy();
      return;
    }
    if (shown.httpStatus === 304) this.#sendText(304, shown.fields, '', undefined);
    else this.#sendText(shown.httpStatus, errorHeaders(shown), errorDocument(shown, this.#place), XML_TYPE);
  }

  get #place() {
    const { requestId, request } = this.#exchange;
    const url = request.url ?? '/';
    const query = url.indexOf('?');
    return { requestId, hostId: this.#parts.hostId, resource: query < 0 ? url : url.slice(0, query) };
  }

  #logFailure(error: unknown, status: number): void {
    const { log } = this.#parts;
    const fields = {
      err: error,
      requestId: this.#exchange.requestId,
      operation: this.#exchange.operationName,
    };
    if (status === 500) log.error(fields, 'request failed');
    else log.warn(fields, 'request could not be served');
  }

  #sendText(
    status: number,
    headers: OperationResponse['headers'],
    text: string,
    contentType: string | undefined,
  ): void {
    const bodiless = status === 204 || status === 304 || this.#exchange.request.method === 'HEAD';
    this.#head(
      status,
      headers,
      bodiless ? undefined : Buffer.byteLength(text),
      bodiless ? undefined : contentType,
    );
    this.#finish(bodiless || text === '' ? undefined : text);
  }

  #head(
    status: number,
    headers: OperationResponse['headers'],
    lengthBytes: number | undefined,
    contentType: string | undefined,
  ): void {
    const { requestId } = this.#exchange;
    const list = ['x-amz-request-id', requestId, 'x-amz-id-2', this.#parts.hostId, 'Server', 'Holdfast'];
    let typed = contentType === undefined;
    let sized = lengthBytes === undefined;
    for (const name in headers) {
      const value = headers[name];
      if (value === undefined) continue;
      list.push(name, headerValue(name, value));
      const lower = name.length === 12 || name.length === 14 ? name.toLowerCase() : '';
      if (lower === 'content-type') typed = true;
      if (lower === 'content-length') sized = true;
    }
    if (!typed) list.push('Content-Type', contentType ?? '');
    if (!sized) list.push('Content-Length', String(lengthBytes));
    if (this.#mustClose()) list.push('Connection', 'close');
    this.#response.writeHead(status, list);
  }

  #mustClose(): boolean {
    return this.#parts.closing || this.#exchange.unreadBytes > this.#parts.limits.drainBytesMax;
  }

  /** Ends the answer with `last`, and does something sensible with a body nobody has read. */
  #finish(last: string | Uint8Array | undefined): void {
    const exchange = this.#exchange;
    const unreadBytes = exchange.unreadBytes;
    exchange.phase = 'writing';
    exchange.answered = true;
    exchange.progressMs = this.#parts.clock.monotonicMs();
    if (last !== undefined)
      exchange.bytesOut += typeof last === 'string' ? Buffer.byteLength(last) : last.length;
    if (unreadBytes <= this.#parts.limits.drainBytesMax) {
      this.#response.end(last);
      if (unreadBytes > 0) this.#drop();
      return;
    }
    if (last === undefined) this.#response.flushHeaders();
    else this.#response.write(last);
    this.#linger();
  }

  #drop(): void {
    this.#exchange.startedBody?.detach();
    this.#exchange.request.resume();
  }

  /**
   * The answer is out, the client still sends. Closing now would reset the connection, and the client might never see
   * the answer (RFC 9112 section 9.6): so what comes is dropped for a while first.
   */
  #linger(): void {
    const { request } = this.#exchange;
    const { lingerBytesMax, lingerMs } = this.#parts.limits;
    let droppedBytes = 0;
    const stop = () => {
      clearTimeout(timer);
      this.#response.end();
    };
    const timer = setTimeout(stop, lingerMs);
    timer.unref();
    this.#exchange.startedBody?.detach();
    request.on('data', (chunk: Buffer) => {
      droppedBytes += chunk.length;
      if (droppedBytes > lingerBytesMax) stop();
    });
    request.once('end', stop).once('close', stop);
    request.resume();
  }

  async #sendObject(answer: OperationResponse, body: ObjectBody): Promise<void> {
    const lengthBytes = body.range.lengthBytes;
    if (this.#exchange.request.method === 'HEAD') {
      this.#head(answer.status, answer.headers, lengthBytes, undefined);
      this.#finish(undefined);
      return;
    }
    const pieces = body.stream(this.#exchange.signal);
    try {
      const first = await pieces.next();
      this.#head(answer.status, answer.headers, lengthBytes, undefined);
      await this.#pump(pieces, first, lengthBytes).catch((error: unknown) => this.fail(error));
    } finally {
      await pieces.return().catch((error: unknown) => this.#logFailure(error, 500));
    }
  }

  async #pump(
    pieces: AsyncGenerator<Uint8Array, void, void>,
    first: IteratorResult<Uint8Array, void>,
    lengthBytes: number,
  ): Promise<void> {
    let leftBytes = lengthBytes;
    const outlet = this.#outletFor(lengthBytes);
    for (let piece = first; !piece.done && leftBytes > 0; piece = await pieces.next()) {
      const { value } = piece;
      leftBytes -= value.length;
      if (leftBytes < 0) throw new Error('an object body is longer than announced');
      if (leftBytes === 0 && value.length <= WRITE_SLICE_BYTES) {
        this.#finish(value);
        await this.#finished();
        return;
      }
      await this.#writePiece(value, outlet);
    }
    if (leftBytes > 0) throw new Error('an object body is shorter than announced');
    this.#finish(undefined);
  }

  #outletFor(lengthBytes: number): Outlet | undefined {
    const jobs = lengthBytes >= OUTLET_BYTES_MIN ? nativeJobs() : undefined;
    return jobs && new Outlet(jobs, this.#response);
  }

  /** The head of the answer goes out with the first slice, by node. */
  async #writePiece(piece: Uint8Array, outlet: Outlet | undefined): Promise<void> {
    for (let at = 0; at < piece.length; ) {
      const rest = piece.subarray(at);
      if (outlet?.open && this.#exchange.bytesOut > 0 && rest.length > WRITE_SLICE_BYTES / 2) {
        at += await this.#sendBy(outlet, rest);
        continue;
      }
      const slice = rest.subarray(0, WRITE_SLICE_BYTES);
      await this.#write(slice);
      at += slice.length;
    }
  }

  async #sendBy(outlet: Outlet, bytes: Uint8Array): Promise<number> {
    const exchange = this.#exchange;
    exchange.phase = 'writing';
    exchange.progressMs = this.#parts.clock.monotonicMs();
    const takenBytes = await outlet.send(bytes);
    exchange.phase = 'handler';
    exchange.bytesOut += takenBytes;
    return takenBytes;
  }

  /** Resolves when the socket has taken `data`. */
  #write(data: Uint8Array): Promise<void> {
    const exchange = this.#exchange;
    exchange.phase = 'writing';
    exchange.progressMs = this.#parts.clock.monotonicMs();
    return new Promise((resolve, reject) => {
      const gone = () => reject(new HoldfastError('RequestTimeout'));
      if (this.#response.destroyed) return gone();
      this.#response.once('close', gone);
      this.#response.write(data, (error) => {
        this.#response.off('close', gone);
        exchange.phase = 'handler';
        if (error) return reject(connectionFailed(error));
        exchange.bytesOut += data.length;
        resolve();
      });
    });
  }

  #finished(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#response.writableFinished || this.#response.destroyed) resolve();
      else this.#response.once('finish', resolve).once('close', resolve);
    });
  }

  /** White space until the document is there; an answer that comes at once is an ordinary one. */
  async #sendDeferred(answer: OperationResponse, deferred: Promise<string>): Promise<void> {
    const { deferredQuietMs, deferredBeatMs } = this.#parts.limits;
    const early = await within(deferred, deferredQuietMs);
    if (early !== undefined) {
      this.#sendText(answer.status, answer.headers, early, XML_TYPE);
      return;
    }
    this.#head(200, answer.headers, undefined, XML_TYPE);
    this.#response.write(XML_DECLARATION);
    const beat = setInterval(() => this.#response.write(' '), deferredBeatMs);
    let text: string;
    try {
      text = withoutDeclaration(await deferred);
    } catch (error) {
      const shown = toS3Error(error);
      this.#exchange.errorCode = shown.code;
      if (shown.httpStatus >= 500) this.#logFailure(error, shown.httpStatus);
      text = errorElement(shown, this.#place);
    } finally {
      clearInterval(beat);
    }
    this.#finish(text);
  }
}

/** What RFC 9110 wants beside the status: sections 15.5.6 and 15.5.17. */
function errorHeaders({ httpStatus, fields }: S3Error): Record<string, string> | undefined {
  if (httpStatus === 405) return { Allow: fields['AllowedMethods'] ?? '' };
  const size = fields['ActualObjectSize'];
  return httpStatus === 416 && size !== undefined ? { 'Content-Range': `bytes */${size}` } : undefined;
}

/** What `promise` resolves to, or undefined when that takes longer. */
function within(promise: Promise<string>, waitMs: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), waitMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function withoutDeclaration(document: string): string {
  return document.startsWith('<?xml') ? document.slice(document.indexOf('?>') + 2).trimStart() : document;
}

/** Header values are latin-1 on the wire; text beyond it goes out as its UTF-8 bytes. @throws InvalidArgument */
function headerValue(name: string, value: string): string {
  if (!unsafeInHeader.test(value)) return value;
  if (!controlCharacter.test(value)) return Buffer.from(value, 'utf8').toString('latin1');
  throw new HoldfastError('InvalidArgument', {
    detail: `The value for the response header ${name} contains a control character.`,
    fields: { ArgumentName: name },
  });
}
