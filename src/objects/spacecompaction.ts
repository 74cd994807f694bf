/**
 * Space of deleted small objects (design/commits.md, "Content records, shared stripes and space"): what still lives in stripes that
 * are less than half alive is copied, as ciphertext, into a new stripe; content records follow by compare-and-set; the old
 * stripes become tombs whose fragments go an hour later, so that a read under way still finds them. No key is needed.
 *
 * A content that is deleted or moved between copy and commit is left out; its bytes in the new stripe are dead from the start.
 */
import { defined } from '../base/assert.ts';
import { hasCode } from '../base/errors.ts';
import { HOUR_MS } from '../base/units.ts';
import { CHUNK_PLAINTEXT_BYTES, CHUNK_SEALED_BYTES } from '../crypto/chunked.ts';
import { decodeCounter } from '../metadata/counter.ts';
import { keys, prefixes, prefixRange } from '../metadata/keys.ts';
import {
  type ContentRecord,
  decodeExtents,
  decodeRecord,
  type Extent,
  encodeExtents,
  encodeRecord,
  type StripeRecord,
} from '../metadata/records.ts';
import type { PayloadSource, WrittenStripe } from '../stripes/types.ts';
import { Change } from './change.ts';
import type { ObjectsContext } from './context.ts';
import type { ReleasePlan } from './release.ts';
import type { UnsettledStripes } from './stripehold.ts';

/** Below this share of live bytes a stripe is worth copying. */
const LIVE_SHARE_MIN = 0.5;
const OLD_FRAGMENTS_KEPT_MS = HOUR_MS;
/** Contents that one new stripe takes: each is a record in one commit. */
const CONTENTS_PER_STRIPE_MAX = 512;
const COUNTERS_PER_READ = 1000;
const ATTEMPTS_MAX = 20;

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

/** One content's extent, found through the stripe's ref entries. */
interface Living {
  readonly contentId: Buffer;
  readonly extent: Extent;
  readonly source: PayloadSource;
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
    const found = await livingIn(context, candidate);
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
  const cursor = context.engine.cursor(prefixRange(prefixes.live()));
  try {
    for (
      let page = await cursor.next(COUNTERS_PER_READ);
      page.length > 0;
      page = await cursor.next(COUNTERS_PER_READ)
    ) {
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
  } finally {
    await cursor.close();
  }
}

async function livingIn(context: ObjectsContext, { stripeId, record }: Candidate): Promise<Living[]> {
  const found: Living[] = [];
  const cursor = context.engine.cursor(prefixRange(prefixes.refs(stripeId)));
  try {
    for (
      let page = await cursor.next(COUNTERS_PER_READ);
      page.length > 0;
      page = await cursor.next(COUNTERS_PER_READ)
    ) {
      for (const [key, contentId] of page) {
        const offsetBytes = key.readUInt32BE(key.length - 4);
        const bytes = await context.engine.get(keys.content(contentId, 0));
        if (bytes === undefined) continue;
        const extent = extentAt(decodeRecord<ContentRecord>(bytes), stripeId, offsetBytes);
        if (extent === undefined) continue;
        const source = { stripeId, record, offsetBytes, lengthBytes: extent.lengthBytes };
        found.push({ contentId: Buffer.from(contentId), extent, source });
      }
    }
  } finally {
    await cursor.close();
  }
  return found;
}

/** Shared stripes hold small contents, whose extents are on the first page. */
function extentAt(record: ContentRecord, stripeId: Buffer, offsetBytes: number): Extent | undefined {
  return decodeExtents(record.extents).find(
    (extent) => extent.offsetBytes === offsetBytes && extent.stripeId.equals(stripeId),
  );
}

/** Undefined when nothing was left to move, or the bytes cannot be read at the moment: healing comes first then. */
async function moveContents(
  context: ObjectsContext,
  unsettled: UnsettledStripes,
  living: readonly Living[],
): Promise<WrittenStripe | undefined> {
  const unpin = living.map(({ source }) => context.stripes.pin(source.stripeId));
  let written: WrittenStripe;
  try {
    written = await context.stripes.copyPayload(living.map(({ source }) => source));
  } catch (error) {
    if (hasCode(error, 'DataUnavailable')) return undefined;
    throw error;
  } finally {
    for (const end of unpin) end();
  }
  unsettled.add(written.stripeId);
  let moved = 0;
  try {
    moved = await commitMove(context, written, living);
  } finally {
    unsettled.delete(written.stripeId);
    if (moved > 0) context.stripes.settle(written.stripeId);
    else context.stripes.abandon(written);
  }
  return moved > 0 ? written : undefined;
}

/** Returns how many contents follow. */
async function commitMove(
  context: ObjectsContext,
  written: WrittenStripe,
  living: readonly Living[],
): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const change = new Change();
    const release = context.space.plan(change);
    const moved = await planMove(context, change, release, written, living);
    if (moved === 0) return 0;
    change.expect(keys.stripe(written.stripeId), undefined);
    change.put(keys.stripe(written.stripeId), encodeRecord(written.record));
    await release.finish(context.clock.nowMs() + OLD_FRAGMENTS_KEPT_MS);
    try {
      const emptied = await change.commit(context.committer);
      if (emptied.length > 0) await context.space.bury(emptied, OLD_FRAGMENTS_KEPT_MS);
      return moved;
    } catch (error) {
      if (!hasCode(error, 'CommitConflict') || attempt >= ATTEMPTS_MAX) throw error;
    }
  }
}

async function planMove(
  context: ObjectsContext,
  change: Change,
  release: ReleasePlan,
  written: WrittenStripe,
  living: readonly Living[],
): Promise<number> {
  const changed = new Map<string, { key: Buffer; bytes: Buffer; record: ContentRecord }>();
  let moved = 0;
  for (const [i, { contentId, extent }] of living.entries()) {
    const key = keys.content(contentId, 0);
    const id = contentId.toString('latin1');
    let content = changed.get(id);
    if (content === undefined) {
      const bytes = await context.committer.peek(key);
      if (bytes === undefined) continue;
      content = { key, bytes, record: decodeRecord<ContentRecord>(bytes) };
    }
    const { offsetBytes, lengthBytes } = defined(written.ranges[i], 'range of a source');
    const extents = decodeExtents(content.record.extents);
    const at = extents.findIndex(
      (known) => known.offsetBytes === extent.offsetBytes && known.stripeId.equals(extent.stripeId),
    );
    if (at < 0) continue;
    extents[at] = { stripeId: written.stripeId, offsetBytes, lengthBytes };
    changed.set(id, { ...content, record: { ...content.record, extents: encodeExtents(extents) } });
    release.extents([extent]);
    change.put(keys.ref(written.stripeId, offsetBytes), contentId);
    change.addLive(written.stripeId, lengthBytes);
    moved += 1;
  }
  for (const { key, bytes, record } of changed.values()) {
    change.expect(key, bytes);
    change.put(key, encodeRecord(record));
  }
  return moved;
}
