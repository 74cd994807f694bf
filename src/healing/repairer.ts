/**
 * Empties the repair queue: fewest spare fragments first, then age, where nodes that do not answer count as lost. Each stripe is rebuilt
 * in one pass by the stripe layer, and its record changed by compare-and-set; a stripe that cannot be rebuilt now, for whatever
 * reason, stays queued and is tried again when the grid changes or after a while, and holds up no other. No decryption key
 * is needed.
 */
import { mapKey } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { HoldfastError, hasCode } from '../base/errors.ts';
import type { Committer } from '../commitlog/commit.ts';
import { answers, type Grid } from '../grid/types.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys, prefixes } from '../metadata/keys.ts';
import { pages } from '../metadata/pages.ts';
import { decodeRecord, type StripeRecord } from '../metadata/records.ts';
import { isGood, queueKey, spareFragments } from '../stripes/condition.ts';
import type { RebuildResult, StripeSurgery } from '../stripes/surgery.ts';
import type { ByteBudget } from './budget.ts';
import type { StripeClaims } from './claims.ts';
import { badIndices, replaceStripe, withGood } from './stripestate.ts';

const STRIPES_PER_STEP_MAX = 32;
const STRIPES_AT_ONCE_MAX = 2;
/** Of the queue's head, ordered anew while nodes are away. */
const STRIPES_ORDERED_MAX = 1024;
const QUEUE_PAGE = 256;
const RETRY_DELAY_MS = 30_000;
const ATTEMPTS_MAX = 3;
const DEFERRED_STRIPES_MAX = 100_000;

export interface RepairCounts {
  rebuiltFragments: number;
  rebuiltBytes: number;
}

export interface RepairerParts {
  readonly engine: MetadataEngine;
  readonly committer: Committer;
  readonly grid: Grid;
  readonly surgery: StripeSurgery;
  readonly clock: Clock;
  readonly budget: ByteBudget;
  readonly claims: StripeClaims;
  /** Told of failures that are not a matter of nodes and space. */
  readonly onFailure: (error: unknown) => void;
}

export class Repairer {
  readonly counts: RepairCounts = { rebuiltFragments: 0, rebuiltBytes: 0 };
  readonly #parts: RepairerParts;
  /** Stripes that could not be rebuilt, and when to try again. */
  readonly #deferred = new Map<string, number>();
  #active = 0;

  constructor(parts: RepairerParts) {
    this.#parts = parts;
  }

  /** Stripes that are being rebuilt now. */
  get activeCount(): number {
    return this.#active;
  }

  /** Whether the stripe could not be rebuilt when it was last tried, and waits. */
  isDeferred(stripeId: Uint8Array): boolean {
    return (this.#deferred.get(mapKey(stripeId)) ?? 0) > this.#parts.clock.monotonicMs();
  }

  /** The grid changed: what was impossible may be possible now. */
  retryAll(): void {
    this.#deferred.clear();
  }

  /** Works on the first stripes of the queue. Returns how many it completed; 0 when nothing can be done now. */
  async step(signal?: AbortSignal): Promise<number> {
    const stripeIds = await this.head();
    let completed = 0;
    let next = 0;
    const worker = async () => {
      for (let stripeId = stripeIds[next++]; stripeId !== undefined; stripeId = stripeIds[next++]) {
        signal?.throwIfAborted();
        if (await this.repair(stripeId, signal)) completed += 1;
      }
    };
    const workers = await Promise.allSettled(Array.from({ length: STRIPES_AT_ONCE_MAX }, worker));
    for (const outcome of workers) if (outcome.status === 'rejected') throw outcome.reason;
    return completed;
  }

  /** What a step works on, in order. */
  async head(): Promise<Buffer[]> {
    const isAnyAway = this.#parts.grid.nodes().some((node) => !this.#answers(node.id));
    const first = await this.#firstQueued(isAnyAway ? STRIPES_ORDERED_MAX : STRIPES_PER_STEP_MAX);
    if (!isAnyAway) return first;
    const records = await this.#parts.engine.getMany(first.map((stripeId) => keys.stripe(stripeId)));
    const ranked = first.map((stripeId, i) => {
      const bytes = records[i];
      const spare = bytes === undefined ? 0 : this.#effectiveSpare(decodeRecord<StripeRecord>(bytes));
      // What cannot be read at all now comes last: others can still be saved.
      return { stripeId, rank: spare < 0 ? Number.POSITIVE_INFINITY : spare };
    });
    ranked.sort((a, b) => (a.rank === b.rank ? 0 : a.rank - b.rank));
    return ranked.slice(0, STRIPES_PER_STEP_MAX).map(({ stripeId }) => stripeId);
  }

  async #firstQueued(count: number): Promise<Buffer[]> {
    const { engine } = this.#parts;
    const found: Buffer[] = [];
    for await (const page of pages(engine, prefixes.queue(), QUEUE_PAGE)) {
      const stripeIds = page.map(([key]) => Buffer.from(key.subarray(-16)));
      const records = await engine.getMany(stripeIds.map((stripeId) => keys.stripe(stripeId)));
      for (const [at, [key]] of page.entries()) {
        const stripeId = stripeIds[at] as Buffer;
        const bytes = records[at];
        if (!isEntryOf(key, stripeId, bytes)) await this.#dropStale(key, stripeId, bytes);
        else if (!this.isDeferred(stripeId)) found.push(stripeId);
        if (found.length >= count) return found;
      }
    }
    return found;
  }

