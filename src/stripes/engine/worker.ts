/**
 * The thread side of workers.ts: runs kernels and keeps the state of the digests that are pinned to this thread. One request
 * is answered by one reply, in order. An exception becomes a reply with an error code; it never ends the thread.
 */
import { parentPort } from 'node:worker_threads';
import { defined } from '../../base/assert.ts';
import { blake3 } from '../../coding/blake3.ts';
import { type BodyDigest, createBodyDigest } from '../../coding/digest.ts';
import type { BodyDigests, DigestAlgorithm } from '../../coding/digests.ts';
import { type PlainError, toPlainError } from './errors.ts';
import { type KernelJob, runKernel } from './kernels.ts';

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

const digests = new Map<number, BodyDigest>();

function runJob(job: WorkerJob): WorkerResult {
  switch (job.kind) {
    case 'digestUpdate': {
      let digest = digests.get(job.digester);
      if (!digest) digests.set(job.digester, (digest = createBodyDigest(job.algorithms)));
      for (const piece of job.pieces) digest.update(piece);
      return undefined;
    }
    case 'digestFinish': {
      const digest = defined(digests.get(job.digester), 'the digest to finish');
      digests.delete(job.digester);
      return digest.digest();
    }
    case 'digestAbandon':
      digests.delete(job.digester);
      return undefined;
    default:
      return runKernel(job);
  }
}

if (parentPort) {
  const port = parentPort;
  // The first long hash makes the module behind it (10 ms and more): here, so that no stripe waits for it.
  blake3(new Uint8Array(64 * 1024));
  port.on('message', ({ id, job }: WorkerRequest) => {
    let reply: WorkerReply;
    try {
      reply = { id, result: runJob(job) };
    } catch (thrown) {
      reply = { id, error: toPlainError(thrown) };
    }
    port.postMessage(reply);
  });
}
