/**
 * Gives stripes the width that the grid can have: those that were written narrower while nodes were away, once all are back, and those
 * that lost a node for good and find no other to put its fragment on. What lives in them is copied, as ciphertext, into new
 * stripes by the object layer, which changes the records that point there by compare-and-set (design/commits.md, "Data
 * stripes"). While a node is away that may return, nothing is moved: it would be moved again.
 */
import { mapKey } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { HoldfastError, hasCode } from '../base/errors.ts';
import { MINUTE_MS } from '../base/units.ts';
import type { Grid } from '../grid/types.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { prefixes } from '../metadata/keys.ts';
import { pages } from '../metadata/pages.ts';
import { decodeRecord, type StripeRecord } from '../metadata/records.ts';
import type { ByteBudget } from './budget.ts';
import type { StripeClaims } from './claims.ts';

const RECORDS_PER_PAGE = 1000;
const STRIPES_PER_STEP_MAX = 32;
const RETRY_DELAY_MS = MINUTE_MS;
const DEFERRED_STRIPES_MAX = 100_000;

export interface TranscoderParts {
  readonly engine: MetadataEngine;
  readonly grid: Grid;
  readonly clock: Clock;
  readonly budget: ByteBudget;
  readonly claims: StripeClaims;
  readonly profile: { readonly k: number; readonly m: number };
  /** Moves what lives in a stripe to a new one. False when there was nothing to move (any more). */
  readonly relocate: (stripeId: Buffer) => Promise<boolean>;
  readonly onFailure: (error: unknown) => void;
}

export class Transcoder {
  readonly #parts: TranscoderParts;
  readonly #deferred = new Map<string, number>();
  #running = false;

  constructor(parts: TranscoderParts) {
    this.#parts = parts;
  }

  get running(): boolean {
    return this.#running;
  }

  /** The grid changed: what was impossible may be possible now. */
  retryAll(): void {
    this.#deferred.clear();
  }

  /** Fragments that a stripe can have; undefined while a node is away that may return, or is full or drained. */
  achievableWidth(): number | undefined {
    const { grid, profile } = this.#parts;
    const kept = grid.nodes().filter((node) => node.record.state !== 'lost');
    if (kept.some((node) => node.state !== 'online')) return undefined;
    const usable = grid.candidates(Buffer.alloc(0)).length;
    if (usable < kept.length || usable <= profile.m) return undefined;
    return Math.min(usable, profile.k + profile.m);
  }

  /** Moves some stripes. Returns how many; 0 when none is to be moved now. */
  async step(signal?: AbortSignal): Promise<number> {
    const width = this.achievableWidth();
    if (width === undefined) return 0;
    const chosen = await this.#choose(width);
    let moved = 0;
    this.#running = chosen.length > 0;
    try {
      for (const { stripeId, record } of chosen) {
        signal?.throwIfAborted();
        if (this.achievableWidth() !== width) break;
        if (await this.#move(stripeId, record, signal)) moved += 1;
      }
    } finally {
      this.#running = false;
    }
    return moved;
  }

  async #choose(width: number): Promise<{ stripeId: Buffer; record: StripeRecord }[]> {
    const chosen: { stripeId: Buffer; record: StripeRecord }[] = [];
    const nowMs = this.#parts.clock.monotonicMs();
    for await (const page of pages(this.#parts.engine, prefixes.stripes(), RECORDS_PER_PAGE)) {
      for (const [key, value] of page) {
        const record = decodeRecord<StripeRecord>(value);
        const stripeId = Buffer.from(key.subarray(1));
        if (!hasWrongWidth(record, width) || (this.#deferred.get(mapKey(stripeId)) ?? 0) > nowMs) continue;
        chosen.push({ stripeId, record });
        if (chosen.length >= STRIPES_PER_STEP_MAX) return chosen;
      }
    }
    return chosen;
  }

  async #move(stripeId: Buffer, record: StripeRecord, signal: AbortSignal | undefined): Promise<boolean> {
    const { claims, budget, relocate, onFailure } = this.#parts;
    await budget.take((2 * record.k + record.m) * record.fragmentLengthBytes, signal);
    const release = claims.tryClaim(stripeId);
    if (release === undefined) return false;
    try {
      if (await relocate(stripeId)) return true;
    } catch (error) {
      if (hasCode(error, 'ShuttingDown')) throw error;
      if (!(error instanceof HoldfastError)) onFailure(error);
    } finally {
      release();
    }
    if (this.#deferred.size >= DEFERRED_STRIPES_MAX) this.#deferred.clear();
    this.#deferred.set(mapKey(stripeId), this.#parts.clock.monotonicMs() + RETRY_DELAY_MS);
    return false;
  }
}

/** Narrower than it could be, or damaged and wider than the grid can ever complete. */
export function hasWrongWidth(record: StripeRecord, width: number): boolean {
  const own = record.k + record.m;
  return own < width || (own > width && record.damagedMs !== undefined);
}
