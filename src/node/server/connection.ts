/**
 * One connection of the daemon: bytes in, requests to the session, replies out. A connection holds at most what it announced and was
 * granted, is cut off when a request does not come to an end or its replies are not read, and never holds up another one.
 */
import type { Duplex } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import type { Gate } from '../../base/limits.ts';
import { encodeReply } from '../../base/resp/encode.ts';
import { RequestParser } from '../../base/resp/requests.ts';
import { type Bulk, RespFailure, RespFault, type RespValue } from '../../base/resp/values.ts';
import { KIB, MIB, SECOND_MS } from '../../base/units.ts';
import { type Answer, Concurrent, LastReply, type Session } from './session.ts';

const ARGUMENTS_MAX = 1024;
/** As in 0-db: exactly 8 MiB is accepted. */
export const VALUE_BYTES_MAX = 8 * MIB;
export const REQUEST_BYTES_MAX = 17 * MIB;
/** A request up to this size is received without asking for memory: ten thousand connections may hold it at once. */
const FREE_BYTES = 16 * KIB;
/** Requests that run beside each other, and what they may hold together, on one connection. */
const CONCURRENT_MAX = 256;
const CONCURRENT_BYTES_MAX = 32 * MIB;
/** Replies that wait for the peer to read; above it nothing more is done for this connection. */
const UNSENT_BYTES_MAX = 16 * MIB;
/** A request has this long to come to its end, and longer by what it announced at the slowest rate allowed. */
const REQUEST_MS_MAX = 30 * SECOND_MS;
const RECEIVE_BYTES_PER_MS_MIN = 16;
/** A peer that takes nothing for this long is gone. */
const SEND_MS_MAX = 60 * SECOND_MS;

export interface ConnectionParts {
  readonly socket: Duplex;
  readonly session: Session;
  readonly clock: Clock;
  /** Memory of all connections for requests that are being received or handled, in bytes. */
  readonly memory: Gate;
  /** A session failed where it should not have. */
  readonly onError: (error: unknown) => void;
}

/** Serves the connection until either side ends it. Never rejects. */
export async function serveConnection(parts: ConnectionParts): Promise<void> {
  const connection = new Connection(parts);
  const { lifetimeMs } = parts.session;
  const end =
    lifetimeMs === undefined ? undefined : parts.clock.schedule(lifetimeMs, () => parts.socket.destroy());
  try {
    await connection.run();
  } finally {
    end?.cancel();
    parts.session.close();
    parts.socket.destroy();
  }
}

