/**
 * Inventories of all nodes: which are to be taken, what follows from their findings, and what was left alone. A node that does not
 * answer keeps its place in the line; nothing is concluded about it.
 */
import type { Clock } from '../base/clock.ts';
import { hasCode } from '../base/errors.ts';
import type { Committer } from '../commitlog/commit.ts';
import { answers, type Grid } from '../grid/types.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { decodeRecord, encodeRecord, type StripeRecord } from '../metadata/records.ts';
import { isGood } from '../stripes/condition.ts';
import type { StripeSurgery } from '../stripes/surgery.ts';
import type { StripeClaims } from './claims.ts';
import type { DamageMarker } from './damage.ts';
import { type FoundFragment, type InventoryFindings, takeInventory } from './inventory.ts';
import { deleteOrphans } from './orphans.ts';

export interface InventoriesParts {
  readonly engine: MetadataEngine;
  readonly committer: Committer;
  readonly grid: Grid;
  readonly surgery: StripeSurgery;
  readonly clock: Clock;
  readonly claims: StripeClaims;
  readonly damage: DamageMarker;
  readonly log: { info(fields: object, message: string): void };
  readonly logId: number;
  /** Until then (wall clock) orphans are deleted only when the operator says so. */
  readonly heldUntilMs: number;
  /** Findings of one kind that one inventory keeps. */
  readonly findingsMax?: number;
}

export interface InventoryResult {
  readonly missing: number;
  readonly orphans: number;
  readonly orphansDeleted: number;
}

export class Inventories {
  orphansDeleted = 0;
  readonly #parts: InventoriesParts;
  /** Nodes to look at, and whether they may have lost data since they were looked at last. */
  readonly #asked = new Map<number, boolean>();
  /** What was undecided when a node that may have lost data was looked at: it is looked at again when all of it is decided. */
  readonly #afterwards = new Map<number, ReadonlySet<string>>();
  readonly #waiting = new Map<number, number>();
  #current: { readonly nodeId: number; readonly lostData: boolean } | undefined;

  constructor(parts: InventoriesParts) {
    this.#parts = parts;
  }

  /** The node that is being looked at. */
  get current(): number | undefined {
    return this.#current?.nodeId;
  }

