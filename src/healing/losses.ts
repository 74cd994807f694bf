/**
 * When a node that does not answer is given up (design/healing.md, "States"): the delay depends on the fewest spare fragments
 * among the stripes it holds, and nothing is declared while so many nodes dropped at once that the fault must be ours.
 * Times are of this process: a restart begins to count anew.
 */
import type { Clock } from '../base/clock.ts';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../base/units.ts';
import type { Grid } from '../grid/types.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { prefixes } from '../metadata/keys.ts';
import { pages } from '../metadata/pages.ts';
import { decodeRecord, type StripeRecord } from '../metadata/records.ts';
import { isGood } from '../stripes/condition.ts';
import type { DamageMarker } from './damage.ts';

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
  /** When each node last dropped, whether or not it came back. */
  readonly #droppedMs = new Map<number, number>();
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
    const offline = this.#observe(nowMs);
    if (this.#frozen || offline.length === 0) return [];
    const waitedMs = (nodeId: number) => nowMs - (this.#offlineSinceMs.get(nodeId) ?? nowMs);
    if (Math.max(...offline.map(waitedMs)) < lossDelayMs(0)) return [];
    const spare = await this.#fewestSpare(new Set(offline));
    return offline.filter((nodeId) => {
      const fewest = spare.get(nodeId);
      const isStillAway = this.#grid.node(nodeId)?.state === 'offline';
      return fewest !== undefined && isStillAway && waitedMs(nodeId) >= lossDelayMs(fewest);
    });
  }

  /** Keeps the books and decides about freezing. Returns the ids of the nodes that are away. */
  #observe(nowMs: number): number[] {
    const nodes = this.#grid.nodes().filter((node) => node.record.state !== 'lost');
    const offline = nodes.filter((node) => node.state === 'offline').map((node) => node.id);
    for (const id of [...this.#offlineSinceMs.keys()])
      if (!offline.includes(id)) this.#offlineSinceMs.delete(id);
    for (const id of offline) {
      if (this.#offlineSinceMs.has(id)) continue;
      this.#offlineSinceMs.set(id, nowMs);
      this.#droppedMs.set(id, nowMs);
    }
    for (const [id, atMs] of [...this.#droppedMs])
      if (nowMs - atMs >= FREEZE_WINDOW_MS) this.#droppedMs.delete(id);
    const limit = Math.max(this.#parityCount, nodes.length * FREEZE_SHARE);
    if (this.#droppedMs.size > limit) this.#frozen = true;
    else if (this.#frozen && offline.length <= limit) {
      // The common cause is gone. Who is still away gets the whole delay from here on.
      this.#frozen = false;
      for (const id of offline) this.#offlineSinceMs.set(id, nowMs);
    }
    return offline;
  }

  /** For each silent node the fewest spare fragments among its stripes; nodes that hold nothing have no entry. */
  async #fewestSpare(offline: ReadonlySet<number>): Promise<Map<number, number>> {
    const fewest = new Map<number, number>();
    await this.#eachPage((page) => {
      for (const { record } of page) {
        let answering = 0;
        const holders: number[] = [];
        for (const [index, node] of record.nodes.entries()) {
          if (!isGood(record, index)) continue;
          if (offline.has(node)) holders.push(node);
          else answering += 1;
        }
        const spare = answering - record.k;
        for (const node of holders)
          fewest.set(node, Math.min(fewest.get(node) ?? Number.POSITIVE_INFINITY, spare));
      }
    });
    return fewest;
  }

  /**
   * Marks every fragment recorded on these nodes as bad. Returns how many there were. Repeated while nodes are lost: what was being
   * written when a node was lost is recorded later.
   */
  async markAll(nodeIds: ReadonlySet<number>, reason: string): Promise<number> {
    let marked = 0;
    await this.#eachPage(async (page) => {
      const found = page.flatMap(({ stripeId, record }) =>
        record.nodes.flatMap((node, index) =>
          nodeIds.has(node) && isGood(record, index) ? [{ stripeId, index, node }] : [],
        ),
      );
      if (found.length > 0) marked += await this.#damage.mark(found, reason);
    });
    return marked;
  }

  async #eachPage(
    visit: (
      page: readonly { readonly stripeId: Buffer; readonly record: StripeRecord }[],
    ) => Promise<void> | void,
  ): Promise<void> {
    for await (const page of pages(this.#engine, prefixes.stripes(), RECORDS_PER_PAGE)) {
      await visit(
        page.map(([key, value]) => ({
          stripeId: Buffer.from(key.subarray(1)),
          record: decodeRecord<StripeRecord>(value),
        })),
      );
    }
  }
}
