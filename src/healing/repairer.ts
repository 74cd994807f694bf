/**
 * Empties the repair queue: fewest spare fragments first, then age. Each stripe is rebuilt in one pass by the stripe layer, and its
 * record changed by compare-and-set; a stripe that cannot be rebuilt now (too few fragments or nodes answer) stays queued and is
 * tried again when the grid changes or after a while. It needs no decryption key.
 */

import { mapKey } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { hasCode } from '../base/errors.ts';
import type { Committer } from '../commitlog/commit.ts';
import type { Grid } from '../grid/types.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys, prefixes, prefixRange } from '../metadata/keys.ts';
import { decodeRecord, type StripeRecord } from '../metadata/records.ts';
import type { StripeSurgery } from '../stripes/surgery.ts';
import type { ByteBudget } from './budget.ts';
import { badIndices, queueKey, replaceStripe, spareFragments, withGood } from './stripestate.ts';

const STRIPES_PER_STEP_MAX = 32;
const STRIPES_AT_ONCE_MAX = 2;
const RETRY_DELAY_MS = 30_000;
const DEFERRED_STRIPES_MAX = 100_000;

export interface RepairCounts {
  rebuiltFragments: number;
  rebuiltBytes: number;
}

export class Repairer {
  readonly counts: RepairCounts = { rebuiltFragments: 0, rebuiltBytes: 0 };
  readonly #engine: MetadataEngine;
  readonly #committer: Committer;
  readonly #grid: Grid;
  readonly #surgery: StripeSurgery;
  readonly #clock: Clock;
  readonly #budget: ByteBudget;
  /** Stripes that could not be rebuilt, and when to try again. */
  readonly #deferred = new Map<string, number>();
  /** Stripes whose fragments are being moved: no orphan sweep touches them. */
  readonly #busy: Map<string, number>;

  constructor(parts: {
    readonly engine: MetadataEngine;
    readonly committer: Committer;
    readonly grid: Grid;
    readonly surgery: StripeSurgery;
    readonly clock: Clock;
    readonly budget: ByteBudget;
    readonly busy: Map<string, number>;
  }) {
    this.#engine = parts.engine;
    this.#committer = parts.committer;
    this.#grid = parts.grid;
    this.#surgery = parts.surgery;
    this.#clock = parts.clock;
    this.#budget = parts.budget;
    this.#busy = parts.busy;
  }

  get deferredCount(): number {
    return this.#deferred.size;
  }

  /** The grid changed: what was impossible may be possible now. */
  retryAll(): void {
    this.#deferred.clear();
  }

  /** Works on the first stripes of the queue. Returns how many it completed; 0 when nothing can be done now. */
  async step(signal?: AbortSignal): Promise<number> {
    const stripeIds = await this.#head();
    let completed = 0;
    let next = 0;
    const worker = async () => {
      for (let stripeId = stripeIds[next++]; stripeId !== undefined; stripeId = stripeIds[next++]) {
        signal?.throwIfAborted();
        if (await this.repair(stripeId, signal)) completed += 1;
      }
    };
    await Promise.all(Array.from({ length: STRIPES_AT_ONCE_MAX }, worker));
    return completed;
  }

  async #head(): Promise<Buffer[]> {
    const found: Buffer[] = [];
    const nowMs = this.#clock.monotonicMs();
    const cursor = this.#engine.cursor(prefixRange(prefixes.queue()));
    try {
      for (let page = await cursor.next(256); page.length > 0; page = await cursor.next(256)) {
        for (const [key] of page) {
          const stripeId = Buffer.from(key.subarray(-16));
          if ((this.#deferred.get(mapKey(stripeId)) ?? 0) <= nowMs) found.push(stripeId);
          if (found.length >= STRIPES_PER_STEP_MAX) return found;
        }
      }
    } finally {
      await cursor.close();
    }
    return found;
  }

  /** Brings one stripe back to full redundancy. False when it stays as it is. */
  async repair(stripeId: Buffer, signal?: AbortSignal): Promise<boolean> {
    const id = mapKey(stripeId);
    const key = keys.stripe(stripeId);
    const bytes = await this.#committer.peek(key);
    if (bytes === undefined) return false;
    const record = decodeRecord<StripeRecord>(bytes);
    if (queueKey(stripeId, record) === undefined) return true;
    const bad = badIndices(record);
    const bytesToMove = (record.k + bad.length) * record.fragmentLengthBytes;
    if (this.#effectiveSpare(record) <= 0) this.#budget.charge(bytesToMove);
    else await this.#budget.take(bytesToMove, signal);
    this.#busy.set(id, (this.#busy.get(id) ?? 0) + 1);
    try {
      const rebuilt = await this.#surgery.rebuild(stripeId, record, bad);
      const changes = new Map<number, boolean>(rebuilt.placements.map(({ index }) => [index, true] as const));
      for (const index of rebuilt.foundBad) changes.set(index, false);
      const nodes = [...record.nodes];
      for (const { index, node } of rebuilt.placements) nodes[index] = node;
      const after = withGood({ ...record, nodes }, changes, this.#clock.nowMs());
      await this.#committer.commit(replaceStripe(stripeId, record, after, 'repair'), [
        { key, expect: bytes },
      ]);
      this.counts.rebuiltFragments += rebuilt.placements.length;
      this.counts.rebuiltBytes += rebuilt.placements.length * record.fragmentLengthBytes;
      const complete = queueKey(stripeId, after) === undefined;
      if (!complete) this.#defer(id);
      return complete;
    } catch (error) {
      if (!hasCode(error, 'DataUnavailable', 'GridUnavailable', 'InsufficientStorage', 'CommitConflict'))
        throw error;
      if (!hasCode(error, 'CommitConflict')) this.#defer(id);
      return false;
    } finally {
      const holders = (this.#busy.get(id) ?? 1) - 1;
      if (holders === 0) this.#busy.delete(id);
      else this.#busy.set(id, holders);
    }
  }

  #defer(id: string): void {
    if (this.#deferred.size >= DEFERRED_STRIPES_MAX) this.#deferred.clear();
    this.#deferred.set(id, this.#clock.monotonicMs() + RETRY_DELAY_MS);
  }

  /** Spare fragments when nodes that do not answer are counted as lost. */
  #effectiveSpare(record: StripeRecord): number {
    const away = record.nodes.filter((node, index) => {
      const state = this.#grid.node(node)?.state;
      const answers = state === 'online' || state === 'suspect';
      return !answers && !badIndices(record).includes(index);
    }).length;
    return spareFragments(record) - away;
  }
}