  /** Whether records may name what a node that answers has lost: it came back, and was not looked at to the end yet. */
  get isUnsure(): boolean {
    if (this.#afterwards.size > 0 || this.#current?.lostData) return true;
    return [...this.#asked].some(([nodeId, lostData]) => lostData && this.#answers(nodeId));
  }

  get orphansWaiting(): number {
    return [...this.#waiting.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Whether an inventory is due, or soon will be, of a node that answers. */
  get isDue(): boolean {
    return this.#afterwards.size > 0 || [...this.#asked.keys()].some((nodeId) => this.#answers(nodeId));
  }

  ask(nodeId: number, options: { readonly lostData?: boolean } = {}): void {
    this.#asked.set(nodeId, (this.#asked.get(nodeId) ?? false) || options.lostData === true);
  }

  /** Takes the next inventory that is due. False when there is none, or its node did not answer to the end. */
  async step(): Promise<boolean> {
    this.#askAgain();
    const next = [...this.#asked].find(([nodeId]) => this.#answers(nodeId));
    if (next === undefined) return false;
    const [nodeId, lostData] = next;
    this.#asked.delete(nodeId);
    try {
      await this.take(nodeId, { acts: true, deleteOrphans: false, lostData });
      return true;
    } catch (error) {
      this.ask(nodeId, { lostData });
      if (hasCode(error, 'NodeUnavailable', 'NodeFailed')) return false;
      throw error;
    }
  }

  #askAgain(): void {
    const inFlight = this.#parts.surgery.inFlight();
    const claimed = this.#parts.claims.snapshot();
    for (const [nodeId, stripes] of this.#afterwards) {
      if ([...stripes].some((id) => inFlight.has(id) || claimed.has(id))) continue;
      this.#afterwards.delete(nodeId);
      this.ask(nodeId);
    }
  }

  #answers(nodeId: number): boolean {
    return answers(this.#parts.grid.node(nodeId));
  }

  /** Every node that is there now. */
  async takeAll(options: {
    readonly acts: boolean;
    readonly deleteOrphans: boolean;
  }): Promise<InventoryResult & { readonly nodesAway: number }> {
    const total = { missing: 0, orphans: 0, orphansDeleted: 0, nodesAway: 0 };
    for (const node of this.#parts.grid.nodes()) {
      if (node.record.state === 'lost') continue;
      try {
        if (!this.#answers(node.id)) total.nodesAway += 1;
        else {
          const result = await this.take(node.id, options);
          total.missing += options.acts ? result.missing : 0;
          total.orphans += result.orphans;
          total.orphansDeleted += result.orphansDeleted;
        }
      } catch (error) {
        if (!hasCode(error, 'NodeUnavailable', 'NodeFailed')) throw error;
        total.nodesAway += 1;
      }
    }
    return total;
  }

  /** Looks at one node now, and acts on what is found unless `acts` is false. @throws NodeUnavailable */
  async take(
    nodeId: number,
    options: { readonly acts: boolean; readonly deleteOrphans: boolean; readonly lostData?: boolean },
  ): Promise<InventoryResult> {
    const node = this.#parts.grid.node(nodeId);
    if (node === undefined) return { missing: 0, orphans: 0, orphansDeleted: 0 };
    this.#current = { nodeId, lostData: options.lostData === true };
    try {
      const findings = await takeInventory(node, this.#parts);
      const { orphanCount } = findings;
      if (!options.acts) return { missing: findings.missing.length, orphans: orphanCount, orphansDeleted: 0 };
      if (options.lostData && findings.undecided.size > 0) this.#afterwards.set(nodeId, findings.undecided);
      const { missing, deleted } = await this.#act(nodeId, findings, options.deleteOrphans);
      return { missing, orphans: orphanCount, orphansDeleted: deleted };
    } finally {
      this.#current = undefined;
    }
  }

  async #act(
    nodeId: number,
    findings: InventoryFindings,
    force: boolean,
  ): Promise<{ readonly missing: number; readonly deleted: number }> {
    const { damage, grid, log, clock, heldUntilMs } = this.#parts;
    const node = grid.node(nodeId);
    if (node === undefined) return { missing: 0, deleted: 0 };
    const missing = await damage.mark(
      findings.missing.map(({ stripeId, index }) => ({ stripeId, index, node: nodeId })),
      'inventory',
    );
    let adopted = 0;
    for (const fragment of findings.adoptable) if (await this.#adopt(nodeId, fragment)) adopted += 1;
    const held = clock.nowMs() < heldUntilMs;
    const { deleted, waiting } = await deleteOrphans(node, findings, this.#parts, { force, held });
    this.orphansDeleted += deleted;
    this.#waiting.set(nodeId, waiting);
    if (findings.truncated) this.ask(nodeId);
    if (missing + adopted + deleted + waiting > 0) {
      log.info({ node: nodeId, missing, adopted, deleted, waiting }, 'inventory found differences');
    }
    return { missing, deleted };
  }

  /** Names this node in the record instead of one whose fragment is bad. Repair then verifies what lies here before it counts. */
  async #adopt(nodeId: number, { stripeId, index }: FoundFragment): Promise<boolean> {
    const { claims, committer } = this.#parts;
    const release = claims.tryClaim(stripeId);
    if (release === undefined) return false;
    try {
      const key = keys.stripe(stripeId);
      const bytes = await committer.peek(key);
      if (bytes === undefined) return false;
      const record = decodeRecord<StripeRecord>(bytes);
      if (isGood(record, index) || record.nodes.includes(nodeId)) return false;
      const nodes = record.nodes.map((node, i) => (i === index ? nodeId : node));
      const value = encodeRecord<StripeRecord>({ ...record, nodes });
      await committer.commit([{ type: 'put', key, value }], [{ key, expect: bytes }]);
      return true;
    } catch (error) {
      if (!hasCode(error, 'CommitConflict')) throw error;
      return false;
    } finally {
      release();
    }
  }
}
