import { describe, expect, test, vi } from 'vitest';
import { nativeJobs } from '../../../src/base/nativejobs.ts';
import { NativeEngine } from '../../../src/stripes/engine/native.ts';
import { patternBytes } from '../../conformance/codec.ts';
import { engineConformance, sharedCopy } from '../../conformance/engine.ts';

const profile = { k: 4, m: 2, codecId: 1 };
const jobs = nativeJobs();

describe.skipIf(jobs === undefined)('native engine', () => {
  engineConformance('the native engine', () => new NativeEngine(jobs!, { profile }), { sharedOnly: false });

  test('posts nothing for a body of which no digest is asked for', async () => {
    const engine = new NativeEngine(jobs!, { profile });
    const posted = vi.spyOn(jobs!, 'run');
    for (const [algorithms, isPosted] of [
      [[], false],
      [['md5'], true],
    ] as const) {
      const digester = engine.createDigester(algorithms);
      await digester.update(sharedCopy(patternBytes(1_000_000, 1)));
      await digester.digest();
      expect(posted.mock.calls.length > 0).toBe(isPosted);
    }
    vi.restoreAllMocks();
    await engine.close();
  });
});
