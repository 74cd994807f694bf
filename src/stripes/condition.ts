/**
 * Pure questions about a stripe record: which fragments are known to be good, how many may still be lost, and where the stripe
 * stands in the repair queue. The queue is an index over these records, so it follows from them and nothing else.
 */
import { keys } from '../metadata/keys.ts';
import type { StripeRecord } from '../metadata/records.ts';

/** A bitmap with one set bit for each fragment: freshly written stripes are complete. */
export function allGood(count: number): Buffer {
  const bits = Buffer.alloc(Math.ceil(count / 8));
  for (let i = 0; i < count; i++) bits[i >> 3] = (bits[i >> 3] ?? 0) | (1 << (i & 7));
  return bits;
}

/** Whether the record knows this fragment to be good. */
export function isGood(record: Pick<StripeRecord, 'good'>, index: number): boolean {
  return ((record.good[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
}

export function goodCount(record: StripeRecord): number {
  let count = 0;
  for (let i = 0; i < record.k + record.m; i++) if (isGood(record, i)) count += 1;
  return count;
}

/** Fragments that may still be lost; negative when fewer than k are good. */
export function spareFragments(record: StripeRecord): number {
  return goodCount(record) - record.k;
}

/** Where the stripe stands in the repair queue (keys.ts, `q`); undefined when it is complete. */
export function queueKey(stripeId: Uint8Array, record: StripeRecord): Buffer | undefined {
  if (record.damagedMs === undefined) return undefined;
  return keys.queue(Math.max(0, spareFragments(record)), record.damagedMs, stripeId);
}
