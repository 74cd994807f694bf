/**
 * What every engine has in common: the pools, the making and checking of jobs, and the reading of their results. An engine
 * adds where a job runs. The checks are the same everywhere, so that the simulator, which runs on one thread, refuses memory
 * that a worker could not see.
 */
import { assert } from '../../base/assert.ts';
import { HoldfastError } from '../../base/errors.ts';
import { digestNow } from '../../coding/digest.ts';
import type { BodyDigests, DigestAlgorithm } from '../../coding/digests.ts';
import { stripeShape } from '../shape.ts';
import type { BodyDigester, Profile, SealRun } from '../types.ts';
import { type KernelJob, payloadRanges, splitRoots } from './kernels.ts';
import { allocateShared, StripeMemory } from './memory.ts';
import { isShared } from './shared.ts';
import type {
  BufferCounts,
  EncodedStripe,
  LocalPiece,
  LocalSources,
  LostPiece,
  OpenRequest,
  ReadBuffer,
  RepairBuffer,
  SealedStripe,
  StripeEngine,
  WriteBuffer,
} from './types.ts';

export interface EngineOptions {
  /** The widest stripes that will be written; sizes the buffers. */
  readonly profile: Profile;
  readonly bufferCounts?: BufferCounts;
}

export abstract class BaseEngine implements StripeEngine {
  readonly memory: StripeMemory;

  /** `allocate` makes memory that the engine's threads can see. */
  constructor(options: EngineOptions, allocate = allocateShared) {
    this.memory = new StripeMemory(options.profile, options.bufferCounts, allocate);
  }

  /** Refuses memory that the engine's threads cannot see; that of other threads of JavaScript must be shared. */
  protected requireVisible(what: string, ...views: (Uint8Array | undefined)[]): void {
    for (const view of views) assert(!view || isShared(view), `${what} must be in shared memory`);
  }

  /** Runs a kernel somewhere; rejects with a HoldfastError, or `signal.reason` when aborted before it started. */
  protected abstract run(job: KernelJob, signal?: AbortSignal): Promise<Uint8Array | number>;
  abstract createDigester(algorithms: readonly DigestAlgorithm[]): BodyDigester;
  abstract close(): Promise<void>;

  acquireWrite(signal?: AbortSignal): Promise<WriteBuffer> {
    return this.memory.acquireWrite(signal);
  }

  acquireRead(signal?: AbortSignal): Promise<ReadBuffer> {
    return this.memory.acquireRead(signal);
  }

  acquireRescue(signal?: AbortSignal): Promise<RepairBuffer> {
    return this.memory.acquireRepair('rescue', signal);
  }

  acquireRepair(signal?: AbortSignal): Promise<RepairBuffer> {
    return this.memory.acquireRepair('repair', signal);
  }

  acquireSpare(signal?: AbortSignal): Promise<RepairBuffer> {
    return this.memory.acquireRepair('spare', signal);
  }

  async seal(
    buffer: WriteBuffer,
    runs: readonly SealRun[],
    profile: Profile,
    signal?: AbortSignal,
  ): Promise<SealedStripe> {
    const { plaintext, fragments } = buffer;
    this.requireVisible('a write buffer', plaintext, fragments);
    const ranges = payloadRanges(runs);
    const payloadLengthBytes = ranges.reduce((sum, range) => sum + range.lengthBytes, 0);
    const roots = await this.#roots({ kind: 'seal', plaintext, fragments, runs, profile }, signal);
    return { ...stripeShape(payloadLengthBytes, profile.k), payloadLengthBytes, ranges, roots };
  }

  async encode(
    fragments: Uint8Array,
    payloadLengthBytes: number,
    profile: Profile,
    signal?: AbortSignal,
  ): Promise<EncodedStripe> {
    this.requireVisible('the fragments to encode', fragments);
    const roots = await this.#roots({ kind: 'encode', fragments, payloadLengthBytes, profile }, signal);
    return { ...stripeShape(payloadLengthBytes, profile.k), roots };
  }

  async reconstruct(
    profile: Profile,
    present: readonly (Uint8Array | undefined)[],
    wanted: ReadonlyMap<number, Uint8Array>,
    signal?: AbortSignal,
  ): Promise<readonly Buffer[]> {
    this.requireVisible('fragments to reconstruct', ...present, ...wanted.values());
    return this.#roots({ kind: 'reconstruct', profile, present, wanted }, signal);
  }

  async hash(views: readonly Uint8Array[], signal?: AbortSignal): Promise<readonly Buffer[]> {
    return this.#roots({ kind: 'hash', views }, signal);
  }

  async openChunks(request: OpenRequest, signal?: AbortSignal): Promise<number> {
    this.requireVisible('chunks to open', request.ciphertext, request.plaintext);
    return (await this.run({ kind: 'open', ...request }, signal)) as number;
  }

  canRead(): boolean {
    return false;
  }

  readAndOpen(
    _request: OpenRequest,
    _pieces: readonly (LocalPiece | LostPiece)[],
    _sources?: LocalSources,
    _signal?: AbortSignal,
  ): Promise<number> {
    throw new HoldfastError('NotImplemented', { detail: 'this stripe engine does not read files' });
  }

  digestNow(algorithms: readonly DigestAlgorithm[], bytes: Uint8Array): BodyDigests {
    return digestNow(algorithms, bytes);
  }

  async #roots(job: KernelJob, signal: AbortSignal | undefined): Promise<Buffer[]> {
    return splitRoots((await this.run(job, signal)) as Uint8Array);
  }
}
