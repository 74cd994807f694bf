/**
 * The body of one request on its way in: takes it from node's IncomingMessage, off its framing, into a queue with a
 * bound, and hands it to `objects` piece by piece. Pieces are slices of the socket's own buffers.
 *
 * Reading starts with the first `next`, and only then is `Expect: 100-continue` answered (RFC 9110 section 10.1.1): by
 * that time the request is authenticated and its preconditions have been looked at. The iterator ends only after
 * length, framing and chunk signatures were right. A client that keeps us waiting is timed (see `overdue`); time in
 * which nobody asks for the next piece is ours and does not count.
 */
import type { IncomingMessage } from 'node:http';
import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import { KIB } from '../base/units.ts';
import type { BodyDigests, DigestAlgorithm } from '../coding/digests.ts';
import type { StoredChecksum } from '../metadata/records.ts';
import type { IncomingBody } from '../objects/types.ts';
import { type BodyClaims, verifyClaims } from './checksums.ts';
import type { ChunkedDecoder } from './chunked.ts';
import type { S3Limits } from './limits.ts';
import type { Takeover } from './takeover.ts';

export interface RequestBodyOptions {
  readonly request: IncomingMessage;
  readonly claims: BodyClaims;
  /** Absent for a body without aws-chunked framing. */
  readonly decoder: ChunkedDecoder | undefined;
  readonly lengthBytes: number | undefined;
  readonly limits: S3Limits;
  readonly clock: Clock;
  readonly signal: () => AbortSignal;
  /** Called once, before the first byte is waited for. */
  readonly onStart: () => void;
  /** Takes over the connection of an unframed body; absent where that cannot be (takeover.ts). */
  readonly takeOver?: (() => Takeover | undefined) | undefined;
}

/** With less than this to come, the ordinary way is as good. */
const TAKEOVER_BYTES_MIN = 512 * KIB;

interface Waiter {
  readonly resolve: (result: IteratorResult<Uint8Array>) => void;
  readonly reject: (error: unknown) => void;
}

const DONE: IteratorResult<Uint8Array> = { done: true, value: undefined };
const noTrailers: ReadonlyMap<string, string> = new Map();

export class RequestBody implements IncomingBody, AsyncIterator<Uint8Array> {
  readonly lengthBytes: number | undefined;
  readonly algorithms: readonly DigestAlgorithm[];
  /** As they came, framing included. */
  wireBytes = 0;
  readonly #options: RequestBodyOptions;
  readonly #queue: Buffer[] = [];
  #queuedBytes = 0;
  #started = false;
  #paused = false;
  #ended = false;
  #error: unknown;
  #waiter: Waiter | undefined;
  /** While the client keeps us waiting: since when there has been no byte. */
  #idleSinceMs = 0;
  #windowWaitedMs = 0;
  #windowBytes = 0;
  #takeover: Takeover | undefined;
  /** Once handed back, a connection is not taken over again for the same body. */
  #mayTakeOver = true;

  constructor(options: RequestBodyOptions) {
    this.#options = options;
    this.lengthBytes = options.lengthBytes;
    this.algorithms = options.claims.algorithms;
  }

  get signal(): AbortSignal {
    return this.#options.signal();
  }

