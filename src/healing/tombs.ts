/**
 * Deletes the fragments of stripes that nobody needs any more. A stripe leaves `tomb/<stripe>` behind when its record goes, and the
 * tomb goes when every node has confirmed: a node that is away keeps its entry until it is back or lost. Order is shuffled, so
 * that what belongs together is not deleted together.
 */

import { mapKey } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { hasCode } from '../base/errors.ts';
import type { CommitOperation, Committer, Precondition } from '../commitlog/commit.ts';
import type { Grid } from '../grid/types.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { prefixes, prefixRange } from '../metadata/keys.ts';
import { decodeRecord, encodeRecord, type TombRecord } from '../metadata/records.ts';
import type { FragmentAddress, StripeSurgery } from '../stripes/surgery.ts';

const TOMBS_PER_STEP_MAX = 256;

interface Tomb {
  readonly key: Buffer;
  readonly bytes: Buffer;
  readonly stripeId: Buffer;
  readonly record: TombRecord;
}

export class TombSweeper {
  readonly #engine: MetadataEngine;
  readonly #committer: Committer;
  readonly #grid: Grid;
  readonly #surgery: StripeSurgery;
  readonly #clock: Clock;
  /** Whether a read is under way in the stripe: then its fragments stay for now. */
  readonly #isPinned: (stripeId: Buffer) => boolean;
  #after: Buffer | undefined;

  constructor(parts: {
    readonly engine: MetadataEngine;
    readonly committer: Committer;
    readonly grid: Grid;
    readonly surgery: StripeSurgery;
    readonly clock: Clock;
    readonly isPinned: (stripeId: Buffer) => boolean;
  }) {
    this.#engine = parts.engine;
    this.#committer = parts.committer;
    this.#grid = parts.grid;
    this.#surgery = parts.surgery;
    this.#clock = parts.clock;
    this.#isPinned = parts.isPinned;
  }

  /** One page of tombs, going round. Returns how many were looked at and how many are gone for good. */
  async step(): Promise<{ readonly seen: number; readonly buried: number }> {
    const tombs = await this.#page();
    const due = tombs.filter(
      (tomb) => tomb.record.notBeforeMs <= this.#clock.nowMs() && !this.#isPinned(tomb.stripeId),
    );
    const addresses = due.flatMap((tomb) =>
      tomb.record.fragments
        .filter(({ node }) => this.#isReachable(node))
        .map(({ index, node }) => ({ stripeId: tomb.stripeId, index, node })),
    );
    shuffle(addresses);
    const confirmed = new Set((await this.#surgery.deleteFragments(addresses)).map(addressKey));
    let buried = 0;
    const operations: CommitOperation[] = [];
    const preconditions: Precondition[] = [];
    for (const tomb of due) {
      const left = tomb.record.fragments.filter(
        ({ index, node }) =>
          !confirmed.has(addressKey({ stripeId: tomb.stripeId, index, node })) && !this.#isGone(node),
      );
      if (left.length === tomb.record.fragments.length) continue;
      preconditions.push({ key: tomb.key, expect: tomb.bytes });
      if (left.length === 0) {
        operations.push({ type: 'del', key: tomb.key });
        buried += 1;
      } else {
        operations.push({
          type: 'put',
          key: tomb.key,
          value: encodeRecord({ ...tomb.record, fragments: left }),
        });
      }
    }
    if (operations.length > 0) await this.#write(operations, preconditions);
    return { seen: tombs.length, buried };
  }

  async #page(): Promise<Tomb[]> {
    const range = prefixRange(prefixes.tombs());
    const from = this.#after === undefined ? range.from : Buffer.concat([this.#after, Buffer.of(0)]);
    const cursor = this.#engine.cursor({ from, to: range.to });
    try {
      const entries = await cursor.next(TOMBS_PER_STEP_MAX);
      this.#after = entries.length < TOMBS_PER_STEP_MAX ? undefined : entries.at(-1)?.[0];
      return entries.map(([key, bytes]) => ({
        key,
        bytes,
        stripeId: Buffer.from(key.subarray(1)),
        record: decodeRecord<TombRecord>(bytes),
      }));
    } finally {
      await cursor.close();
    }
  }

  async #write(operations: CommitOperation[], preconditions: Precondition[]): Promise<void> {
    try {
      await this.#committer.commit(operations, preconditions);
    } catch (error) {
      // Somebody changed one of these tombs meanwhile; the next round sees it as it is then.
      if (!hasCode(error, 'CommitConflict')) throw error;
    }
  }

  #isReachable(nodeId: number): boolean {
    const state = this.#grid.node(nodeId)?.state;
    return state === 'online' || state === 'suspect';
  }

  #isGone(nodeId: number): boolean {
    const node = this.#grid.node(nodeId);
    return node === undefined || node.state === 'lost' || node.record.state === 'lost';
  }
}

function addressKey({ stripeId, index, node }: FragmentAddress): string {
  return `${mapKey(stripeId)}${index}/${node}`;
}

/** Fisher–Yates. Which order it is matters to nobody but an observer, so Math.random suffices. */
function shuffle<T>(items: T[]): void {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [items[i], items[j]] = [items[j] as T, items[i] as T];
  }
}
