import { describe } from 'vitest';
import { nativeJobs } from '../../../src/base/nativejobs.ts';
import { NativeEngine } from '../../../src/stripes/engine/native.ts';
import { engineConformance } from '../../conformance/engine.ts';

const profile = { k: 4, m: 2, codecId: 1 };
const jobs = nativeJobs();

describe.skipIf(jobs === undefined)('native engine', () => {
  engineConformance('the native engine', () => new NativeEngine(jobs!, { profile }));
});
