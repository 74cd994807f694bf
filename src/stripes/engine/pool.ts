/**
 * A fixed number of worker threads and the queues before them. Heavy jobs (milliseconds: sealing, encoding, rebuilding,
 * hashing) go to a thread that has nothing else, light ones (opening, under a millisecond) may also wait behind one other
 * job, and pinned ones (digests) go where their state is. An idle thread takes from the three queues in turn, so that none of
 * writing, reading and healing starves another.
 *
 * A thread that dies fails its jobs and is replaced; when three in a row die without having answered, threads
 * cannot be run here at all, and every job fails instead.
 */
import { HoldfastError } from '../../base/errors.ts';
import { Job, workerDied } from './job.ts';
import type { WorkerJob, WorkerResult } from './messages.ts';
import { FairQueue } from './queue.ts';
import { JOBS_IN_FLIGHT_MAX, Thread } from './thread.ts';

/** Jobs waiting in all queues. Pooled buffers keep it far below that; it bounds what needs none. */
const JOBS_QUEUED_MAX = 4096;
const START_FAILURES_MAX = 3;

export class ThreadPool {
  readonly #threads: Thread[] = [];
  readonly #heavy = new FairQueue<Job>();
  readonly #light = new FairQueue<Job>();
  #unsettled = 0;
  #startFailures = 0;
  #closed = false;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(threadCount: number) {
    for (let i = 0; i < threadCount; i++) this.#threads.push(this.#newThread());
  }

  /** Runs a job on whichever thread is free first. */
  run(request: WorkerJob, signal?: AbortSignal): Promise<WorkerResult> {
    const queue = request.kind === 'open' ? this.#light : this.#heavy;
    return this.#enqueue(queue, request.kind, request, signal);
  }

  /** Runs a job on `thread`, in order with the others of its lane. */
  runOn(thread: Thread, lane: number, request: WorkerJob): Promise<WorkerResult> {
    if (thread.dead) return Promise.reject(this.#closed ? new HoldfastError('ShuttingDown') : workerDied());
    return this.#enqueue(thread.pinned, lane, request, undefined);
  }

  /** The thread with the fewest digests; give it back with `unpin`. */
  pin(): Thread {
    const [thread] = this.#byDigesters();
    if (!thread) throw workerDied();
    thread.digesters += 1;
    return thread;
  }

  unpin(thread: Thread): void {
    thread.digesters -= 1;
  }

  /** Ids of the threads that run now. */
  get threadIds(): readonly number[] {
    return this.#threads.map((thread) => thread.threadId);
  }

  /** Refuses what waits, lets what runs finish, and ends the threads. */
  async close(): Promise<void> {
    this.#closed = true;
    const waiting = [this.#heavy, this.#light, ...this.#threads.map((thread) => thread.pinned)];
    for (const job of waiting.flatMap((queue) => queue.drain())) job.fail(new HoldfastError('ShuttingDown'));
    if (this.#unsettled > 0) {
      this.#idle ??= Promise.withResolvers();
      await this.#idle.promise;
    }
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }

  #enqueue(
    queue: FairQueue<Job>,
    lane: number | string,
    request: WorkerJob,
    signal: AbortSignal | undefined,
  ): Promise<WorkerResult> {
    if (this.#closed) return Promise.reject(new HoldfastError('ShuttingDown'));
    if (this.#threads.length === 0) return Promise.reject(workerDied());
    if (this.#unsettled >= JOBS_QUEUED_MAX) {
      return Promise.reject(
        new HoldfastError('SlowDown', { detail: 'stripe engine: too many jobs are waiting' }),
      );
    }
    this.#unsettled += 1;
    const job = new Job(request, signal, () => this.#onSettled());
    if (!job.cancelled) queue.push(lane, job);
    this.#dispatch();
    return job.promise;
  }

  #onSettled(): void {
    this.#unsettled -= 1;
    if (this.#unsettled === 0) this.#idle?.resolve();
  }

  #byDigesters(): Thread[] {
    return [...this.#threads].sort((a, b) => a.digesters - b.digesters);
  }

  /** Idle threads first, those with fewer digests before others, so that a digest does not wait behind a sealing. */
  #dispatch(): void {
    const threads = this.#byDigesters();
    for (let inFlight = 0; inFlight < JOBS_IN_FLIGHT_MAX; inFlight++) {
      for (const thread of threads) {
        if (thread.inFlight !== inFlight || thread.dead) continue;
        const job =
          inFlight === 0 ? this.#nextInTurn(thread) : (thread.pinned.shift() ?? this.#light.shift());
        if (job) thread.send(job);
      }
    }
  }

  #nextInTurn(thread: Thread): Job | undefined {
    const queues = [thread.pinned, this.#light, this.#heavy];
    for (let i = 0; i < queues.length; i++) {
      const turn = (thread.turn + i) % queues.length;
      const job = queues[turn]!.shift();
      if (!job) continue;
      thread.turn = turn + 1;
      return job;
    }
    return undefined;
  }

  #newThread(): Thread {
    return new Thread({
      onReply: () => this.#dispatch(),
      onDeath: (thread) => this.#replace(thread),
    });
  }

  #replace(thread: Thread): void {
    this.#startFailures = thread.answered ? 0 : this.#startFailures + 1;
    this.#threads.splice(this.#threads.indexOf(thread), 1);
    if (this.#closed) return;
    if (this.#startFailures < START_FAILURES_MAX) this.#threads.push(this.#newThread());
    else if (this.#threads.length === 0) {
      for (const job of [...this.#heavy.drain(), ...this.#light.drain()]) job.fail(workerDied());
    }
    this.#dispatch();
  }
}
