/**
 * The engine on native threads (native/engine): one call takes a filled stripe buffer and gives back sealed, coded, hashed fragments. The
 * event loop only passes descriptors. What waits is queued here, so that it can be taken back and takes fair turns; at most
 * JOBS_PER_THREAD jobs a thread are handed over, the second of which only hides the way there and back.
 *
 * Codec 2 has no native form and goes to worker threads, which are made when the first such stripe comes.
 */
import { AssertionError } from '../../base/assert.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { NativeJobFunctions } from '../../base/native.ts';
import {
  computeThreads,
  jobCodes,
  type NativeCall,
  NativeJobError,
  type NativeJobs,
} from '../../base/nativejobs.ts';
import { BLAKE3_BYTES } from '../../coding/blake3.ts';
import { CAUCHY_CODEC_ID } from '../../coding/cauchy.ts';
import type { DigestAlgorithm } from '../../coding/digests.ts';
import { codecById } from '../../coding/registry.ts';
import { planDecode } from '../../coding/shards.ts';
import { type ChunkKeys, TAG_BYTES } from '../../crypto/chunked.ts';
import { stripeShape } from '../shape.ts';
import type { BodyDigester, SealRun } from '../types.ts';
import { BaseEngine, type EngineOptions } from './base.ts';
import { idleDigester } from './digester.ts';
import { DigestGather } from './digestgather.ts';
import { fromPlainError, toPlainError } from './errors.ts';
import { inputBytes } from './inlining.ts';
import { checkRoom, checkSeal, type KernelJob } from './kernels.ts';
import { NativeDigester } from './nativedigester.ts';
import { NativeQueue } from './nativequeue.ts';
import { shareJob } from './sharedjob.ts';
import type { LocalPiece, LocalSources, LostPiece, OpenRequest } from './types.ts';
import { WorkerEngine } from './workers.ts';

const JOBS_PER_THREAD = 2;
/** Reads of files that are under way: as many threads as may wait for a disk without keeping appends from theirs. */
const READS_MAX = 16;
/** Up to here a job runs on the calling thread: about what handing it over and taking it back costs there (10 to 20 µs). */
const INLINE_BYTES_MAX = 32 * 1024 + 2 * TAG_BYTES;
const RUN_BYTES = 64;

export class NativeEngine extends BaseEngine {
  readonly #jobs: NativeJobs;
  readonly #compute: NativeQueue;
  readonly #reads: NativeQueue;
  readonly #gather = new DigestGather();
  readonly #options: EngineOptions;
  #portable: WorkerEngine | undefined;
  #closed = false;

  constructor(jobs: NativeJobs, options: EngineOptions) {
    super(options, (bytes) => jobs.addon.allocatePages(bytes));
    this.#jobs = jobs;
    this.#options = options;
    this.#compute = new NativeQueue(jobs, JOBS_PER_THREAD * computeThreads);
    this.#reads = new NativeQueue(jobs, READS_MAX);
  }