class Connection {
  readonly #parts: ConnectionParts;
  readonly #parser = new RequestParser({
    argumentsMax: ARGUMENTS_MAX,
    valueBytesMax: VALUE_BYTES_MAX,
    requestBytesMax: REQUEST_BYTES_MAX,
  });
  /** Of the request that is being received. */
  #granted = 0;
  #running = 0;
  #runningBytes = 0;
  #ended: (() => void) | undefined;
  #deadline: { cancel(): void } | undefined;
  /** When the request that is being received began. */
  #insideSinceMs: number | undefined;
  readonly #gone = new AbortController();

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    parts.socket.on('error', () => this.#gone.abort());
    parts.socket.on('close', () => {
      this.#gone.abort();
      this.#ended?.();
    });
  }

  async run(): Promise<void> {
    try {
      for await (const chunk of this.#parts.socket) {
        this.#parser.push(chunk as Buffer);
        if (!(await this.#handleAll())) break;
        await this.#reserve();
        this.#watch();
      }
    } catch (error) {
      if (!this.#gone.signal.aborted) this.#parts.onError(error);
    } finally {
      this.#deadline?.cancel();
      this.#parts.memory.release(this.#granted);
      await this.#finish();
    }
  }

  /** Handles the requests that have come whole. False when the connection is to end. */
  async #handleAll(): Promise<boolean> {
    for (;;) {
      let request: Bulk[] | undefined;
      try {
        request = this.#parser.next();
      } catch (error) {
        if (!(error instanceof RespFault)) throw error;
        this.#send(new RespFailure(error.message));
        return false;
      }
      if (request === undefined) return true;
      this.#deadline?.cancel();
      this.#insideSinceMs = undefined;
      if (!(await this.#handle(request))) return false;
    }
  }

  async #handle(request: Bulk[]): Promise<boolean> {
    const granted = this.#granted;
    this.#granted = 0;
    let kept = false;
    try {
      const given = this.#parts.session.handle(request);
      const answer: Answer = given instanceof Promise ? await given : given;
      if (answer instanceof LastReply) {
        if (answer.value !== undefined) this.#send(answer.value);
        return false;
      }
      if (answer instanceof Concurrent) {
        kept = true;
        this.#run(answer, granted, sizeOf(request));
        await this.#untilFewerRun();
      } else this.#send(answer);
    } finally {
      if (!kept) this.#parts.memory.release(granted);
    }
    return this.#untilRead();
  }

  #run({ reply }: Concurrent, granted: number, bytes: number): void {
    this.#running += 1;
    this.#runningBytes += bytes;
    void reply.then((value) => {
      this.#running -= 1;
      this.#runningBytes -= bytes;
      this.#parts.memory.release(granted);
      this.#send(value);
      this.#ended?.();
    });
  }

  /** Waits while as many requests run beside each other as may. */
  async #untilFewerRun(): Promise<void> {
    while (
      (this.#running >= CONCURRENT_MAX || this.#runningBytes > CONCURRENT_BYTES_MAX) &&
      !this.#gone.signal.aborted
    ) {
      await new Promise<void>((resolve) => {
        this.#ended = resolve;
      });
    }
  }

  /** Waits until the peer has read enough of its replies. False when it does not. */
  async #untilRead(): Promise<boolean> {
    const { socket, clock } = this.#parts;
    if (socket.writableLength <= UNSENT_BYTES_MAX) return !socket.destroyed;
    const drained = Promise.withResolvers<boolean>();
    const timer = clock.schedule(SEND_MS_MAX, () => drained.resolve(false));
    const onDrain = () => drained.resolve(true);
    const onClose = () => drained.resolve(false);
    socket.once('drain', onDrain).once('close', onClose);
    try {
      return await drained.promise;
    } finally {
      timer.cancel();
      socket.off('drain', onDrain).off('close', onClose);
    }
  }

  #send(value: RespValue): void {
    const { socket } = this.#parts;
    if (socket.destroyed || socket.writableEnded) return;
    const pieces = encodeReply(value);
    if (pieces.length > 1) socket.cork();
    for (const piece of pieces) socket.write(piece);
    if (pieces.length > 1) socket.uncork();
  }

  /** Memory for the rest of the request that has begun; waits for it, and so does the peer. */
  async #reserve(): Promise<void> {
    const wanted = this.#parser.announcedBytes;
    if (wanted <= FREE_BYTES || wanted <= this.#granted) return;
    await this.#parts.memory.acquire(wanted - this.#granted, this.#gone.signal);
    this.#granted = wanted;
  }

  /** A request that has begun has to come to its end in time. */
  #watch(): void {
    this.#deadline?.cancel();
    this.#deadline = undefined;
    if (!this.#parser.isInside) {
      this.#insideSinceMs = undefined;
      return;
    }
    this.#insideSinceMs ??= this.#parts.clock.monotonicMs();
    const allowedMs = REQUEST_MS_MAX + this.#parser.announcedBytes / RECEIVE_BYTES_PER_MS_MIN;
    const leftMs = this.#insideSinceMs + allowedMs - this.#parts.clock.monotonicMs();
    this.#deadline = this.#parts.clock.schedule(Math.max(0, leftMs), () => this.#parts.socket.destroy());
  }

  /** Lets what runs end and what was answered go out, as long as the peer takes it. */
  async #finish(): Promise<void> {
    const { socket, clock } = this.#parts;
    while (this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#ended = resolve;
      });
      if (this.#gone.signal.aborted) break;
    }
    if (socket.destroyed) return;
    const sent = new Promise<void>((resolve) => socket.end(resolve));
    const enough = new AbortController();
    await Promise.race([sent, clock.sleep(SEND_MS_MAX, enough.signal).catch(() => undefined)]);
    enough.abort();
  }
}

function sizeOf(request: readonly Bulk[]): number {
  let bytes = 0;
  for (const argument of request) bytes += argument.length;
  return bytes;
}
