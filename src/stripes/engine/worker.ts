/**
 * The thread side of workers.ts: runs kernels and keeps the state of the digests that are pinned to this thread. One request
 * is answered by one reply, in order. An exception becomes a reply with an error code; it never ends the thread.
 */
import { parentPort } from 'node:worker_threads';
import { defined } from '../../base/assert.ts';
import { blake3 } from '../../coding/blake3.ts';
import { type BodyDigest, createBodyDigest } from '../../coding/digest.ts';
import { toPlainError } from './errors.ts';
import { runKernel } from './kernels.ts';
import {
  END_OF_WORK,
  type WorkerJob,
  type WorkerReply,
  type WorkerRequest,
  type WorkerResult,
} from './messages.ts';

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
  port.on('message', (message: WorkerRequest | typeof END_OF_WORK) => {
    if (message === END_OF_WORK) {
      port.close();
      return;
    }
    const { id, job } = message;
    let reply: WorkerReply;
    try {
      reply = { id, result: runJob(job) };
    } catch (thrown) {
      reply = { id, error: toPlainError(thrown) };
    }
    port.postMessage(reply);
  });
}
