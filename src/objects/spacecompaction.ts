/**
 * Space of deleted small objects (design/commits.md, "Content records, shared stripes and space"): which stripes are less than half
 * alive, and how many of them fill a new one. relocate.ts moves what lives in them.
 */
import { CHUNK_PLAINTEXT_BYTES, CHUNK_SEALED_BYTES } from '../crypto/chunked.ts';
import { decodeCounter } from '../metadata/counter.ts';
import { keys, prefixes } from '../metadata/keys.ts';
import { pages } from '../metadata/pages.ts';
import { decodeRecord, type StripeRecord } from '../metadata/records.ts';
import type { ObjectsContext } from './context.ts';
import { type Living, livingIn, moveContents } from './relocate.ts';
import type { UnsettledStripes } from './stripehold.ts';

/** Below this share of live bytes a stripe is worth copying. */
const LIVE_SHARE_MIN = 0.5;
/** Contents that one new stripe takes: each is a record in one commit. */
const CONTENTS_PER_STRIPE_MAX = 512;
const COUNTERS_PER_READ = 1000;

export interface CompactionBudget {
  /** Live bytes that may be copied. */
  readonly bytesMax: number;
}

export interface CompactionResult {
  /** Stripes whose live bytes were copied. */
  readonly compacted: number;
  readonly written: number;
  readonly copiedBytes: number;
  /** Stripe bytes that become free, the new stripes taken off. */
  readonly freedBytes: number;
}

interface Candidate {
  readonly stripeId: Buffer;
  readonly record: StripeRecord;
  readonly liveBytes: number;
}

export async function compactSharedStripes(
  context: ObjectsContext,
  unsettled: UnsettledStripes,
  budget: CompactionBudget,
): Promise<CompactionResult> {
  const payloadBytesMax =
    (context.stripes.stripePlaintextBytesMax / CHUNK_PLAINTEXT_BYTES) * CHUNK_SEALED_BYTES;
  const total = { compacted: 0, written: 0, copiedBytes: 0, freedBytes: 0 };
  let batch: Candidate[] = [];
  let living: Living[] = [];
  let batchBytes = 0;
  const flush = async () => {
    if (living.length === 0) return;
    const written = await moveContents(context, unsettled, living);
    if (written !== undefined) {
      total.compacted += batch.length;
      total.written += 1;
      total.copiedBytes += batchBytes;
      const before = batch.reduce((sum, { record }) => sum + record.stripeLengthBytes, 0);
      total.freedBytes += before - written.record.stripeLengthBytes;
    }
    [batch, living, batchBytes] = [[], [], 0];
  };
  for await (const candidate of candidates(context, unsettled)) {
    if (total.copiedBytes + batchBytes + candidate.liveBytes > budget.bytesMax) break;
    const found = await livingIn(context, candidate.stripeId, candidate.record);
    const isFull =
      batchBytes + candidate.liveBytes > payloadBytesMax ||
      living.length + found.length > CONTENTS_PER_STRIPE_MAX;
    if (isFull) await flush();
    if (found.length > CONTENTS_PER_STRIPE_MAX) continue;
    batch.push(candidate);
    living.push(...found);
    batchBytes += candidate.liveBytes;
  }
  await flush();
  return total;
}

/** Stripes with something alive in them, but too little. */
async function* candidates(
  context: ObjectsContext,
  unsettled: UnsettledStripes,
): AsyncGenerator<Candidate, void, void> {
  for await (const page of pages(context.engine, prefixes.live(), COUNTERS_PER_READ)) {
    const alive = page
      .map(([key, value]) => ({ stripeId: Buffer.from(key.subarray(1)), liveBytes: decodeCounter(value) }))
      .filter(({ stripeId, liveBytes }) => liveBytes > 0 && !unsettled.has(stripeId));
    const records = await context.engine.getMany(alive.map(({ stripeId }) => keys.stripe(stripeId)));
    for (const [i, { stripeId, liveBytes }] of alive.entries()) {
      const bytes = records[i];
      if (bytes === undefined) continue;
      const record = decodeRecord<StripeRecord>(bytes);
      if (liveBytes < record.stripeLengthBytes * LIVE_SHARE_MIN) yield { stripeId, record, liveBytes };
    }
  }
}
