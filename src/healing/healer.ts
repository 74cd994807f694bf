/**
 * Puts healing together: what was found bad by reads, scrubs and inventories goes into the queue, the repairer empties it, silent nodes
 * are given up after their delay, tombs and orphans are cleared away. Everything runs in the background, needs no restart,
 * and says what it is doing.
 */
import type { Clock } from '../base/clock.ts';
import { SECOND_MS } from '../base/units.ts';
import type { Committer } from '../commitlog/commit.ts';
import type { Grid } from '../grid/types.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { prefixes, prefixRange } from '../metadata/keys.ts';
import type { StripeSurgery } from '../stripes/surgery.ts';
import { ByteBudget } from './budget.ts';
import { DamageMarker } from './damage.ts';
import { type InventoryFindings, takeInventory } from './inventory.ts';
import { LossWatch } from './losses.ts';
import { deleteOrphans } from './orphans.ts';
import { Repairer } from './repairer.ts';
import { Scrubber, type ScrubCounts } from './scrubber.ts';
import { StripeCounter } from './summary.ts';
import { Task, type TaskLog } from './task.ts';
import { TombSweeper } from './tombs.ts';

const IDLE_REST_MS = 10 * SECOND_MS;
const TOMB_REST_MS = 2 * SECOND_MS;
const LOSS_CHECK_REST_MS = 5 * SECOND_MS;
const RATE_WINDOW_MS = 30 * SECOND_MS;

export interface HealerParts {
  readonly engine: MetadataEngine;
  readonly committer: Committer;
  readonly grid: Grid;
  readonly surgery: StripeSurgery;
  readonly clock: Clock;
  readonly log: TaskLog & { info(fields: object, message: string): void };
  readonly isPinned: (stripeId: Buffer) => boolean;
  readonly logId: number;
  readonly profile: { readonly k: number; readonly m: number };
  readonly repairBytesPerSecond: number;
  readonly scrubBytesPerSecond: number;
  readonly scrubPassMs: number;
  /** Changes the node's state for good: its record says lost, its fragments are rebuilt elsewhere. */
  readonly declareLost: (nodeId: number) => Promise<void>;
}

export class Healer {
  readonly damage: DamageMarker;
  readonly stripes: StripeCounter;
  readonly scrubber: Scrubber;
  readonly repairer: Repairer;
  readonly losses: LossWatch;
  readonly #parts: HealerParts;
  readonly #tombs: TombSweeper;
  readonly #tasks: { repair: Task; tombs: Task; scrub: Task; inventory: Task; losses: Task };
  readonly #busy = new Map<string, number>();
  readonly #toInventory = new Set<number>();
  #inventoryOf: number | undefined;
  #orphansDeleted = 0;
  readonly #orphansWaiting = new Map<number, number>();
  #rateMark = { atMs: 0, bytes: 0, bytesPerSecond: 0 };

