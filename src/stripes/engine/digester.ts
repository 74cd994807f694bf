/**
 * The digests of one body on a worker thread. The first bytes are only kept (copied) until it is clear that the body is
 * larger than what is digested faster here than elsewhere; then its state is pinned to one thread and every piece is sent
 * there in order.
 */
import { assert } from '../../base/assert.ts';
import { digestNow } from '../../coding/digest.ts';
import type { BodyDigests, DigestAlgorithm } from '../../coding/digests.ts';
import type { BodyDigester } from '../types.ts';
import type { ThreadPool } from './pool.ts';
import { isShared, ownCopy } from './shared.ts';
import type { Thread } from './thread.ts';

/** Bodies up to this length are digested on the calling thread: 43 µs of MD5, what a hop costs (workers.ts). */
export const DIGEST_INLINE_BYTES_MAX = 32 * 1024;

/** For a body of which no digest is wanted: looks at nothing, and so keeps, copies and posts nothing. */
export const idleDigester: BodyDigester = {
  update: async () => undefined,
  digest: async () => ({}),
  abandon: () => undefined,
};

let lastDigester = 0;

export class PinnedDigester implements BodyDigester {
  readonly #pool: ThreadPool;
  readonly #algorithms: readonly DigestAlgorithm[];
  readonly #id = ++lastDigester;
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  #thread: Thread | undefined;
  /** The last update of a copy that was sent and not yet waited for. */
  #copyInFlight: Promise<unknown> = Promise.resolve();
  #ended = false;

  constructor(pool: ThreadPool, algorithms: readonly DigestAlgorithm[]) {
    this.#pool = pool;
    this.#algorithms = algorithms;
  }

  async update(bytes: Uint8Array): Promise<void> {
    assert(!this.#ended, 'a digest that has ended takes no more bytes');
    if (!this.#thread && this.#keptBytes + bytes.length <= DIGEST_INLINE_BYTES_MAX) {
      this.#kept.push(ownCopy(bytes));
      this.#keptBytes += bytes.length;
      return;
    }
    if (isShared(bytes)) await this.#send([bytes]);
    else await this.#sendCopy(bytes);
  }

  async digest(): Promise<BodyDigests> {
    assert(!this.#ended, 'a digest ends once');
    this.#ended = true;
    if (!this.#thread) return digestNow(this.#algorithms, Buffer.concat(this.#kept));
    const thread = this.#thread;
    try {
      await this.#copyInFlight;
      const job = { kind: 'digestFinish', digester: this.#id } as const;
      return asBuffers((await this.#pool.runOn(thread, this.#id, job)) as BodyDigests);
    } finally {
      this.#pool.unpin(thread);
    }
  }

  abandon(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#kept = [];
    if (!this.#thread) return;
    this.#pool.unpin(this.#thread);
    const job = { kind: 'digestAbandon', digester: this.#id } as const;
    // The thread that held the state may be gone, and the state with it: nothing is left to free then.
    this.#pool.runOn(this.#thread, this.#id, job).catch(() => undefined);
  }

  /** One copy is under way while the caller fetches the next: two at most in memory. */
  async #sendCopy(bytes: Uint8Array): Promise<void> {
    const previous = this.#copyInFlight;
    const sent = this.#send([ownCopy(bytes)]);
    this.#copyInFlight = sent;
    sent.catch(() => undefined);
    await previous;
  }

  async #send(pieces: Uint8Array[]): Promise<void> {
    this.#thread ??= this.#pool.pin();
    const job = {
      kind: 'digestUpdate',
      digester: this.#id,
      algorithms: this.#algorithms,
      pieces: [...this.#kept, ...pieces],
    } as const;
    this.#kept = [];
    await this.#pool.runOn(this.#thread, this.#id, job);
  }
}

/** Buffers come out of another thread as plain byte arrays. */
function asBuffers(digests: Readonly<Record<string, Uint8Array>>): BodyDigests {
  return Object.fromEntries(
    Object.entries(digests).map(([name, { buffer, byteOffset, byteLength }]) => [
      name,
      Buffer.from(buffer, byteOffset, byteLength),
    ]),
  );
}
