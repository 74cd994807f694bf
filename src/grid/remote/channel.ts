/**
 * One connection to a node, for requests and replies in RESP. Whoever opens it says how it begins and whom a reply belongs to. What goes
 * wrong with the connection ends it and rejects everything in flight; nothing that came later is ever given to anybody.
 */
import type { Socket } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import { type Argument, encodeRequest } from '../../base/resp/encode.ts';
import { ReplyParser } from '../../base/resp/replies.ts';
import type { RespValue } from '../../base/resp/values.ts';
import { MIB, SECOND_MS } from '../../base/units.ts';

const REPLY_LIMITS = { valueBytesMax: 8 * MIB, replyBytesMax: 16 * MIB, elementsMax: 200_000 };
/** A request without a reply after this long ends the connection: the node hangs, or the network lost it. */
const REPLY_MS_MAX = 30 * SECOND_MS;
const WATCH_MS = 5 * SECOND_MS;

interface Pending {
  readonly sinceMs: number;
  readonly resolve: (value: RespValue) => void;
  readonly reject: (error: HoldfastError) => void;
}

export class Channel {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #where: string;
  readonly #parser = new ReplyParser(REPLY_LIMITS);
  /** By id; requests without one are answered in order, and have negative numbers here. */
  readonly #pending = new Map<number, Pending>();
  #nextOrdered = -1;
  #firstOrdered = -1;
  #nextId = 0;
  #reason: HoldfastError | undefined;
  #watch: { cancel(): void };
  readonly #onEnd: (reason: HoldfastError) => void;

  constructor(socket: Socket, clock: Clock, where: string, onEnd: (reason: HoldfastError) => void) {
    this.#socket = socket;
    this.#clock = clock;
    this.#where = where;
    this.#onEnd = onEnd;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error) => this.end(error.message));
    socket.on('close', () => this.end('the connection was closed'));
    this.#watch = clock.schedule(WATCH_MS, () => this.#look());
  }

  /** Why it ended; undefined while it is open. */
  get reason(): HoldfastError | undefined {
    return this.#reason;
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  /** A plain command, answered in order. @throws NodeUnavailable */
  ask(...request: Argument[]): Promise<RespValue> {
    return this.#send(this.#nextOrdered--, request);
  }

  /** A request of the extension, answered in any order; resolves to what follows the id. @throws NodeUnavailable */
  async askBeside(verb: string, ...request: Argument[]): Promise<readonly RespValue[]> {
    const id = this.#nextId++;
    return (await this.#send(id, ['HF', id, verb, ...request])) as readonly RespValue[];
  }

  end(why: string): void {
    if (this.#reason !== undefined) return;
    this.#reason = new HoldfastError('NodeUnavailable', { detail: `node at ${this.#where}: ${why}` });
    this.#watch.cancel();
    this.#socket.destroy();
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of waiting) reject(this.#reason);
    this.#onEnd(this.#reason);
  }

  #send(key: number, request: readonly Argument[]): Promise<RespValue> {
    if (this.#reason !== undefined) return Promise.reject(this.#reason);
    return new Promise((resolve, reject) => {
      this.#pending.set(key, { sinceMs: this.#clock.monotonicMs(), resolve, reject });
      const pieces = encodeRequest(request);
      if (pieces.length > 1) this.#socket.cork();
      for (const piece of pieces) this.#socket.write(piece);
      if (pieces.length > 1) this.#socket.uncork();
    });
  }

  #take(chunk: Buffer): void {
    try {
      this.#parser.push(chunk);
      for (let reply = this.#parser.next(); reply !== undefined; reply = this.#parser.next())
        this.#give(reply);
    } catch (error) {
      this.end(`it does not follow the protocol (${error instanceof Error ? error.message : String(error)})`);
    }
  }

  #give(reply: RespValue): void {
    const id = Array.isArray(reply) && typeof reply[0] === 'number' ? (reply[0] as number) : undefined;
    const beside = id === undefined || id < 0 ? undefined : this.#pending.get(id);
    if (beside !== undefined && Array.isArray(reply)) {
      this.#pending.delete(id!);
      beside.resolve(reply.slice(1));
      return;
    }
    const ordered = this.#pending.get(this.#firstOrdered);
    if (ordered === undefined) throw new Error('an answer to nothing that was asked');
    this.#pending.delete(this.#firstOrdered--);
    ordered.resolve(reply);
  }

  #look(): void {
    this.#watch = this.#clock.schedule(WATCH_MS, () => this.#look());
    const [oldest] = this.#pending.values();
    if (oldest !== undefined && this.#clock.monotonicMs() - oldest.sinceMs > REPLY_MS_MAX) {
      this.end(`no answer within ${REPLY_MS_MAX / SECOND_MS} s`);
    }
  }
}
