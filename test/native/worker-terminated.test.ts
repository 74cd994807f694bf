/** A worker thread that is terminated while its native jobs run takes nothing away that they use. */
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { native } from '../../src/base/native.ts';
import { jobKinds, requireJobs } from './somejobs.ts';

const { addon, reason } = native();
const child = new URL('busychild.ts', import.meta.url);

async function busyWorker(): Promise<Worker> {
  const worker = new Worker(child, { workerData: ['wait'] });
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  return worker;
}

describe.skipIf(!addon)(`a worker with native jobs${addon ? '' : ` (skipped: ${reason})`}`, () => {
  test('is terminated at any time, and other threads go on', async () => {
    const jobs = requireJobs();
    for (const delayMs of [0, 1, 5, 20]) {
      const worker = await busyWorker();
      const ours = jobKinds['seal']!(jobs);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      await worker.terminate();
      expect(await ours).toBeGreaterThan(0);
    }
  });

  test('ends by itself when its jobs have', async () => {
    const worker = await busyWorker();
    expect(await new Promise((resolve) => worker.once('exit', resolve))).toBe(0);
  });
});
