/**
 * Counts stripes by condition from their records and the present state of the nodes: what is known, not what a queue says. One
 * walk over the records costs about 2 µs a stripe; the result is kept a moment, longer when counting takes long.
 */
import type { Clock } from '../base/clock.ts';
import { answers, type Grid } from '../grid/types.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { prefixes } from '../metadata/keys.ts';
import { pages } from '../metadata/pages.ts';
import { decodeRecord, type StripeRecord } from '../metadata/records.ts';
import { isGood } from '../stripes/condition.ts';

const RECORDS_PER_PAGE = 1000;
const KEPT_MS_MIN = 50;
/** A walk that took long is repeated less often: at most this share of the time is spent counting. */
const COUNTING_SHARE_MAX = 0.05;

export interface StripeSummary {
  readonly total: number;
  readonly complete: number;
  readonly incomplete: number;
  readonly atRisk: number;
  readonly unreadable: number;
  readonly narrow: number;
  readonly byMissing: readonly number[];
  /** Bytes that repair has to write to make everything complete. */
  readonly missingBytes: number;
  readonly countedMs: number;
}

export class StripeCounter {
  readonly #engine: MetadataEngine;
  readonly #grid: Grid;
  readonly #clock: Clock;
  readonly #width: number;
  #latest: Promise<StripeSummary> | undefined;
  #validUntilMs = 0;

  /** `width` is k + m of the profile: what is written with fewer fragments is narrow. */
  constructor(engine: MetadataEngine, grid: Grid, clock: Clock, width: number) {
    this.#engine = engine;
    this.#grid = grid;
    this.#clock = clock;
    this.#width = width;
  }

  /** `fresh`: not older than this call. */
  summary(options: { readonly fresh?: boolean } = {}): Promise<StripeSummary> {
    if (this.#latest === undefined || options.fresh || this.#clock.monotonicMs() >= this.#validUntilMs) {
      this.#validUntilMs = Number.POSITIVE_INFINITY;
      this.#latest = this.#count().finally(() => {
        if (this.#validUntilMs === Number.POSITIVE_INFINITY) this.#validUntilMs = 0;
      });
    }
    return this.#latest;
  }

  /** A node came or went: what was counted is no longer so. */
  invalidate(): void {
    this.#validUntilMs = 0;
  }

  async #count(): Promise<StripeSummary> {
    const startedMs = this.#clock.monotonicMs();
    const countedMs = this.#clock.nowMs();
    const answering = new Set(
      this.#grid
        .nodes()
        .filter(answers)
        .map((node) => node.id),
    );
    const byMissing: number[] = [];
    let [total, atRisk, unreadable, narrow, missingBytes] = [0, 0, 0, 0, 0];
    for await (const page of pages(this.#engine, prefixes.stripes(), RECORDS_PER_PAGE)) {
      for (const [, value] of page) {
        const record = decodeRecord<StripeRecord>(value);
        const missing = countMissing(record, answering);
        total += 1;
        byMissing[missing] = (byMissing[missing] ?? 0) + 1;
        missingBytes += missing * record.fragmentLengthBytes;
        if (missing > record.m) unreadable += 1;
        else if (missing > 0 && missing === record.m) atRisk += 1;
        if (record.k + record.m < this.#width) narrow += 1;
      }
    }
    const tookMs = this.#clock.monotonicMs() - startedMs;
    this.#validUntilMs = this.#clock.monotonicMs() + Math.max(KEPT_MS_MIN, tookMs / COUNTING_SHARE_MAX);
    const filled = Array.from(byMissing, (count) => count ?? 0);
    const complete = filled[0] ?? 0;
    const incomplete = total - complete;
    return {
      total,
      complete,
      incomplete,
      atRisk,
      unreadable,
      narrow,
      byMissing: filled,
      missingBytes,
      countedMs,
    };
  }
}

function countMissing(record: StripeRecord, answering: ReadonlySet<number>): number {
  let missing = 0;
  for (const [index, node] of record.nodes.entries()) {
    if (!isGood(record, index) || !answering.has(node)) missing += 1;
  }
  return missing;
}
