/**
 * Verifies every byte: walks the stripe records in order, lets each node hash its fragment, checks trailer and MAC, and marks what is
 * bad. In the background it goes round within a number of days under a byte budget, with a cursor that survives restarts; a person
 * may ask for a whole pass at once.
 */
import type { Clock } from '../base/clock.ts';
import type { Committer } from '../commitlog/commit.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys, prefixes, prefixRange } from '../metadata/keys.ts';
import {
  decodeRecord,
  encodeRecord,
  RECORD_FORMAT,
  type RecordBase,
  type StripeRecord,
} from '../metadata/records.ts';
import { isGood } from '../stripes/condition.ts';
import type { FragmentCondition, StripeSurgery } from '../stripes/surgery.ts';
import type { ByteBudget } from './budget.ts';
import type { DamageMarker } from './damage.ts';

const CURSOR_KEY = keys.singleton('scrub');
const STRIPES_PER_PAGE = 64;
const STRIPES_AT_ONCE_MAX = 4;
const STRIPES_PER_SAVE = 512;
/** A stripe that is repaired or moved while it is checked is looked at again, this often. */
const CHECKS_MAX = 3;

/** Persisted: where the pass under way is, and when it and the last whole one began. */
interface ScrubCursor extends RecordBase {
  readonly after?: Buffer;
  readonly passStartedMs: number;
  readonly lastStartedMs?: number;
  readonly lastCompletedMs?: number;
}

export interface ScrubCounts {
  verifiedFragments: number;
  verifiedBytes: number;
  corrupt: number;
  missing: number;
  unreachable: number;
}

export function emptyCounts(): ScrubCounts {
  return { verifiedFragments: 0, verifiedBytes: 0, corrupt: 0, missing: 0, unreachable: 0 };
}

export class Scrubber {
  /** Since the start of the process. */
  readonly counts = emptyCounts();
  readonly #engine: MetadataEngine;
  readonly #committer: Committer;
  readonly #surgery: StripeSurgery;
  readonly #damage: DamageMarker;
  readonly #clock: Clock;
  readonly #budget: ByteBudget;
  readonly #passMs: number;
  #cursor: ScrubCursor | undefined;
  #unsaved = 0;
  #running = 0;

  constructor(parts: {
    readonly engine: MetadataEngine;
    readonly committer: Committer;
    readonly surgery: StripeSurgery;
    readonly damage: DamageMarker;
    readonly clock: Clock;
    readonly budget: ByteBudget;
    /** A whole pass should take this long. */
    readonly passMs: number;
  }) {
    this.#engine = parts.engine;
    this.#committer = parts.committer;
    this.#surgery = parts.surgery;
    this.#damage = parts.damage;
    this.#clock = parts.clock;
    this.#budget = parts.budget;
    this.#passMs = parts.passMs;
  }

  get running(): boolean {
    return this.#running > 0;
  }

  get lastCompletedMs(): number | undefined {
    return this.#cursor?.lastCompletedMs;
  }

  /** Age of what was verified longest ago: it was verified in the pass before the one under way, or never. */
  get oldestUnverifiedMs(): number | undefined {
    const since = this.#cursor?.lastStartedMs ?? this.#cursor?.passStartedMs;
    return since === undefined ? undefined : this.#clock.nowMs() - since;
  }

  /** One page of the background pass. Returns how long to rest before the next. */
  async backgroundStep(signal: AbortSignal): Promise<number> {
    this.#cursor ??= await this.#load();
    const cursor = this.#cursor;
    const nowMs = this.#clock.nowMs();
    if (cursor.after === undefined && cursor.lastStartedMs !== undefined) {
      const dueMs = cursor.lastStartedMs + this.#passMs;
      if (nowMs < dueMs) return Math.min(dueMs - nowMs, 60_000);
    }
    const page = await this.#page(cursor.after);
    this.#running += 1;
    try {
      await this.#verify(page, this.counts, { mark: true, budget: this.#budget, signal });
    } finally {
      this.#running -= 1;
    }
    const last = page.at(-1);
    this.#unsaved += page.length;
    if (page.length < STRIPES_PER_PAGE) {
      const passStartedMs = cursor.after === undefined && page.length === 0 ? nowMs : cursor.passStartedMs;
      this.#cursor = {
        v: RECORD_FORMAT,
        passStartedMs: nowMs,
        lastStartedMs: passStartedMs,
        lastCompletedMs: nowMs,
      };
      await this.#save();
    } else if (last !== undefined) {
      this.#cursor = { ...cursor, after: last.stripeId };
      if (this.#unsaved >= STRIPES_PER_SAVE) await this.#save();
    }
    return 0;
  }