  /** The queue is an index over records: an entry that its record does not ask for would be taken up for ever. */
  async #dropStale(entry: Buffer, stripeId: Buffer, expect: Buffer | undefined): Promise<void> {
    try {
      await this.#parts.committer.commit(
        [{ type: 'del', key: entry }],
        [{ key: keys.stripe(stripeId), expect }],
      );
    } catch (error) {
      // The record changed since it was read, and its entry with it.
      if (!hasCode(error, 'CommitConflict')) throw error;
    }
  }

  /** Brings one stripe back to full redundancy. False when it stays as it is. */
  async repair(stripeId: Buffer, signal?: AbortSignal): Promise<boolean> {
    const release = this.#parts.claims.tryClaim(stripeId);
    if (release === undefined) return false;
    this.#active += 1;
    try {
      const isComplete = await this.#repairUntilDecided(stripeId, signal);
      if (isComplete) this.#deferred.delete(mapKey(stripeId));
      else this.#defer(stripeId);
      return isComplete;
    } catch (error) {
      if (signal?.aborted || hasCode(error, 'ShuttingDown')) throw error;
      if (hasCode(error, 'CommitConflict')) return false;
      this.#defer(stripeId);
      if (!(error instanceof HoldfastError) || hasCode(error, 'InternalError')) this.#parts.onFailure(error);
      return false;
    } finally {
      this.#active -= 1;
      release();
    }
  }

  /** Again when the record changed meanwhile: then the new one counts. */
  async #repairUntilDecided(stripeId: Buffer, signal: AbortSignal | undefined): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#repairClaimed(stripeId, signal);
      } catch (error) {
        if (!hasCode(error, 'CommitConflict') || attempt >= ATTEMPTS_MAX) throw error;
      }
    }
  }

  async #repairClaimed(stripeId: Buffer, signal: AbortSignal | undefined): Promise<boolean> {
    const { committer, surgery, clock, budget } = this.#parts;
    const key = keys.stripe(stripeId);
    const bytes = await committer.peek(key);
    if (bytes === undefined) return true;
    const record = decodeRecord<StripeRecord>(bytes);
    if (queueKey(stripeId, record) === undefined) return true;
    const bad = badIndices(record);
    const bytesToMove = (record.k + bad.length) * record.fragmentLengthBytes;
    if (this.#effectiveSpare(record) <= 0) budget.charge(bytesToMove);
    else await budget.take(bytesToMove, signal);
    const rebuilt = await surgery.rebuild(stripeId, record, bad);
    const after = this.#afterRebuild(record, rebuilt, clock.nowMs());
    try {
      await committer.commit(replaceStripe(stripeId, record, after, 'repair'), [{ key, expect: bytes }]);
    } catch (error) {
      if (hasCode(error, 'CommitConflict')) await this.#discardStrays(stripeId, record, rebuilt);
      throw error;
    }
    const moved = rebuilt.placements.filter(({ index, node }) => record.nodes[index] !== node);
    await this.#discardReplaced(stripeId, record, moved);
    this.counts.rebuiltFragments += rebuilt.placements.length;
    this.counts.rebuiltBytes += rebuilt.placements.length * record.fragmentLengthBytes;
    return queueKey(stripeId, after) === undefined;
  }

  #afterRebuild(record: StripeRecord, { placements, foundBad }: RebuildResult, nowMs: number): StripeRecord {
    const changes = new Map<number, boolean>(placements.map(({ index }) => [index, true] as const));
    for (const index of foundBad) changes.set(index, false);
    const nodes = [...record.nodes];
    for (const { index, node } of placements) nodes[index] = node;
    return withGood({ ...record, nodes }, changes, nowMs);
  }

  /** The record changed while the stripe was rebuilt: what it does not name now would stay behind on the nodes. */
  async #discardStrays(stripeId: Buffer, before: StripeRecord, { placements }: RebuildResult): Promise<void> {
    const bytes = await this.#parts.committer.peek(keys.stripe(stripeId));
    const now = bytes === undefined ? undefined : decodeRecord<StripeRecord>(bytes);
    const strays = placements.filter(
      ({ index, node }) => node !== before.nodes[index] && node !== now?.nodes[index],
    );
    await this.#parts.surgery.deleteFragments(strays.map(({ index, node }) => ({ stripeId, index, node })));
  }

  /** Bad copies that still lie where a fragment used to be. Nodes that are away are swept when they return. */
  async #discardReplaced(
    stripeId: Buffer,
    before: StripeRecord,
    moved: readonly { readonly index: number }[],
  ): Promise<void> {
    const old = moved
      .map(({ index }) => ({ stripeId, index, node: before.nodes[index] as number }))
      .filter(({ node }) => this.#answers(node));
    if (old.length > 0) await this.#parts.surgery.deleteFragments(old);
  }

  #defer(stripeId: Buffer): void {
    if (this.#deferred.size >= DEFERRED_STRIPES_MAX) this.#deferred.clear();
    this.#deferred.set(mapKey(stripeId), this.#parts.clock.monotonicMs() + RETRY_DELAY_MS);
  }

  #answers(nodeId: number): boolean {
    return answers(this.#parts.grid.node(nodeId));
  }

  /** Spare fragments when nodes that do not answer are counted as lost. */
  #effectiveSpare(record: StripeRecord): number {
    const away = record.nodes.filter((node, index) => isGood(record, index) && !this.#answers(node)).length;
    return spareFragments(record) - away;
  }
}

function isEntryOf(entry: Buffer, stripeId: Buffer, bytes: Buffer | undefined): boolean {
  if (bytes === undefined) return false;
  return queueKey(stripeId, decodeRecord<StripeRecord>(bytes))?.equals(entry) === true;
}
