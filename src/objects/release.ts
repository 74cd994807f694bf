/**
 * Takes references away. A content whose last reference goes takes its pages and ref entries with it and its bytes off the live
 * counters of its stripes; a stripe that this empties becomes a tomb in the same commit when that can be foreseen, else in a
 * commit of its own (`buryEmptyStripes`). The deletion of fragments behind a tomb is healing's.
 */
import { mapKey } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { hasCode } from '../base/errors.ts';
import type { Committer } from '../commitlog/commit.ts';
import { decodeCounter } from '../metadata/counter.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys, prefixes } from '../metadata/keys.ts';
import { pages } from '../metadata/pages.ts';
import {
  type ContentRecord,
  decodeRecord,
  type Extent,
  encodeRecord,
  RECORD_FORMAT,
  type StripeRecord,
  type TombRecord,
} from '../metadata/records.ts';
import { queueKey } from '../stripes/condition.ts';
import { Change } from './change.ts';
import { extentsOf, pageCount, peekContent } from './contents.ts';
import type { UnsettledStripes } from './stripehold.ts';

/** A content with more extents than this is released in steps (garbage.ts), so that a delete stays a small commit. */
export const RELEASE_EXTENTS_MAX = 256;

const BURIALS_PER_COMMIT_MAX = 128;
const CONFLICT_RETRIES_MAX = 20;
const SCAN_PAGE = 1000;

export class SpaceKeeper {
  readonly #engine: MetadataEngine;
  readonly #committer: Committer;
  readonly #clock: Clock;
  readonly #unsettled: UnsettledStripes;

  constructor(engine: MetadataEngine, committer: Committer, clock: Clock, unsettled: UnsettledStripes) {
    this.#engine = engine;
    this.#committer = committer;
    this.#clock = clock;
    this.#unsettled = unsettled;
  }

