/** Changes of a stripe record that keep the repair queue, an index over these records, in step with them. */
import type { CommitOperation } from '../commitlog/commit.ts';
import { keys } from '../metadata/keys.ts';
import { encodeRecord, type QueueRecord, RECORD_FORMAT, type StripeRecord } from '../metadata/records.ts';
import { goodCount, isGood, queueKey } from '../stripes/condition.ts';

export function badIndices(record: StripeRecord): number[] {
  return record.nodes.map((_, index) => index).filter((index) => !isGood(record, index));
}

/** The record with some fragments' bits changed and `damagedMs` kept in step. */
export function withGood(
  record: StripeRecord,
  changes: ReadonlyMap<number, boolean>,
  nowMs: number,
): StripeRecord {
  const good = Buffer.from(record.good);
  for (const [index, value] of changes) {
    const bit = 1 << (index & 7);
    good[index >> 3] = value ? (good[index >> 3] ?? 0) | bit : (good[index >> 3] ?? 0) & ~bit;
  }
  const { damagedMs, ...rest } = { ...record, good };
  const complete = goodCount(rest) === record.k + record.m;
  return complete ? rest : { ...rest, damagedMs: damagedMs ?? nowMs };
}

/** The operations that replace a stripe's record and keep the queue in step with it. */
export function replaceStripe(
  stripeId: Uint8Array,
  before: StripeRecord,
  after: StripeRecord,
  reason: string,
): CommitOperation[] {
  const operations: CommitOperation[] = [
    { type: 'put', key: keys.stripe(stripeId), value: encodeRecord(after) },
  ];
  const from = queueKey(stripeId, before);
  const to = queueKey(stripeId, after);
  const moved = from === undefined || to === undefined || !from.equals(to);
  if (from !== undefined && moved) operations.push({ type: 'del', key: from });
  if (to !== undefined && moved) {
    const entry: QueueRecord = { v: RECORD_FORMAT, reason };
    operations.push({ type: 'put', key: to, value: encodeRecord(entry) });
  }
  return operations;
}
