/** The engine for this machine: native threads where the addon is, can seal and has the codec, else worker threads with the portable kernels. */
import { nativeJobs } from '../../base/nativejobs.ts';
import { CAUCHY_CODEC_ID } from '../../coding/cauchy.ts';
import type { EngineOptions } from './base.ts';
import { NativeEngine } from './native.ts';
import type { StripeEngine } from './types.ts';
import { WorkerEngine } from './workers.ts';

export function createStripeEngine(options: EngineOptions): StripeEngine {
  const jobs = options.profile.codecId === CAUCHY_CODEC_ID ? nativeJobs() : undefined;
  return jobs?.addon.canSeal() ? new NativeEngine(jobs, options) : new WorkerEngine(options);
}