  constructor(parts: HealerParts) {
    this.#parts = parts;
    const { engine, committer, grid, surgery, clock, log } = parts;
    this.damage = new DamageMarker(committer, clock, () => this.#tasks.repair.wake());
    this.stripes = new StripeCounter(engine, grid, clock, parts.profile.k + parts.profile.m);
    const budget = new ByteBudget(clock, parts.repairBytesPerSecond);
    this.repairer = new Repairer({ engine, committer, grid, surgery, clock, budget, busy: this.#busy });
    const scrubBudget = new ByteBudget(
      clock,
      parts.scrubBytesPerSecond * (parts.profile.k + parts.profile.m),
    );
    const passMs = parts.scrubPassMs;
    const { damage } = this;
    this.scrubber = new Scrubber({ engine, committer, surgery, damage, clock, budget: scrubBudget, passMs });
    this.losses = new LossWatch(grid, engine, this.damage, clock, parts.profile.m);
    this.#tombs = new TombSweeper({ engine, committer, grid, surgery, clock, isPinned: parts.isPinned });
    this.#tasks = {
      repair: new Task('repair', clock, log, (signal) => this.#repairStep(signal)),
      tombs: new Task('tombs', clock, log, () => this.#tombStep()),
      scrub: new Task('scrub', clock, log, (signal) => this.scrubber.backgroundStep(signal)),
      inventory: new Task('inventory', clock, log, () => this.#inventoryStep()),
      losses: new Task('losses', clock, log, () => this.#lossStep()),
    };
    grid.onStateChange((node, before) => {
      this.repairer.retryAll();
      if (node.state === 'online' && before !== 'suspect') this.inventoryNode(node.id);
      this.#tasks.repair.wake();
    });
  }

  start(): void {
    for (const node of this.#parts.grid.nodes()) this.#toInventory.add(node.id);
    for (const task of Object.values(this.#tasks)) task.start();
  }

  async stop(): Promise<void> {
    await Promise.all(Object.values(this.#tasks).map((task) => task.stop()));
    await this.damage.flush();
  }

  /** Compares this node with the records soon. */
  inventoryNode(nodeId: number): void {
    this.#toInventory.add(nodeId);
    this.#tasks.inventory.wake();
  }

  wake(): void {
    this.repairer.retryAll();
    for (const task of Object.values(this.#tasks)) task.wake();
  }

  async #repairStep(signal: AbortSignal): Promise<number> {
    const completed = await this.repairer.step(signal);
    return completed > 0 ? 0 : IDLE_REST_MS;
  }

  async #tombStep(): Promise<number> {
    const { buried } = await this.#tombs.step();
    return buried > 0 ? 0 : TOMB_REST_MS;
  }

  async #lossStep(): Promise<number> {
    for (const nodeId of await this.losses.due()) {
      this.#parts.log.warn({ node: nodeId }, 'node did not come back in time and is declared lost');
      await this.#parts.declareLost(nodeId);
      await this.losses.markAll(nodeId, 'node lost');
    }
    return LOSS_CHECK_REST_MS;
  }

  async #inventoryStep(): Promise<number> {
    const nodeId = this.#toInventory.values().next().value;
    if (nodeId === undefined) return IDLE_REST_MS;
    this.#toInventory.delete(nodeId);
    this.#inventoryOf = nodeId;
    try {
      await this.inventoryNow(nodeId, { repair: true, forceOrphans: false });
    } finally {
      this.#inventoryOf = undefined;
    }
    return 0;
  }

  /** Takes an inventory of one node; acts on it unless `repair` is false. undefined when the node does not answer. */
  async inventoryNow(
    nodeId: number,
    options: { readonly repair: boolean; readonly forceOrphans: boolean },
  ): Promise<InventoryFindings | undefined> {
    const { engine, surgery, grid, logId, log } = this.#parts;
    const node = grid.node(nodeId);
    if (node === undefined || (node.state !== 'online' && node.state !== 'suspect')) return undefined;
    const sources = { engine, surgery, busy: this.#busy, logId };
    const findings = await takeInventory(node, sources);
    if (!options.repair) return findings;
    const marked = await this.damage.mark(
      findings.missing.map(({ stripeId, index }) => ({ stripeId, index, node: nodeId })),
      'inventory',
    );
    const orphans = await deleteOrphans(node, findings, sources, { force: options.forceOrphans });
    this.#orphansDeleted += orphans.deleted;
    this.#orphansWaiting.set(nodeId, orphans.waiting);
    if (marked > 0 || orphans.deleted > 0 || orphans.waiting > 0) {
      log.info({ node: nodeId, missing: marked, ...orphans }, 'inventory found differences');
    }
    return findings;
  }

  /**
   * Verifies everything now: an inventory of every node and a whole scrub pass; then repairs what can be repaired and waits for it.
   * With `dryRun` nothing is changed.
   */
  async scrubNow(options: { readonly dryRun: boolean; readonly signal?: AbortSignal }): Promise<{
    readonly counts: ScrubCounts;
    readonly orphans: number;
    readonly rebuiltFragments: number;
    readonly unrepairable: number;
  }> {
    const before = this.repairer.counts.rebuiltFragments;
    let orphans = 0;
    for (const node of this.#parts.grid.nodes()) {
      const findings = await this.inventoryNow(node.id, { repair: !options.dryRun, forceOrphans: false });
      orphans += findings?.orphans.length ?? 0;
    }
    const counts = await this.scrubber.wholePass({
      mark: !options.dryRun,
      ...(options.signal ? { signal: options.signal } : {}),
    });
    if (options.dryRun) return { counts, orphans, rebuiltFragments: 0, unrepairable: 0 };
    await this.damage.flush();
    this.repairer.retryAll();
    while ((await this.repairer.step(options.signal)) > 0) {
      // Each step completes up to a page of the queue; it ends when a whole step completes nothing.
    }
    const rebuiltFragments = this.repairer.counts.rebuiltFragments - before;
    return { counts, orphans, rebuiltFragments, unrepairable: await this.queueLength() };
  }

  async queueLength(): Promise<number> {
    return this.#countRange(prefixes.queue());
  }

  async #countRange(prefix: Uint8Array): Promise<number> {
    const cursor = this.#parts.engine.cursor(prefixRange(prefix));
    let count = 0;
    try {
      for (let page = await cursor.next(1000); page.length > 0; page = await cursor.next(1000))
        count += page.length;
    } finally {
      await cursor.close();
    }
    return count;
  }

  /** What `status` shows of healing. */
  async report() {
    const summary = await this.stripes.summary();
    const bytesPerSecond = this.#rate();
    const doing: string[] = [];
    if (this.#busy.size > 0) doing.push(`rebuilding ${this.#busy.size} stripes`);
    if (this.#inventoryOf !== undefined) doing.push(`taking an inventory of node ${this.#inventoryOf}`);
    if (this.scrubber.running) doing.push('scrubbing');
    return {
      queuedStripes: await this.queueLength(),
      doing,
      rebuiltFragments: this.repairer.counts.rebuiltFragments,
      rebuiltBytes: this.repairer.counts.rebuiltBytes,
      bytesPerSecond,
      remainingBytes: summary.missingBytes,
      etaMs:
        bytesPerSecond > 0 && summary.missingBytes > 0
          ? (summary.missingBytes / bytesPerSecond) * 1000
          : undefined,
      tombs: await this.#countRange(prefixes.tombs()),
      orphansDeleted: this.#orphansDeleted,
      orphansWaiting: [...this.#orphansWaiting.values()].reduce((sum, count) => sum + count, 0),
      frozen: this.losses.frozen,
      unrepairable: this.repairer.deferredCount,
    };
  }

  #rate(): number {
    const nowMs = this.#parts.clock.monotonicMs();
    const elapsedMs = nowMs - this.#rateMark.atMs;
    const bytes = this.repairer.counts.rebuiltBytes;
    if (elapsedMs >= RATE_WINDOW_MS || this.#busy.size === 0) {
      this.#rateMark = { atMs: nowMs, bytes, bytesPerSecond: 0 };
    } else if (elapsedMs > SECOND_MS) {
      this.#rateMark.bytesPerSecond = ((bytes - this.#rateMark.bytes) / elapsedMs) * 1000;
    }
    return this.#rateMark.bytesPerSecond;
  }
}