  /** A whole pass now. Marks what is bad unless `mark` is false. */
  async wholePass(options: { readonly mark: boolean; readonly signal?: AbortSignal }): Promise<ScrubCounts> {
    const counts = emptyCounts();
    const startedMs = this.#clock.nowMs();
    this.#running += 1;
    try {
      let after: Buffer | undefined;
      for (;;) {
        const page = await this.#page(after);
        await this.#verify(page, counts, options);
        after = page.at(-1)?.stripeId;
        if (page.length < STRIPES_PER_PAGE) break;
      }
    } finally {
      this.#running -= 1;
    }
    for (const name of Object.keys(counts) as (keyof ScrubCounts)[]) this.counts[name] += counts[name];
    if (!options.mark) return counts;
    const completedMs = this.#clock.nowMs();
    this.#cursor = {
      v: RECORD_FORMAT,
      passStartedMs: completedMs,
      lastStartedMs: startedMs,
      lastCompletedMs: completedMs,
    };
    await this.#save();
    return counts;
  }

  async #page(after: Buffer | undefined): Promise<{ stripeId: Buffer; record: StripeRecord }[]> {
    const range = prefixRange(prefixes.stripes());
    const from = after === undefined ? range.from : Buffer.concat([keys.stripe(after), Buffer.of(0)]);
    const cursor = this.#engine.cursor({ from, to: range.to });
    try {
      const entries = await cursor.next(STRIPES_PER_PAGE);
      return entries.map(([key, value]) => ({
        stripeId: Buffer.from(key.subarray(1)),
        record: decodeRecord<StripeRecord>(value),
      }));
    } finally {
      await cursor.close();
    }
  }

  async #verify(
    page: readonly { stripeId: Buffer; record: StripeRecord }[],
    counts: ScrubCounts,
    options: { readonly mark: boolean; readonly budget?: ByteBudget; readonly signal?: AbortSignal },
  ): Promise<void> {
    let next = 0;
    const worker = async () => {
      for (let entry = page[next++]; entry !== undefined; entry = page[next++]) {
        options.signal?.throwIfAborted();
        const { stripeId, record } = entry;
        await options.budget?.take((record.k + record.m) * record.fragmentLengthBytes, options.signal);
        await this.#verifyStripe(stripeId, record, counts, options.mark);
      }
    };
    await Promise.all(Array.from({ length: STRIPES_AT_ONCE_MAX }, worker));
  }

  async #verifyStripe(
    stripeId: Buffer,
    listed: StripeRecord,
    counts: ScrubCounts,
    mark: boolean,
  ): Promise<void> {
    let record = listed;
    for (let attempt = 1; attempt <= CHECKS_MAX; attempt++) {
      const conditions = await this.#surgery.checkStripe(stripeId, record);
      // What was found wrong is about the past when the stripe was repaired, moved or deleted meanwhile.
      const isSuspicious = conditions.some((condition) => condition === 'corrupt' || condition === 'missing');
      const now = isSuspicious ? await this.#recordNow(stripeId) : record;
      if (now === undefined) return;
      if (now.nodes.every((node, index) => node === record.nodes[index])) {
        count(conditions, now, counts, mark);
        if (mark) await this.#mark(stripeId, record, conditions);
        return;
      }
      record = now;
    }
  }

  async #mark(
    stripeId: Buffer,
    record: StripeRecord,
    conditions: readonly FragmentCondition[],
  ): Promise<void> {
    const bad = conditions.flatMap((condition, index) =>
      condition === 'corrupt' || condition === 'missing'
        ? [{ stripeId, index, node: record.nodes[index] as number }]
        : [],
    );
    if (bad.length > 0) await this.#damage.mark(bad, 'scrub');
  }

  async #recordNow(stripeId: Buffer): Promise<StripeRecord | undefined> {
    const bytes = await this.#engine.get(keys.stripe(stripeId));
    return bytes === undefined ? undefined : decodeRecord<StripeRecord>(bytes);
  }

  async #load(): Promise<ScrubCursor> {
    const bytes = await this.#engine.get(CURSOR_KEY);
    if (bytes !== undefined) return decodeRecord<ScrubCursor>(bytes);
    return { v: RECORD_FORMAT, passStartedMs: this.#clock.nowMs() };
  }

  async #save(): Promise<void> {
    this.#unsaved = 0;
    if (this.#cursor !== undefined) {
      await this.#committer.commit([{ type: 'put', key: CURSOR_KEY, value: encodeRecord(this.#cursor) }]);
    }
  }
}

/** With `mark`, what was known to be bad before is no finding. */
function count(
  conditions: readonly FragmentCondition[],
  record: StripeRecord,
  counts: ScrubCounts,
  mark: boolean,
): void {
  for (const [index, condition] of conditions.entries()) {
    if (condition === 'intact') {
      counts.verifiedFragments += 1;
      counts.verifiedBytes += record.fragmentLengthBytes;
    } else if (condition === 'unreachable') counts.unreachable += 1;
    else if (isGood(record, index) || !mark) counts[condition] += 1;
  }
}
