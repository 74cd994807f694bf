/**
 * The engine on worker threads: the event loop only passes views of shared memory back and forth. A hop (post, wake, reply)
 * takes 14 µs on quiet cores, 8 of them the caller's own, and up to 80 and 40 where other processes compete for them. So
 * jobs of up to some 20 µs run where they are.
 */
import { availableParallelism } from 'node:os';
import { HoldfastError } from '../../base/errors.ts';
import type { DigestAlgorithm } from '../../coding/digests.ts';
import type { BodyDigester } from '../types.ts';
import { BaseEngine, type EngineOptions } from './base.ts';
import { idleDigester, PinnedDigester } from './digester.ts';
import { fromPlainError, toPlainError } from './errors.ts';
import { inlineBytesMax, inputBytes } from './inlining.ts';
import { type KernelJob, runKernel } from './kernels.ts';
import { ThreadPool } from './pool.ts';
import { ownCopy, sharedOrCopied } from './shared.ts';

/** More threads than this wait for memory rather than compute, and each costs about 20 MiB. */
const THREADS_MAX = 16;

export interface WorkerEngineOptions extends EngineOptions {
  /** Default: one per core. */
  readonly threads?: number;
}

export class WorkerEngine extends BaseEngine {
  readonly #pool: ThreadPool;
  #closed = false;

  constructor(options: WorkerEngineOptions) {
    super(options);
    const threads = options.threads ?? availableParallelism();
    this.#pool = new ThreadPool(Math.max(1, Math.min(threads, THREADS_MAX)));
  }

  /** Ids of the worker threads, for the status report and for tests. */
  get threadIds(): readonly number[] {
    return this.#pool.threadIds;
  }

  protected override async run(job: KernelJob, signal?: AbortSignal): Promise<Uint8Array | number> {
    if (this.#closed) throw new HoldfastError('ShuttingDown');
    if (inputBytes(job) > inlineBytesMax[job.kind]) return this.runOnThread(job, signal);
    signal?.throwIfAborted();
    try {
      return runKernel(job);
    } catch (thrown) {
      throw fromPlainError(toPlainError(thrown), thrown);
    }
  }

  /** Runs a job on a thread, however small it is. */
  async runOnThread(job: KernelJob, signal?: AbortSignal): Promise<Uint8Array | number> {
    return (await this.#pool.run(postable(job), signal)) as Uint8Array | number;
  }

  override createDigester(algorithms: readonly DigestAlgorithm[]): BodyDigester {
    return algorithms.length === 0 ? idleDigester : new PinnedDigester(this.#pool, algorithms);
  }

  override async close(): Promise<void> {
    this.#closed = true;
    await this.#pool.close();
  }
}

/**
 * The job as it is posted. A posted view that is not in shared memory takes its whole underlying buffer along, so keys
 * and other views are cut out of theirs first.
 */
function postable(job: KernelJob): KernelJob {
  switch (job.kind) {
    case 'seal':
      return { ...job, runs: job.runs.map((run) => ({ ...run, ...cutKeys(run) })) };
    case 'open':
      return { ...job, ...cutKeys(job) };
    case 'hash':
      return { ...job, views: job.views.map(sharedOrCopied) };
    default:
      return job;
  }
}

function cutKeys(keys: { readonly aeadKey: Uint8Array; readonly baseNonce: Uint8Array }) {
  return { aeadKey: ownCopy(keys.aeadKey), baseNonce: ownCopy(keys.baseNonce) };
}
