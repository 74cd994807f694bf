/**
 * When a node that does not answer is given up (design/healing.md, "States"): the delay depends on the fewest spare fragments
 * among the stripes it holds, and nothing is declared while so many nodes drop at once that the fault must be ours.
 */

import type { Clock } from '../base/clock.ts';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../base/units.ts';
import type { Grid } from '../grid/types.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { prefixes, prefixRange } from '../metadata/keys.ts';
import { decodeRecord, type StripeRecord } from '../metadata/records.ts';
import type { DamageMarker } from './damage.ts';
import { isGood } from './stripestate.ts';

const RECORDS_PER_PAGE = 500;
const FREEZE_WINDOW_MS = 10 * MINUTE_MS;
const FREEZE_SHARE = 0.2;

/** Delay before a silent node is declared lost, by the spare fragments that would be left without it. */
export function lossDelayMs(spareWithoutIt: number): number {
  if (spareWithoutIt <= 0) return 60 * SECOND_MS;
  return spareWithoutIt === 1 ? 30 * MINUTE_MS : 24 * HOUR_MS;
}

export class LossWatch {
  readonly #grid: Grid;
  readonly #engine: MetadataEngine;
  readonly #damage: DamageMarker;
  readonly #clock: Clock;
  readonly #parityCount: number;
  readonly #offlineSinceMs = new Map<number, number>();
  #frozen = false;

  constructor(grid: Grid, engine: MetadataEngine, damage: DamageMarker, clock: Clock, parityCount: number) {
    this.#grid = grid;
    this.#engine = engine;
    this.#damage = damage;
    this.#clock = clock;
    this.#parityCount = parityCount;
  }

  get frozen(): boolean {
    return this.#frozen;
  }

  /** Nodes whose time is up now. The caller declares them lost. */
  async due(): Promise<number[]> {
    const nowMs = this.#clock.monotonicMs();
    const nodes = this.#grid.nodes().filter((node) => node.record.state !== 'lost');
    const offline = nodes.filter((node) => node.state === 'offline');
    const offlineIds = new Set(offline.map((node) => node.id));
    for (const id of [...this.#offlineSinceMs.keys()])
      if (!offlineIds.has(id)) this.#offlineSinceMs.delete(id);
    for (const node of offline) {
      if (!this.#offlineSinceMs.has(node.id)) this.#offlineSinceMs.set(node.id, nowMs);
    }
    const recent = [...this.#offlineSinceMs.values()].filter(
      (sinceMs) => nowMs - sinceMs < FREEZE_WINDOW_MS,
    ).length;
    this.#frozen = recent > Math.max(this.#parityCount, nodes.length * FREEZE_SHARE);
    if (this.#frozen || offline.length === 0) return [];
    const oldestMs = Math.max(...[...this.#offlineSinceMs.values()].map((sinceMs) => nowMs - sinceMs));
    if (oldestMs < lossDelayMs(0)) return [];
    const spare = await this.#fewestSpare(offlineIds);
    return offline
      .filter((node) => {
        const fewest = spare.get(node.id);
        const waitedMs = nowMs - (this.#offlineSinceMs.get(node.id) ?? nowMs);
        return fewest !== undefined && waitedMs >= lossDelayMs(fewest);
      })
      .map((node) => node.id);
  }

  /** For each silent node the fewest spare fragments among its stripes; nodes that hold nothing have no entry. */
  async #fewestSpare(offline: ReadonlySet<number>): Promise<Map<number, number>> {
    const fewest = new Map<number, number>();
    await this.#eachStripe(async (_stripeId, record) => {
      let answering = 0;
      const holders: number[] = [];
      for (const [index, node] of record.nodes.entries()) {
        if (!isGood(record, index)) continue;
        if (offline.has(node)) holders.push(node);
        else answering += 1;
      }
      for (const node of holders) {
        fewest.set(node, Math.min(fewest.get(node) ?? Number.POSITIVE_INFINITY, answering - record.k));
      }
    });
    return fewest;
  }

  /** Marks every fragment recorded on the node as bad. Returns how many there were. */
  async markAll(nodeId: number, reason: string): Promise<number> {
    let marked = 0;
    let batch: { stripeId: Buffer; index: number; node: number }[] = [];
    const flush = async () => {
      marked += await this.#damage.mark(batch, reason);
      batch = [];
    };
    await this.#eachStripe(async (stripeId, record) => {
      for (const [index, node] of record.nodes.entries()) {
        if (node === nodeId && isGood(record, index)) batch.push({ stripeId, index, node });
      }
      if (batch.length >= RECORDS_PER_PAGE) await flush();
    });
    await flush();
    return marked;
  }

  async #eachStripe(visit: (stripeId: Buffer, record: StripeRecord) => Promise<void>): Promise<void> {
    const cursor = this.#engine.cursor(prefixRange(prefixes.stripes()));
    try {
      for (
        let page = await cursor.next(RECORDS_PER_PAGE);
        page.length > 0;
        page = await cursor.next(RECORDS_PER_PAGE)
      ) {
        for (const [key, value] of page)
          await visit(Buffer.from(key.subarray(1)), decodeRecord<StripeRecord>(value));
      }
    } finally {
      await cursor.close();
    }
  }
}
