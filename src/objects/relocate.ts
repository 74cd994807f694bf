/**
 * Moves what lives in stripes to a new stripe, as ciphertext: for space (spacecompaction.ts), and for width when nodes return or are
 * gone for good. Content records follow by compare-and-set; the old stripes become tombs whose fragments go an hour later, so that
 * a read under way still finds them. No key is needed.
 *
 * A content that is deleted or moved between copy and commit is left out; its bytes in the new stripe are dead from the start.
 */
import { defined } from '../base/assert.ts';
import { mapKey } from '../base/bytes.ts';
import { hasCode } from '../base/errors.ts';
import { HOUR_MS } from '../base/units.ts';
import { keys, prefixes } from '../metadata/keys.ts';
import { pages } from '../metadata/pages.ts';
import {
  type ContentPage,
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
import { pageCount } from './contents.ts';
import type { ObjectsContext } from './context.ts';
import type { ReleasePlan } from './release.ts';
import type { UnsettledStripes } from './stripehold.ts';

const OLD_FRAGMENTS_KEPT_MS = HOUR_MS;
const REFS_PER_READ = 1000;
const ATTEMPTS_MAX = 20;
/** Contents that move in one commit. */
const EXTENTS_PER_COMMIT_MAX = 512;

/** One content's extent, found through the stripe's ref entries. */
export interface Living {
  readonly contentId: Buffer;
  /** Page of the content that the extent is on. */
  readonly page: number;
  readonly extent: Extent;
  readonly source: PayloadSource;
}

/** Extents that live in a stripe, in the order of their offsets. */
export async function livingIn(
  context: ObjectsContext,
  stripeId: Buffer,
  record: StripeRecord,
): Promise<Living[]> {
  const found: Living[] = [];
  for await (const page of pages(context.engine, prefixes.refs(stripeId), REFS_PER_READ)) {
    for (const [key, contentId] of page) {
      const offsetBytes = key.readUInt32BE(key.length - 4);
      const place = await findExtent(context, contentId, stripeId, offsetBytes);
      if (place === undefined) continue;
      const source = { stripeId, record, offsetBytes, lengthBytes: place.extent.lengthBytes };
      found.push({ contentId: Buffer.from(contentId), ...place, source });
    }
  }
  return found;
}

async function findExtent(
  context: ObjectsContext,
  contentId: Buffer,
  stripeId: Buffer,
  offsetBytes: number,
): Promise<{ readonly page: number; readonly extent: Extent } | undefined> {
  let pages = 1;
  for (let page = 0; page < pages; page++) {
    const bytes = await context.engine.get(keys.content(contentId, page));
    if (bytes === undefined) return undefined;
    const record = decodeRecord<ContentRecord | ContentPage>(bytes);
    if ('extentCount' in record) pages = pageCount(record.extentCount);
    const extent = decodeExtents(record.extents).find(
      (known) => known.offsetBytes === offsetBytes && known.stripeId.equals(stripeId),
    );
    if (extent !== undefined) return { page, extent };
  }
  return undefined;
}

/** Undefined when nothing was left to move. */
export async function moveContents(
  context: ObjectsContext,
  unsettled: UnsettledStripes,
  living: readonly Living[],
): Promise<WrittenStripe | undefined> {
  const unpin = living.map(({ source }) => context.stripes.pin(source.stripeId));
  let written: WrittenStripe;
  try {
    written = await context.stripes.copyPayload(living.map(({ source }) => source));
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

interface ChangedPage {
  readonly key: Buffer;
  readonly bytes: Buffer;
  readonly record: ContentRecord | ContentPage;
  readonly extents: Extent[];
}

async function planMove(
  context: ObjectsContext,
  change: Change,
  release: ReleasePlan,
  written: WrittenStripe,
  living: readonly Living[],
): Promise<number> {
  const pages = new Map<string, ChangedPage>();
  let moved = 0;
  for (const [i, { contentId, page, extent }] of living.entries()) {
    const content = await changedPage(context, pages, keys.content(contentId, page));
    if (content === undefined) continue;
    const at = content.extents.findIndex(
      (known) => known.offsetBytes === extent.offsetBytes && known.stripeId.equals(extent.stripeId),
    );
    if (at < 0) continue;
    const { offsetBytes, lengthBytes } = defined(written.ranges[i], 'range of a source');
    content.extents[at] = { stripeId: written.stripeId, offsetBytes, lengthBytes };
    release.extents([extent]);
    change.put(keys.ref(written.stripeId, offsetBytes), contentId);
    change.addLive(written.stripeId, lengthBytes);
    moved += 1;
  }
  for (const { key, bytes, record, extents } of pages.values()) {
    change.expect(key, bytes);
    change.put(key, encodeRecord({ ...record, extents: encodeExtents(extents) }));
  }
  return moved;
}

async function changedPage(
  context: ObjectsContext,
  pages: Map<string, ChangedPage>,
  key: Buffer,
): Promise<ChangedPage | undefined> {
  const known = pages.get(mapKey(key));
  if (known !== undefined) return known;
  const bytes = await context.committer.peek(key);
  if (bytes === undefined) return undefined;
  const record = decodeRecord<ContentRecord | ContentPage>(bytes);
  const found = { key, bytes, record, extents: decodeExtents(record.extents) };
  pages.set(mapKey(key), found);
  return found;
}

/** Moves what lives in one stripe to one of the width that is written now. False when nothing (more) lives in it. */
export async function relocateStripe(
  context: ObjectsContext,
  unsettled: UnsettledStripes,
  stripeId: Buffer,
): Promise<boolean> {
  if (unsettled.has(stripeId)) return false;
  const bytes = await context.engine.get(keys.stripe(stripeId));
  if (bytes === undefined) return false;
  const living = await livingIn(context, stripeId, decodeRecord<StripeRecord>(bytes));
  let moved = false;
  for (let at = 0; at < living.length; at += EXTENTS_PER_COMMIT_MAX) {
    const some = living.slice(at, at + EXTENTS_PER_COMMIT_MAX);
    moved = (await moveContents(context, unsettled, some)) !== undefined || moved;
  }
  return moved;
}
