/** What is in each bucket, from the counters that every commit keeps: nothing is walked but the buckets themselves. */
import { decodeCounter } from '../metadata/counter.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import type { Buckets } from './buckets.ts';
import { bucketBytesKey, bucketObjectsKey } from './counters.ts';
import type { BucketInfo } from './types.ts';

export interface BucketUsage extends BucketInfo {
  readonly objects: number;
  /** Of plaintext. */
  readonly bytes: number;
}

/** Two counters each. */
const BUCKETS_PER_READ = 500;

/** By name. */
export async function bucketUsage(engine: MetadataEngine, buckets: Buckets): Promise<readonly BucketUsage[]> {
  const records = await buckets.records();
  const usage: BucketUsage[] = [];
  for (let at = 0; at < records.length; at += BUCKETS_PER_READ) {
    const step = records.slice(at, at + BUCKETS_PER_READ);
    const counterKeys = step.flatMap(({ bucketId }) => [
      bucketObjectsKey(bucketId),
      bucketBytesKey(bucketId),
    ]);
    const counters = (await engine.getMany(counterKeys)).map((value) => decodeCounter(value));
    for (const [i, { info }] of step.entries()) {
      usage.push({ ...info, objects: counters[2 * i] ?? 0, bytes: counters[2 * i + 1] ?? 0 });
    }
  }
  return usage;
}
