/**
 * One worker thread: what it has been sent, what waits for it alone, and what becomes of both when it dies. At most
 * JOBS_IN_FLIGHT_MAX jobs are with a thread: the second one only hides the way there and back.
 */
import { Worker } from 'node:worker_threads';
import { fromPlainError } from './errors.ts';
import { type Job, workerDied } from './job.ts';
import { END_OF_WORK, type WorkerJob, type WorkerReply, type WorkerRequest } from './messages.ts';
import { FairQueue } from './queue.ts';
import { buffersToTransfer } from './shared.ts';

export const JOBS_IN_FLIGHT_MAX = 2;

/**
 * Node's ciphers return a fresh buffer for every chunk. A small young generation collects them soon: 30 MiB less a thread
 * than with node's default of 16, at the same speed.
 */
const YOUNG_GENERATION_MIB = 2;

/** The file beside this one: a `.ts` when run by type stripping, a `.js` when compiled. */
const workerFile = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);

export interface ThreadEvents {
  /** A job was answered: there is room for another. */
  onReply(thread: Thread): void;
  /** The thread ended, other than by `terminate`. Its jobs have been failed. */
  onDeath(thread: Thread): void;
}

export class Thread {
  /** Jobs that only this thread can do, since it holds their state. One lane per digester. */
  readonly pinned = new FairQueue<Job>();
  /** Digests whose state is here. */
  digesters = 0;
  /** Whose turn it is when several queues have work (workers.ts). */
  turn = 0;
  /** Whether it has ever answered; one that dies before is not worth replacing for ever. */
  answered = false;
  dead = false;
  readonly #worker: Worker;
  readonly #events: ThreadEvents;
  readonly #pending = new Map<number, Job>();
  #nextId = 0;

  constructor(events: ThreadEvents) {
    this.#events = events;
    this.#worker = new Worker(workerFile, {
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
    });
    this.#worker.unref();
    this.#worker.on('message', (reply: WorkerReply) => this.#onReply(reply));
    this.#worker.on('error', () => this.#onDeath());
    this.#worker.on('exit', () => this.#onDeath());
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  get threadId(): number {
    return this.#worker.threadId;
  }

  send(job: Job): void {
    job.started();
    const id = this.#nextId++;
    // A process with work under way must not end for want of other handles.
    if (this.#pending.size === 0) this.#worker.ref();
    this.#pending.set(id, job);
    const request: WorkerRequest = { id, job: job.request };
    this.#worker.postMessage(request, transferList(job.request));
  }

  /**
   * Ends the thread; whoever calls has seen to it that nothing is in flight. The thread ends itself, because one that is cut off while it
   * still loads a native module (codec 2) aborts the whole process.
   */
  async terminate(): Promise<void> {
    if (this.dead) return;
    this.dead = true;
    const ended = new Promise((resolve) => this.#worker.once('exit', resolve));
    this.#worker.ref();
    this.#worker.postMessage(END_OF_WORK);
    await ended;
  }

  /** Ends the thread as a crash would. For tests of what happens then. */
  kill(): void {
    void this.#worker.terminate();
  }

  #onReply(reply: WorkerReply): void {
    this.answered = true;
    const job = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if (this.#pending.size === 0) this.#worker.unref();
    if ('error' in reply) job?.fail(fromPlainError(reply.error));
    else job?.succeed(reply.result);
    this.#events.onReply(this);
  }

  #onDeath(): void {
    if (this.dead) return;
    this.dead = true;
    const jobs = [...this.#pending.values(), ...this.pinned.drain()];
    this.#pending.clear();
    for (const job of jobs) job.fail(workerDied());
    this.#events.onDeath(this);
  }
}

/** Pieces that are not in shared memory are copies made for the thread (digester.ts, workers.ts) and move there. */
function transferList(job: WorkerJob): ArrayBuffer[] {
  if (job.kind === 'digestUpdate') return buffersToTransfer(job.pieces);
  if (job.kind === 'hash') return buffersToTransfer(job.views);
  return [];
}
