/** The engine for this machine: native threads where the addon is and can seal, else worker threads with the portable kernels. */
import { nativeJobs } from '../../base/nativejobs.ts';
import type { EngineOptions } from './base.ts';
import { NativeEngine } from './native.ts';
import type { StripeEngine } from './types.ts';
import { WorkerEngine } from './workers.ts';

export function createStripeEngine(options: EngineOptions): StripeEngine {
  const jobs = nativeJobs();
  return jobs?.addon.canSeal() ? new NativeEngine(jobs, options) : new WorkerEngine(options);
}
