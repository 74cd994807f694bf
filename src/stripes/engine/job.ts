/** A job on its way through the worker engine: a request, and the promise that its reply settles. */
import { HoldfastError } from '../../base/errors.ts';
import type { WorkerJob, WorkerResult } from './messages.ts';

export class Job {
  readonly request: WorkerJob;
  readonly promise: Promise<WorkerResult>;
  cancelled = false;
  #settled = false;
  readonly #resolve: (result: WorkerResult) => void;
  readonly #reject: (reason: unknown) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #onEnd: (job: Job) => void;
  readonly #onAbort = () => {
    this.cancelled = true;
    this.#settle(() => this.#reject(this.#signal?.reason));
  };

  /** `onEnd` runs once, when the promise is settled, for whatever reason. */
  constructor(request: WorkerJob, signal: AbortSignal | undefined, onEnd: (job: Job) => void) {
    const { promise, resolve, reject } = Promise.withResolvers<WorkerResult>();
    this.request = request;
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#signal = signal;
    this.#onEnd = onEnd;
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** From here on the job can no longer be taken back. */
  started(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }

  succeed(result: WorkerResult): void {
    this.#settle(() => this.#resolve(result));
  }

  fail(error: HoldfastError): void {
    this.#settle(() => this.#reject(error));
  }

  #settle(act: () => void): void {
    if (this.#settled) return;
    this.#settled = true;
    this.started();
    this.#onEnd(this);
    act();
  }
}

export function workerDied(): HoldfastError {
  return new HoldfastError('InternalError', { detail: 'stripe engine: a worker thread ended unexpectedly' });
}