  protected override async run(job: KernelJob, signal?: AbortSignal): Promise<Uint8Array | number> {
    if (this.#closed) throw new HoldfastError('ShuttingDown');
    signal?.throwIfAborted();
    if ('profile' in job && job.profile.codecId !== CAUCHY_CODEC_ID) {
      return this.#runPortable(job, signal);
    }
    try {
      const { call, held, result } = prepare(this.#jobs.addon, job);
      const small = inputBytes(job) <= INLINE_BYTES_MAX;
      const value = small ? this.#jobs.runNow(call) : await this.#compute.run(job.kind, call, held, signal);
      return result ?? value;
    } catch (error) {
      throw job.kind === 'open' ? openError(error, job.firstChunkIndex) : asHoldfast(error);
    }
  }

  /** Native threads see all memory of the process. */
  protected override requireVisible(): void {}

  async #runPortable(job: KernelJob, signal: AbortSignal | undefined): Promise<Uint8Array | number> {
    this.#portable ??= new WorkerEngine(this.#options);
    const shared = shareJob(job);
    const result = await this.#portable.runOnThread(shared.job, signal);
    shared.copyBack();
    return result;
  }

  override canRead(): boolean {
    return true;
  }

  override async readAndOpen(
    request: OpenRequest,
    pieces: readonly (LocalPiece | LostPiece)[],
    sources?: LocalSources,
    signal?: AbortSignal,
  ): Promise<number> {
    if (this.#closed) throw new HoldfastError('ShuttingDown');
    const { ciphertext, plaintext, firstChunkIndex, final } = request;
    const keys = packKeys(request);
    const numbers = packPieces(pieces);
    const { addon } = this.#jobs;
    const from = sources && packSources(sources);
    const call: NativeCall = (id) =>
      sources === undefined || from === undefined
        ? addon.readAndOpen(id, ciphertext, plaintext, keys, firstChunkIndex, final, numbers)
        : addon.rebuildAndOpen(
            ...([id, ciphertext, plaintext, keys, firstChunkIndex, final, numbers] as const),
            ...([sources.k, sources.m, from] as const),
          );
    try {
      if (ciphertext.length <= INLINE_BYTES_MAX) {
        const opened = this.#openCached(call);
        if (opened !== undefined) return opened;
      }
      return await this.#reads.run('read', call, [ciphertext, plaintext], signal);
    } catch (error) {
      throw openError(error, firstChunkIndex);
    }
  }

  /** At once when the page cache has all of it; undefined when it does not, or cannot tell. */
  #openCached(call: NativeCall): number | undefined {
    try {
      return this.#jobs.runNow(call);
    } catch (error) {
      if (error instanceof NativeJobError && error.nativeCode > 0) return undefined;
      throw error;
    }
  }

  override createDigester(algorithms: readonly DigestAlgorithm[]): BodyDigester {
    return algorithms.length === 0 ? idleDigester : new NativeDigester(this.#jobs, this.#gather, algorithms);
  }

  override async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#compute.close(), this.#reads.close(), this.#portable?.close()]);
  }
}

interface Prepared {
  readonly call: NativeCall;
  /** What must stay as it is until the job has ended. */
  readonly held: readonly unknown[];
  /** What the job fills; its value is the result where there is none. */
  readonly result?: Uint8Array;
}

function prepare(addon: NativeJobFunctions, job: KernelJob): Prepared {
  switch (job.kind) {
    case 'seal': {
      const { plaintext, fragments, runs, profile } = job;
      const { k, m } = profile;
      const { fragmentLengthBytes } = stripeShape(checkSeal(job), k);
      const [packed, result] = [packRuns(runs), newRoots(k + m)];
      const call: NativeCall = (id) =>
        addon.seal(id, plaintext, fragments, packed, k, m, fragmentLengthBytes, result);
      return { call, held: [job, result], result };
    }
    case 'encode': {
      const { fragments, payloadLengthBytes, profile } = job;
      checkRoom(fragments, payloadLengthBytes, profile);
      const { k, m } = profile;
      const { fragmentLengthBytes } = stripeShape(payloadLengthBytes, k);
      const result = newRoots(k + m);
      const call: NativeCall = (id) =>
        addon.encode(id, fragments, payloadLengthBytes, k, m, fragmentLengthBytes, result);
      return { call, held: [job, result], result };
    }
    case 'reconstruct': {
      const { profile, present, wanted } = job;
      const { k, m, codecId } = profile;
      const { sources } = planDecode(codecById(codecId), k, m, present, wanted);
      const views = sources.map((index) => present[index]!);
      const [indices, targets] = [Uint8Array.from(wanted.keys()), [...wanted.values()]];
      const result = newRoots(wanted.size);
      const call: NativeCall = (id) =>
        addon.reconstruct(id, k, m, Uint8Array.from(sources), views, indices, targets, result);
      return { call, held: [job, result], result };
    }
    case 'hash': {
      const result = newRoots(job.views.length);
      return { call: (id) => addon.hashAll(id, job.views, result), held: [job, result], result };
    }
    case 'open': {
      const { ciphertext, plaintext, firstChunkIndex, final } = job;
      const keys = packKeys(job);
      const call: NativeCall = (id) =>
        addon.openChunks(id, ciphertext, plaintext, keys, firstChunkIndex, final);
      return { call, held: [job] };
    }
  }
}

function newRoots(count: number): Uint8Array {
  return new Uint8Array(count * BLAKE3_BYTES);
}

/** The form in which native/binding/jobs_stripe.c reads runs. */
function packRuns(runs: readonly SealRun[]): Buffer {
  const packed = Buffer.alloc(runs.length * RUN_BYTES);
  for (const [i, run] of runs.entries()) {
    const at = i * RUN_BYTES;
    packed.set(run.aeadKey, at);
    packed.set(run.baseNonce, at + 32);
    packed.writeUInt32LE(run.final ? 1 : 0, at + 44);
    packed.writeUInt32LE(run.plaintextOffsetBytes, at + 48);
    packed.writeUInt32LE(run.plaintextLengthBytes, at + 52);
    packed.writeUInt32LE(run.firstChunkIndex % 2 ** 32, at + 56);
    packed.writeUInt32LE(Math.floor(run.firstChunkIndex / 2 ** 32), at + 60);
  }
  return packed;
}

/** The forms in which native/binding/jobs_open.c reads pieces and sources. */
function packPieces(pieces: readonly (LocalPiece | LostPiece)[]): Float64Array {
  const numbers = new Float64Array(3 * pieces.length);
  for (const [i, piece] of pieces.entries()) {
    const where =
      'lostIndex' in piece
        ? [-1 - piece.lostIndex, piece.offsetBytes]
        : [piece.descriptor, piece.positionBytes];
    numbers.set([...where, piece.lengthBytes], 3 * i);
  }
  return numbers;
}

function packSources({ sources }: LocalSources): Float64Array {
  const numbers = new Float64Array(3 * sources.length);
  for (const [i, { index, descriptor, positionBytes }] of sources.entries()) {
    numbers.set([index, descriptor, positionBytes], 3 * i);
  }
  return numbers;
}

function packKeys({ aeadKey, baseNonce }: ChunkKeys): Buffer {
  return Buffer.concat([aeadKey, baseNonce]);
}

/** What native code says is ours to answer for; an abort's reason and a HoldfastError stay what they are. */
function asHoldfast(error: unknown): unknown {
  if (error instanceof NativeJobError) {
    return new HoldfastError('InternalError', { detail: `stripe engine: ${error.message}`, cause: error });
  }
  return error instanceof AssertionError || error instanceof RangeError
    ? fromPlainError(toPlainError(error), error)
    : error;
}

/** A bad tag or length is an answer; what a file says is passed on, so that whoever reads can go another way. */
function openError(error: unknown, firstChunkIndex: number): unknown {
  if (!(error instanceof NativeJobError)) return error;
  const { nativeCode, value } = error;
  if (nativeCode === jobCodes.badTag) {
    return new HoldfastError('AuthenticationFailed', {
      detail: `chunk ${firstChunkIndex + value} failed its authentication tag`,
    });
  }
  if (nativeCode === jobCodes.badLength) {
    return new HoldfastError('AuthenticationFailed', { detail: 'a run of chunks is cut short' });
  }
  return nativeCode > 0 || nativeCode === jobCodes.shortRead ? error : asHoldfast(error);
}