  get started(): boolean {
    return this.#started;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return this;
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#error !== undefined) return Promise.reject(this.#error);
    const piece = this.#shift();
    if (piece) return Promise.resolve({ done: false, value: piece });
    if (this.#ended) return Promise.resolve(DONE);
    assert(!this.#waiter, 'a body is read by one reader');
    this.#idleSinceMs = this.#options.clock.monotonicMs();
    this.#handBack();
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
      if (!this.#started) this.#start();
      else this.#resume();
    });
  }

  get receiving(): boolean {
    return this.#takeover !== undefined && this.#leftBytes > 0;
  }

  async receive(target: Uint8Array, waitMs: number): Promise<number | undefined> {
    if (this.#error !== undefined) throw this.#error;
    if (this.#takeover === undefined && this.#canTakeOver()) {
      this.#takeover = this.#options.takeOver?.();
      this.#mayTakeOver = false;
      this.#paused &&= this.#takeover === undefined;
    }
    // What node had read before comes first.
    if (this.#takeover === undefined || this.#queue.length > 0 || this.#ended) return undefined;
    const takeover = this.#takeover;
    if (this.#leftBytes === 0) {
      this.#handBack();
      return undefined;
    }
    const { lengthBytes, ended } = await takeover.receive(target.subarray(0, this.#leftBytes), waitMs);
    this.wireBytes += lengthBytes;
    this.#countProgress(lengthBytes);
    if (this.#error !== undefined) throw this.#error;
    if (ended || this.#leftBytes === 0) this.#handBack();
    return lengthBytes > 0 || !ended ? lengthBytes : undefined;
  }

  /** What of an announced body is still to come. */
  get #leftBytes(): number {
    return (this.lengthBytes ?? 0) - this.wireBytes;
  }

  #canTakeOver(): boolean {
    const { decoder, takeOver } = this.#options;
    const usual = takeOver !== undefined && decoder === undefined && this.lengthBytes !== undefined;
    return usual && this.#mayTakeOver && this.#started && this.#leftBytes >= TAKEOVER_BYTES_MIN;
  }

  #handBack(): void {
    this.#takeover?.end();
    this.#takeover = undefined;
  }

  /** The reader gives up; what is left is the server's to drop. */
  return(): Promise<IteratorResult<Uint8Array>> {
    this.detach();
    this.#error ??= new HoldfastError('IncompleteBody', { detail: 'The body was not read to its end.' });
    return Promise.resolve(DONE);
  }

  verify(digests: BodyDigests): StoredChecksum | undefined {
    assert(this.#ended && this.#error === undefined, 'a body is verified after its last byte');
    return verifyClaims(this.#options.claims, digests, this.#options.decoder?.trailers ?? noTrailers);
  }

  /** Why the client is to be given up on at `nowMs`, if it is. */
  overdue(nowMs: number): HoldfastError | undefined {
    if (!this.#waiter) return undefined;
    const { bodyIdleMs, bodyWindowMs, bodyWindowBytes } = this.#options.limits;
    const idleMs = nowMs - this.#idleSinceMs;
    if (idleMs >= bodyIdleMs) return new HoldfastError('RequestTimeout');
    if (this.#windowWaitedMs + idleMs < bodyWindowMs) return undefined;
    if (this.#windowBytes < bodyWindowBytes) {
      return new HoldfastError('RequestTimeout', {
        detail: `The request body arrives too slowly: ${this.#windowBytes} bytes in ${Math.round(bodyWindowMs / 1000)} s.`,
      });
    }
    this.#windowWaitedMs = -idleMs;
    this.#windowBytes = 0;
    return undefined;
  }

  /** Ends the body with `error`, unless it has ended. */
  fail(error: unknown): void {
    if (this.#ended || this.#error !== undefined) return;
    this.#error = error;
    this.detach();
    this.#queue.length = 0;
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.reject(error);
  }

  /** Stops listening to the request and leaves it paused. */
  detach(): void {
    const { request } = this.#options;
    this.#handBack();
    request.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
    if (this.#started && !this.#ended) request.pause();
  }

  #start(): void {
    this.#started = true;
    const { request, onStart } = this.#options;
    onStart();
    if (request.destroyed && !request.readableEnded) this.#onClose();
    else request.on('end', this.#onEnd).on('close', this.#onClose).on('data', this.#onData);
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#options.request.resume();
  }

  #shift(): Buffer | undefined {
    const piece = this.#queue.shift();
    if (!piece) return undefined;
    this.#queuedBytes -= piece.length;
    if (this.#queuedBytes < this.#options.limits.bodyBufferBytes / 2) this.#resume();
    return piece;
  }

  readonly #emit = (data: Buffer): void => {
    this.#queue.push(data);
    this.#queuedBytes += data.length;
  };

  readonly #onData = (chunk: Buffer): void => {
    this.wireBytes += chunk.length;
    this.#countProgress(chunk.length);
    const { decoder, limits, request } = this.#options;
    try {
      if (decoder) decoder.push(chunk, this.#emit);
      else this.#emit(chunk);
    } catch (error) {
      this.fail(error);
      return;
    }
    this.#wake();
    if (this.#queuedBytes >= limits.bodyBufferBytes && !this.#paused) {
      this.#paused = true;
      request.pause();
    }
  };

  #countProgress(bytes: number): void {
    this.#windowBytes += bytes;
    if (!this.#waiter) return;
    const nowMs = this.#options.clock.monotonicMs();
    this.#windowWaitedMs += nowMs - this.#idleSinceMs;
    this.#idleSinceMs = nowMs;
  }

  readonly #onEnd = (): void => {
    try {
      this.#options.decoder?.finish();
    } catch (error) {
      this.fail(error);
      return;
    }
    this.#ended = true;
    this.detach();
    this.#wake();
  };

  readonly #onClose = (): void => {
    this.fail(
      new HoldfastError('IncompleteBody', {
        detail: 'The client closed the connection before the body ended.',
      }),
    );
  };

  #wake(): void {
    const waiter = this.#waiter;
    if (!waiter) return;
    const piece = this.#shift();
    if (!piece && !this.#ended) return;
    this.#waiter = undefined;
    waiter.resolve(piece ? { done: false, value: piece } : DONE);
  }
}
