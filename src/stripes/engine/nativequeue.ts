/**
 * What waits for native threads: kinds of work take turns, each first in, first out. What has not been handed over can be taken back.
 */
import { HoldfastError } from '../../base/errors.ts';
import type { NativeCall, NativeJobs } from '../../base/nativejobs.ts';
import { FairQueue } from './queue.ts';

/** Jobs waiting. Pooled buffers keep it far below that; it bounds what needs none. */
const JOBS_QUEUED_MAX = 4096;

interface Waiting {
  cancelled: boolean;
  readonly start: () => void;
  readonly refuse: (reason: unknown) => void;
}

export class NativeQueue {
  readonly #jobs: NativeJobs;
  readonly #underWayMax: number;
  readonly #waiting = new FairQueue<Waiting>();
  #waitingCount = 0;
  #underWay = 0;
  #closed = false;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(jobs: NativeJobs, underWayMax: number) {
    this.#jobs = jobs;
    this.#underWayMax = underWayMax;
  }

  /** `submit` as of NativeJobs.run; `held` must stay alive until the job has ended. Rejects with `signal.reason` when aborted before. */
  run(
    kind: string,
    submit: NativeCall,
    held: readonly unknown[],
    signal: AbortSignal | undefined,
  ): Promise<number> {
    if (this.#closed) return Promise.reject(new HoldfastError('ShuttingDown'));
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#underWay < this.#underWayMax) return this.#start(submit, held);
    if (this.#waitingCount >= JOBS_QUEUED_MAX) {
      return Promise.reject(
        new HoldfastError('SlowDown', { detail: 'stripe engine: too many jobs are waiting' }),
      );
    }
    return this.#wait(kind, submit, held, signal);
  }

  /** Refuses what waits and resolves when what has started is done. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const waiting of this.#waiting.drain()) waiting.refuse(new HoldfastError('ShuttingDown'));
    if (this.#underWay === 0) return;
    this.#idle ??= Promise.withResolvers();
    await this.#idle.promise;
  }

  #wait(
    kind: string,
    submit: NativeCall,
    held: readonly unknown[],
    signal: AbortSignal | undefined,
  ): Promise<number> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waitingCount -= 1;
        signal?.removeEventListener('abort', abort);
      };
      const abort = () => {
        waiting.cancelled = true;
        leave();
        reject(signal?.reason);
      };
      const waiting: Waiting = {
        cancelled: false,
        start: () => {
          leave();
          this.#start(submit, held).then(resolve, reject);
        },
        refuse: (reason) => {
          leave();
          reject(reason);
        },
      };
      this.#waitingCount += 1;
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiting.push(kind, waiting);
    });
  }

  async #start(submit: NativeCall, held: readonly unknown[]): Promise<number> {
    this.#underWay += 1;
    try {
      return await this.#jobs.run(submit, held);
    } finally {
      this.#underWay -= 1;
      this.#waiting.shift()?.start();
      if (this.#underWay === 0) this.#idle?.resolve();
    }
  }
}
