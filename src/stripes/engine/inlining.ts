/** Which jobs are too small for another thread: a hop there and back costs more than they do. */
import { CHUNK_SEALED_BYTES } from '../../crypto/chunked.ts';
import type { KernelJob } from './kernels.ts';

/** Bytes of input up to which a job runs on the calling thread: 18 µs for opening, 10 for hashing, 30 to 40 for the others. */
export const inlineBytesMax: Readonly<Record<KernelJob['kind'], number>> = {
  open: 2 * CHUNK_SEALED_BYTES,
  hash: 16 * 1024,
  seal: 8 * 1024,
  encode: 8 * 1024,
  reconstruct: 16 * 1024,
};

/** What the cost of a job depends on. */
export function inputBytes(job: KernelJob): number {
  switch (job.kind) {
    case 'seal':
      return job.runs.reduce((sum, run) => sum + run.plaintextLengthBytes, 0);
    case 'encode':
      return job.payloadLengthBytes;
    case 'reconstruct':
      return sumLengths(job.present) + sumLengths([...job.wanted.values()]);
    case 'hash':
      return sumLengths(job.views);
    case 'open':
      return job.ciphertext.length;
  }
}

function sumLengths(views: readonly (Uint8Array | undefined)[]): number {
  return views.reduce((sum, view) => sum + (view?.length ?? 0), 0);
}
