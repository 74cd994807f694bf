/**
 * Keeps one connection to a node open: dials when it is needed, greets, waits longer after every failure (with jitter, so that gateways do not
 * come back all at once), and gives up nothing but what was in flight.
 */
import type { Clock } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import { SECOND_MS } from '../../base/units.ts';
import { Channel } from './channel.ts';
import { addressText, type NodeTarget } from './target.ts';

const DIAL_MS_MAX = 10 * SECOND_MS;
const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 15 * SECOND_MS;

export interface LinkParts {
  readonly target: NodeTarget;
  readonly clock: Clock;
  readonly random: Random;
  /** Selects and greets. A rejection ends the connection. */
  readonly begin: (channel: Channel) => Promise<void>;
}

export class Link {
  readonly #parts: LinkParts;
  readonly #where: string;
  #channel: Channel | undefined;
  #opening: Promise<Channel> | undefined;
  #failures = 0;
  #notBeforeMs = 0;
  #lastError: unknown;
  readonly #closing = new AbortController();

  constructor(parts: LinkParts) {
    this.#parts = parts;
    this.#where = addressText(parts.target);
  }

  /** The open connection, or a new one. @throws NodeUnavailable, at once while it waits after a failure */
  async channel(): Promise<Channel> {
    if (this.#channel !== undefined) return this.#channel;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  close(): void {
    this.#closing.abort(this.#unavailable('it is not used any more'));
    this.#channel?.end('it is not used any more');
  }

  async #open(): Promise<Channel> {
    const { clock } = this.#parts;
    if (this.#closing.signal.aborted) throw this.#closing.signal.reason;
    if (clock.monotonicMs() < this.#notBeforeMs) throw this.#lastError;
    try {
      const channel = await this.#dial();
      this.#failures = 0;
      this.#channel = channel;
      return channel;
    } catch (error) {
      this.#lastError = error instanceof HoldfastError ? error : this.#unavailable((error as Error).message);
      this.#failures += 1;
      const most = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** this.#failures);
      const jitter = this.#parts.random.bytes(2).readUInt16BE() / 0xffff;
      this.#notBeforeMs = clock.monotonicMs() + most * (0.5 + jitter / 2);
      throw this.#lastError;
    }
  }

  async #dial(): Promise<Channel> {
    const { target, clock, begin } = this.#parts;
    const late = new AbortController();
    const timer = clock.schedule(DIAL_MS_MAX, () =>
      late.abort(new Error(`no connection within ${DIAL_MS_MAX / SECOND_MS} s`)),
    );
    try {
      const signal = AbortSignal.any([late.signal, this.#closing.signal]);
      const socket = await target.dial(signal);
      const channel = new Channel(socket, clock, this.#where, () => {
        if (this.#channel === channel) this.#channel = undefined;
      });
      const onAbort = () => channel.end((signal.reason as Error).message);
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        await begin(channel);
      } catch (error) {
        channel.end((error as Error).message);
        throw error;
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
      if (channel.reason !== undefined) throw channel.reason;
      return channel;
    } finally {
      timer.cancel();
    }
  }

  #unavailable(why: string): HoldfastError {
    return new HoldfastError('NodeUnavailable', { detail: `node at ${this.#where}: ${why}` });
  }
}