  /** Collects releases for `change`; call `finish` before committing. */
  plan(change: Change): ReleasePlan {
    return new ReleasePlan(this.#committer, this.#unsettled, change, this.#clock.nowMs());
  }

  /**
   * Turns those of `stripeIds` that hold nothing live into tombs, whose fragments go after `keptMs` at the earliest. Returns
   * how many.
   */
  async bury(stripeIds: readonly Buffer[], keptMs = 0): Promise<number> {
    let buried = 0;
    for (let at = 0; at < stripeIds.length; at += BURIALS_PER_COMMIT_MAX) {
      buried += await this.#buryBatch(stripeIds.slice(at, at + BURIALS_PER_COMMIT_MAX), keptMs);
    }
    return buried;
  }

  async #buryBatch(stripeIds: readonly Buffer[], keptMs: number): Promise<number> {
    for (let attempt = 1; ; attempt++) {
      const change = new Change();
      let count = 0;
      for (const stripeId of stripeIds) {
        if (this.#unsettled.has(stripeId)) continue;
        const live = await this.#committer.peek(keys.live(stripeId));
        if (decodeCounter(live) !== 0) continue;
        const notBeforeMs = this.#clock.nowMs() + keptMs;
        if (await planBurial(this.#committer, change, stripeId, live, notBeforeMs)) count += 1;
      }
      if (count === 0) return 0;
      try {
        await change.commit(this.#committer);
        return count;
      } catch (error) {
        if (!hasCode(error, 'CommitConflict') || attempt >= CONFLICT_RETRIES_MAX) throw error;
      }
    }
  }

  /** Stripes without live bytes that are no tombs yet: a crash came between two commits. Walks all live counters. */
  async *findEmptyStripes(): AsyncGenerator<Buffer, void, void> {
    for await (const page of pages(this.#engine, prefixes.live(), SCAN_PAGE)) {
      for (const [key, value] of page) {
        const stripeId = Buffer.from(key.subarray(1));
        if (decodeCounter(value) === 0 && !this.#unsettled.has(stripeId)) yield stripeId;
      }
    }
  }

  /** The same, buried. Run at start and now and then. Returns how many stripes became tombs. */
  async buryEmptyStripes(): Promise<number> {
    let buried = 0;
    let batch: Buffer[] = [];
    for await (const stripeId of this.findEmptyStripes()) {
      batch.push(stripeId);
      if (batch.length < BURIALS_PER_COMMIT_MAX) continue;
      buried += await this.bury(batch);
      batch = [];
    }
    return buried + (await this.bury(batch));
  }
}

export class ReleasePlan {
  readonly #committer: Committer;
  readonly #unsettled: UnsettledStripes;
  readonly #change: Change;
  readonly #nowMs: number;
  readonly #freed = new Map<string, { readonly stripeId: Buffer; lengthBytes: number }>();
  #extents = 0;

  constructor(committer: Committer, unsettled: UnsettledStripes, change: Change, nowMs: number) {
    this.#committer = committer;
    this.#unsettled = unsettled;
    this.#change = change;
    this.#nowMs = nowMs;
  }

  /** Extents released so far: what makes the commit large. */
  get extentCount(): number {
    return this.#extents;
  }

  /**
   * Drops one reference. False, and nothing planned, when this is the last one and the content is too large for one commit.
   * @throws CommitConflict when the content is gone
   */
  async content(contentId: Buffer): Promise<boolean> {
    const { bytes, record } = await peekContent(this.#committer, contentId);
    if (record.references === 1 && record.extentCount > RELEASE_EXTENTS_MAX) return false;
    this.#change.expect(keys.content(contentId, 0), bytes);
    if (record.references > 1) {
      const left: ContentRecord = { ...record, references: record.references - 1 };
      this.#change.put(keys.content(contentId, 0), encodeRecord(left));
      return true;
    }
    const extents = await extentsOf((key) => this.#committer.peek(key), contentId, record);
    for (let page = 0; page < pageCount(record.extentCount); page++) {
      this.#change.delete(keys.content(contentId, page));
    }
    this.extents(extents);
    return true;
  }

  /** Ref entries and live bytes of extents whose content lets go of them. */
  extents(extents: readonly Extent[]): void {
    this.#extents += extents.length;
    for (const { stripeId, offsetBytes, lengthBytes } of extents) {
      this.#change.delete(keys.ref(stripeId, offsetBytes));
      const id = mapKey(stripeId);
      const freed = this.#freed.get(id);
      if (freed === undefined) this.#freed.set(id, { stripeId, lengthBytes });
      else freed.lengthBytes += lengthBytes;
    }
  }

  /** Live counters, or a tomb where nothing is left. `notBeforeMs`: when the fragments may go; now, if absent. */
  async finish(notBeforeMs = this.#nowMs): Promise<void> {
    for (const { stripeId, lengthBytes } of this.#freed.values()) {
      const live = await this.#committer.peek(keys.live(stripeId));
      const empties = decodeCounter(live) === lengthBytes && !this.#unsettled.has(stripeId);
      const buried =
        empties && (await planBurial(this.#committer, this.#change, stripeId, live, notBeforeMs));
      if (!buried) this.#change.addLive(stripeId, -lengthBytes);
    }
    this.#freed.clear();
  }
}

/**
 * Stripe record → tomb, on condition that record and live bytes stay as they are. False when there is no such stripe
 * (any more).
 */
async function planBurial(
  committer: Committer,
  change: Change,
  stripeId: Buffer,
  live: Buffer | undefined,
  notBeforeMs: number,
): Promise<boolean> {
  const key = keys.stripe(stripeId);
  const bytes = await committer.peek(key);
  if (bytes === undefined) return false;
  const record = decodeRecord<StripeRecord>(bytes);
  const tomb: TombRecord = {
    v: RECORD_FORMAT,
    k: record.k,
    m: record.m,
    fragments: record.nodes.map((node, index) => ({ index, node })),
    notBeforeMs,
  };
  change.expect(key, bytes);
  change.expect(keys.live(stripeId), live);
  change.delete(key);
  change.delete(keys.live(stripeId));
  const queued = queueKey(stripeId, record);
  if (queued !== undefined) change.delete(queued);
  change.put(keys.tomb(stripeId), encodeRecord(tomb));
  return true;
}
