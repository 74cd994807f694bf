/** What a thread (thread.ts) and its worker (worker.ts) say to each other. */
import type { BodyDigests, DigestAlgorithm } from '../../coding/digests.ts';
import type { PlainError } from './errors.ts';
import type { KernelJob } from './kernels.ts';

/** Digest states are made by the first update and freed by `finish` or `abandon`. */
export type DigestJob =
  | {
      readonly kind: 'digestUpdate';
      readonly digester: number;
      readonly algorithms: readonly DigestAlgorithm[];
      readonly pieces: readonly Uint8Array[];
    }
  | { readonly kind: 'digestFinish'; readonly digester: number }
  | { readonly kind: 'digestAbandon'; readonly digester: number };

export type WorkerJob = KernelJob | DigestJob;

export interface WorkerRequest {
  readonly id: number;
  readonly job: WorkerJob;
}

export type WorkerResult = Uint8Array | number | BodyDigests | undefined;

export type WorkerReply =
  | { readonly id: number; readonly result: WorkerResult }
  | { readonly id: number; readonly error: PlainError };

/** Instead of a request: the worker ends when it has answered what came before. */
export const END_OF_WORK = 'end';
