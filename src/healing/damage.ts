/**
 * Writes down that fragments are bad: clears their bits in the stripe records and puts the stripes into the repair queue, in one
 * commit for each batch. What reads find arrives here without being awaited, so the waiting list is bounded; what does
 * not fit is found again by the next read or scrub.
 */

import { mapKey } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { hasCode } from '../base/errors.ts';
import type { CommitOperation, Committer, Precondition } from '../commitlog/commit.ts';
import { keys } from '../metadata/keys.ts';
import { decodeRecord, type StripeRecord } from '../metadata/records.ts';
import { isGood } from '../stripes/condition.ts';
import { replaceStripe, withGood } from './stripestate.ts';

const PENDING_STRIPES_MAX = 10_000;
const STRIPES_PER_COMMIT_MAX = 100;
const CONFLICT_RETRIES_MAX = 20;

export interface BadFragment {
  readonly stripeId: Buffer;
  readonly index: number;
  /** When given, the mark is made only if the record still places the fragment on this node. */
  readonly node?: number;
}

export class DamageMarker {
  readonly #committer: Committer;
  readonly #clock: Clock;
  readonly #onMarked: () => void;
  readonly #onFailure: (error: unknown) => void;
  readonly #pending = new Map<string, BadFragment>();
  #writing: Promise<void> | undefined;

  /** `onMarked` runs after stripes entered the queue, `onFailure` when what a read found could not be written down. */
  constructor(
    committer: Committer,
    clock: Clock,
    on: { readonly marked: () => void; readonly failure: (error: unknown) => void },
  ) {
    this.#committer = committer;
    this.#clock = clock;
    this.#onMarked = on.marked;
    this.#onFailure = on.failure;
  }

  /** For reads: notes a bad fragment and returns at once. */
  report(stripeId: Buffer, index: number, reason: string): void {
    if (this.#pending.size >= PENDING_STRIPES_MAX) return;
    this.#pending.set(`${mapKey(stripeId)}${index}`, { stripeId, index });
    this.#writing ??= this.#writePending(reason);
  }

  /** Resolves when everything reported so far is written. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  async #writePending(reason: string): Promise<void> {
    try {
      while (this.#pending.size > 0) {
        const batch = [...this.#pending.entries()].slice(0, STRIPES_PER_COMMIT_MAX);
        for (const [key] of batch) this.#pending.delete(key);
        await this.mark(
          batch.map(([, fragment]) => fragment),
          reason,
        );
      }
    } catch (error) {
      // Nobody waits for this. The damage is still there and is found again.
      if (!hasCode(error, 'ShuttingDown')) this.#onFailure(error);
    } finally {
      this.#writing = undefined;
    }
  }

  /** Clears the bits of these fragments. Returns how many were set before. */
  async mark(fragments: readonly BadFragment[], reason: string): Promise<number> {
    let marked = 0;
    for (let at = 0; at < fragments.length; at += STRIPES_PER_COMMIT_MAX) {
      marked += await this.#markBatch(fragments.slice(at, at + STRIPES_PER_COMMIT_MAX), reason);
    }
    if (marked > 0) this.#onMarked();
    return marked;
  }

  async #markBatch(fragments: readonly BadFragment[], reason: string): Promise<number> {
    const byStripe = new Map<string, BadFragment[]>();
    for (const fragment of fragments) {
      const key = mapKey(fragment.stripeId);
      byStripe.set(key, [...(byStripe.get(key) ?? []), fragment]);
    }
    for (let attempt = 1; ; attempt++) {
      const plan = await this.#plan([...byStripe.values()], reason);
      if (plan.count === 0) return 0;
      try {
        await this.#committer.commit(plan.operations, plan.preconditions);
        return plan.count;
      } catch (error) {
        if (!hasCode(error, 'CommitConflict') || attempt >= CONFLICT_RETRIES_MAX) throw error;
      }
    }
  }

  async #plan(
    groups: readonly (readonly BadFragment[])[],
    reason: string,
  ): Promise<{ operations: CommitOperation[]; preconditions: Precondition[]; count: number }> {
    const operations: CommitOperation[] = [];
    const preconditions: Precondition[] = [];
    let count = 0;
    for (const group of groups) {
      const stripeId = group[0]?.stripeId;
      if (stripeId === undefined) continue;
      const key = keys.stripe(stripeId);
      const bytes = await this.#committer.peek(key);
      if (bytes === undefined) continue;
      const record = decodeRecord<StripeRecord>(bytes);
      const bad = group.filter(
        ({ index, node }) => isGood(record, index) && (node === undefined || record.nodes[index] === node),
      );
      if (bad.length === 0) continue;
      const after = withGood(record, new Map(bad.map(({ index }) => [index, false])), this.#clock.nowMs());
      operations.push(...replaceStripe(stripeId, record, after, reason));
      preconditions.push({ key, expect: bytes });
      count += bad.length;
    }
    return { operations, preconditions, count };
  }
}
