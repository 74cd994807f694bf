/**
 * The engine on the calling thread: for the simulator, whose order of events must follow from its seed alone, and for tests. Each
 * job runs to its end inside the call.
 */
import { HoldfastError } from '../../base/errors.ts';
import { createBodyDigest } from '../../coding/digest.ts';
import type { DigestAlgorithm } from '../../coding/digests.ts';
import type { BodyDigester } from '../types.ts';
import { BaseEngine } from './base.ts';
import { fromPlainError, toPlainError } from './errors.ts';
import { type KernelJob, runKernel } from './kernels.ts';

export class InlineEngine extends BaseEngine {
  #closed = false;

  protected override async run(job: KernelJob, signal?: AbortSignal): Promise<Uint8Array | number> {
    if (this.#closed) throw new HoldfastError('ShuttingDown');
    signal?.throwIfAborted();
    try {
      return runKernel(job);
    } catch (thrown) {
      throw fromPlainError(toPlainError(thrown), thrown);
    }
  }

  override createDigester(algorithms: readonly DigestAlgorithm[]): BodyDigester {
    const digest = createBodyDigest(algorithms);
    return {
      update: async (bytes) => digest.update(bytes),
      digest: async () => digest.digest(),
      abandon: () => undefined,
    };
  }

  override async close(): Promise<void> {
    this.#closed = true;
  }
}
