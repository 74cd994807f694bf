/** The native engine beside the one that is written in TypeScript: the same fragments and roots, at random geometries and lengths. */
import { describe, expect, test } from 'vitest';
import { nativeJobs } from '../../../src/base/nativejobs.ts';
import { InlineEngine } from '../../../src/stripes/engine/inline.ts';
import { NativeEngine } from '../../../src/stripes/engine/native.ts';
import type { StripeEngine } from '../../../src/stripes/engine/types.ts';
import type { Profile, SealRun } from '../../../src/stripes/types.ts';
import { patternBytes } from '../../conformance/codec.ts';
import { Prng } from '../../simulation/prng.ts';

const jobs = nativeJobs();
const CHUNK = 16_384;
const ROUNDS = 120;
const bufferCounts = { write: 1, read: 1, rescue: 1, repair: 1 };

function randomProfile(prng: Prng, round: number): Profile {
  const fixed = [
    [1, 0],
    [1, 1],
    [1, 254],
    [254, 1],
    [128, 127],
    [255, 0],
  ] as const;
  const [k, m] = fixed[round] ?? [1 + prng.below(24), prng.below(7)];
  return { k, m, codecId: 1 };
}

/** Some streams one behind the other, as small bodies that share a stripe, or part of a large one. */
function randomRuns(prng: Prng, round: number): SealRun[] {
  const runs: SealRun[] = [];
  const count = prng.below(3) === 0 ? 1 : 1 + prng.below(20);
  let at = 0;
  for (let i = 0; i < count; i++) {
    const final = prng.below(3) > 0;
    const lengths = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, prng.below(5 * CHUNK)];
    const wanted = lengths[(round + i) % lengths.length]!;
    const plaintextLengthBytes = final ? wanted : Math.ceil(wanted / CHUNK) * CHUNK;
    if (!final && plaintextLengthBytes === 0) continue;
    runs.push({
      ...{ plaintextOffsetBytes: at, plaintextLengthBytes, final },
      ...{ aeadKey: prng.bytes(32), baseNonce: prng.bytes(12), firstChunkIndex: prng.below(2 ** 31) },
    });
    at += plaintextLengthBytes;
  }
  return runs;
}

async function sealed(engine: StripeEngine, runs: readonly SealRun[], profile: Profile) {
  const buffer = await engine.acquireWrite();
  try {
    const last = runs.at(-1)!;
    buffer.plaintext.set(patternBytes(last.plaintextOffsetBytes + last.plaintextLengthBytes, 4));
    const stripe = await engine.seal(buffer, runs, profile);
    const bytes = stripe.fragmentLengthBytes * (profile.k + profile.m);
    return { stripe, fragments: Buffer.from(buffer.fragments.subarray(0, bytes)) };
  } finally {
    buffer.release();
  }
}

describe.skipIf(!jobs?.addon.canSeal())('the native engine beside the portable one', () => {
  test('seals, codes and hashes the same, at any geometry', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const prng = new Prng(5000 + round);
      const profile = randomProfile(prng, round);
      const runs = randomRuns(prng, round);
      if (runs.length === 0) continue;
      const native = new NativeEngine(jobs!, { profile, bufferCounts });
      const portable = new InlineEngine({ profile, bufferCounts });
      const [a, b] = [await sealed(native, runs, profile), await sealed(portable, runs, profile)];
      const what = `round ${round}, ${profile.k} + ${profile.m}, ${runs.length} runs`;
      expect(a.stripe, what).toEqual(b.stripe);
      expect(Buffer.compare(a.fragments, b.fragments), what).toBe(0);
      await Promise.all([native.close(), portable.close()]);
    }
  });
});
