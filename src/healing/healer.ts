/**
 * Puts healing together: what was found bad by reads, scrubs and inventories goes into the queue, the repairer empties it, silent nodes
 * are given up after their delay, narrow stripes get their width back, tombs and orphans are cleared away. Everything runs in the
 * background, needs no restart, and says what it is doing.
 */
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { Task, type TaskLog } from '../base/task.ts';
import { DAY_MS, MINUTE_MS, SECOND_MS } from '../base/units.ts';
import type { Committer } from '../commitlog/commit.ts';
import type { Grid, GridNode, NodeState } from '../grid/types.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { prefixes } from '../metadata/keys.ts';
import { pages } from '../metadata/pages.ts';
import type { StripeSurgery } from '../stripes/surgery.ts';
import { ByteBudget } from './budget.ts';
import { StripeClaims } from './claims.ts';
import { DamageMarker } from './damage.ts';
import { Inventories } from './inventories.ts';
import { LossWatch } from './losses.ts';
import { Repairer } from './repairer.ts';
import { Scrubber, type ScrubCounts } from './scrubber.ts';
import { StripeCounter } from './summary.ts';
import { TombSweeper } from './tombs.ts';
import { Transcoder } from './transcoder.ts';

const IDLE_REST_MS = 10 * SECOND_MS;
const TOMB_REST_MS = 2 * SECOND_MS;
const TOMB_PAGE_REST_MS = 20;
const LOSS_CHECK_REST_MS = 5 * SECOND_MS;
const LOST_WALK_INTERVAL_MS = MINUTE_MS;
/** Walks for what lost nodes held take at most this share of the time. */
const LOST_WALK_SHARE_MAX = 0.02;
const INVENTORY_INTERVAL_MS = DAY_MS;
const RATE_WINDOW_MS = 30 * SECOND_MS;
const REPAIR_WAIT_MS = 50;

export interface HealerParts {
  readonly engine: MetadataEngine;
  readonly committer: Committer;
  readonly grid: Grid;
  readonly surgery: StripeSurgery;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: TaskLog & { info(fields: object, message: string): void };
  readonly isPinned: (stripeId: Buffer) => boolean;
  readonly logId: number;
  readonly profile: { readonly k: number; readonly m: number };
  readonly repairBytesPerSecond: number;
  readonly scrubBytesPerSecond: number;
  readonly scrubPassMs: number;
  /** Changes the node's state for good: its record says lost, its fragments are rebuilt elsewhere. */
  readonly declareLost: (nodeId: number) => Promise<void>;
  /** Moves what lives in a stripe to one of the width that is written now. */
  readonly relocate: (stripeId: Buffer) => Promise<boolean>;
  /** Until when (wall clock) unknown fragments are kept because the records may be older than the nodes' data. */
  readonly orphansHeldUntilMs?: number;
}

export interface ScrubOutcome {
  readonly counts: ScrubCounts;
  /** Nodes that could not be compared with the records, because they do not answer. */
  readonly nodesAway: number;
  readonly orphans: number;
  readonly orphansDeleted: number;
  readonly rebuiltFragments: number;
  readonly unrepairable: number;
}

export class Healer {
  readonly damage: DamageMarker;
  readonly stripes: StripeCounter;
  readonly scrubber: Scrubber;
  readonly repairer: Repairer;
  readonly losses: LossWatch;
  readonly inventories: Inventories;
  readonly transcoder: Transcoder;
  readonly tombs: TombSweeper;
  readonly #parts: HealerParts;
  readonly #tasks: Readonly<
    Record<'repair' | 'transcode' | 'tombs' | 'scrub' | 'inventory' | 'losses', Task>
  >;
  readonly #stopping = new AbortController();
  readonly #asked = new Set<Promise<unknown>>();
  #nextFullInventoryMs = 0;
  #nextLostWalkMs = 0;
  #rateMark = { atMs: 0, bytes: 0, bytesPerSecond: 0 };

  constructor(parts: HealerParts) {
    this.#parts = parts;
    const { engine, committer, grid, surgery, clock, random, log, profile } = parts;
    const claims = new StripeClaims();
    const onFailure = (err: unknown) => log.warn({ err }, 'healing met an unexpected failure; it goes on');
    this.damage = new DamageMarker(committer, clock, {
      marked: () => this.#tasks.repair.wake(),
      failure: onFailure,
    });
    const { damage } = this;
    this.stripes = new StripeCounter(engine, grid, clock, profile.k + profile.m);
    const budget = new ByteBudget(clock, parts.repairBytesPerSecond);
    this.repairer = new Repairer({ engine, committer, grid, surgery, clock, budget, claims, onFailure });
    this.transcoder = new Transcoder({
      ...{ engine, grid, clock, budget, claims, profile, onFailure },
      relocate: parts.relocate,
    });
    const scrubBudget = new ByteBudget(clock, parts.scrubBytesPerSecond * (profile.k + profile.m));
    const passMs = parts.scrubPassMs;
    this.scrubber = new Scrubber({ engine, committer, surgery, damage, clock, budget: scrubBudget, passMs });
    this.losses = new LossWatch(grid, engine, damage, clock, profile.m);
    this.tombs = new TombSweeper({
      ...{ engine, committer, grid, surgery, clock, random },
      isPinned: parts.isPinned,
    });
    this.inventories = new Inventories({
      ...{ engine, committer, grid, surgery, clock, claims, damage, log, logId: parts.logId },
      heldUntilMs: parts.orphansHeldUntilMs ?? 0,
    });
    this.#tasks = this.#createTasks(clock, log);
    grid.onStateChange((node, before) => this.#onStateChange(node, before));
  }

  #createTasks(clock: Clock, log: TaskLog) {
    return {
      repair: new Task('repair', clock, log, (signal) => this.#repairStep(signal)),
      transcode: new Task('transcode', clock, log, (signal) => this.#transcodeStep(signal)),
      tombs: new Task('tombs', clock, log, () => this.#tombStep()),
      scrub: new Task('scrub', clock, log, (signal) => this.scrubber.backgroundStep(signal)),
      inventory: new Task('inventory', clock, log, () => this.#inventoryStep()),
      losses: new Task('losses', clock, log, () => this.#lossStep()),
    };
  }

  #onStateChange(node: GridNode, before: NodeState): void {
    this.stripes.invalidate();
    this.repairer.retryAll();
    this.transcoder.retryAll();
    if (node.state === 'online' && before !== 'suspect') this.inventoryNode(node.id, { lostData: true });
    this.#tasks.repair.wake();
    this.#tasks.transcode.wake();
  }

  start(): void {
    for (const task of Object.values(this.#tasks)) task.start();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('healing stops'));
    await Promise.all(Object.values(this.#tasks).map((task) => task.stop()));
    await Promise.allSettled(this.#asked);
    await this.damage.flush();
  }

  /** Compares this node with the records soon. `lostData`: it may have less than before. */
  inventoryNode(nodeId: number, options: { readonly lostData?: boolean } = {}): void {
    this.inventories.ask(nodeId, options);
    this.#tasks.inventory.wake();
  }

  /** The node was given up: what it held is to be rebuilt, now. */
  async nodeLost(nodeId: number, reason: string): Promise<void> {
    await this.losses.markAll(new Set([nodeId]), reason);
    this.wake();
  }

  wake(): void {
    this.stripes.invalidate();
    this.repairer.retryAll();
    this.transcoder.retryAll();
    for (const task of Object.values(this.#tasks)) task.wake();
  }

  async #repairStep(signal: AbortSignal): Promise<number> {
    const completed = await this.repairer.step(signal);
    return completed > 0 ? 0 : IDLE_REST_MS;
  }

  async #transcodeStep(signal: AbortSignal): Promise<number> {
    const { narrow, incomplete } = await this.stripes.summary();
    if (narrow === 0 && incomplete === 0) return IDLE_REST_MS;
    return (await this.transcoder.step(signal)) > 0 ? 0 : IDLE_REST_MS;
  }

  async #tombStep(): Promise<number> {
    const { more } = await this.tombs.step();
    return more ? TOMB_PAGE_REST_MS : TOMB_REST_MS;
  }

  async #lossStep(): Promise<number> {
    const { clock, log, declareLost } = this.#parts;
    for (const nodeId of await this.losses.due()) {
      log.warn({ node: nodeId }, 'node did not come back in time and is declared lost');
      await declareLost(nodeId);
      await this.nodeLost(nodeId, 'node lost');
    }
    if (clock.monotonicMs() >= this.#nextLostWalkMs) await this.#walkForLostNodes();
    return LOSS_CHECK_REST_MS;
  }

  async #walkForLostNodes(): Promise<void> {
    const { clock, grid } = this.#parts;
    const lost = grid.nodes().filter((node) => node.record.state === 'lost');
    const startedMs = clock.monotonicMs();
    if (lost.length > 0) await this.losses.markAll(new Set(lost.map((node) => node.id)), 'node lost');
    const tookMs = clock.monotonicMs() - startedMs;
    this.#nextLostWalkMs =
      clock.monotonicMs() + Math.max(LOST_WALK_INTERVAL_MS, tookMs / LOST_WALK_SHARE_MAX);
  }

  async #inventoryStep(): Promise<number> {
    const nowMs = this.#parts.clock.monotonicMs();
    if (nowMs >= this.#nextFullInventoryMs) {
      this.#nextFullInventoryMs = nowMs + INVENTORY_INTERVAL_MS;
      for (const node of this.#parts.grid.nodes()) this.inventories.ask(node.id);
    }
    if (await this.inventories.step()) return 0;
    return this.inventories.isDue ? SECOND_MS : IDLE_REST_MS;
  }

  /**
   * Verifies everything now: an inventory of every node and a whole scrub pass; then repairs what can be repaired and waits for it.
   * With `dryRun` nothing is changed.
   */
  scrubNow(options: { readonly dryRun: boolean; readonly deleteOrphans?: boolean }): Promise<ScrubOutcome> {
    const running = this.#scrubNow(options, this.#stopping.signal);
    this.#asked.add(running);
    const ended = () => void this.#asked.delete(running);
    running.then(ended, ended);
    return running;
  }

  async #scrubNow(
    options: { readonly dryRun: boolean; readonly deleteOrphans?: boolean },
    signal: AbortSignal,
  ): Promise<ScrubOutcome> {
    const before = this.repairer.counts.rebuiltFragments;
    const acts = !options.dryRun;
    const found = await this.inventories.takeAll({
      acts,
      deleteOrphans: acts && options.deleteOrphans === true,
    });
    const counts = await this.scrubber.wholePass({ mark: acts, signal });
    const missing = counts.missing + found.missing;
    const outcome = { counts: { ...counts, missing }, nodesAway: found.nodesAway, orphans: found.orphans };
    if (!acts) return { ...outcome, orphansDeleted: 0, rebuiltFragments: 0, unrepairable: 0 };
    await this.tombs.sweepNow();
    await this.damage.flush();
    await this.#repairEverything(signal);
    return {
      ...outcome,
      orphansDeleted: found.orphansDeleted,
      rebuiltFragments: this.repairer.counts.rebuiltFragments - before,
      unrepairable: await this.queueLength(),
    };
  }

  /** Ends when a whole step completes nothing and nothing is being rebuilt. */
  async #repairEverything(signal: AbortSignal): Promise<void> {
    this.repairer.retryAll();
    while ((await this.repairer.step(signal)) > 0 || this.repairer.activeCount > 0) {
      if (this.repairer.activeCount > 0) await this.#parts.clock.sleep(REPAIR_WAIT_MS, signal);
    }
  }

  /** Stripes that wait for repair or are being rebuilt. */
  async queueLength(): Promise<number> {
    return (await this.#queue()).queued;
  }

  async #queue(): Promise<{ readonly queued: number; readonly unrepairable: number }> {
    let [queued, unrepairable] = [0, 0];
    await this.#eachKey(prefixes.queue(), (key) => {
      queued += 1;
      if (this.repairer.isDeferred(key.subarray(-16))) unrepairable += 1;
    });
    return { queued, unrepairable };
  }

  async #eachKey(prefix: Uint8Array, visit: (key: Buffer) => void): Promise<void> {
    for await (const page of pages(this.#parts.engine, prefix, 1000)) for (const [key] of page) visit(key);
  }

  /** What `status` shows of healing. */
  async report() {
    const summary = await this.stripes.summary();
    const { queued, unrepairable } = await this.#queue();
    let tombs = 0;
    await this.#eachKey(prefixes.tombs(), () => {
      tombs += 1;
    });
    const bytesPerSecond = this.#rate();
    return {
      queuedStripes: queued,
      doing: this.#doing(),
      rebuiltFragments: this.repairer.counts.rebuiltFragments,
      rebuiltBytes: this.repairer.counts.rebuiltBytes,
      bytesPerSecond,
      remainingBytes: summary.missingBytes,
      etaMs:
        bytesPerSecond > 0 && summary.missingBytes > 0
          ? (summary.missingBytes / bytesPerSecond) * 1000
          : undefined,
      tombs,
      orphansDeleted: this.inventories.orphansDeleted,
      orphansWaiting: this.inventories.orphansWaiting,
      frozen: this.losses.frozen,
      unrepairable,
    };
  }

  #doing(): string[] {
    const doing: string[] = [];
    const { activeCount } = this.repairer;
    if (activeCount > 0) doing.push(`rebuilding ${activeCount} stripes`);
    if (this.transcoder.running) doing.push('writing stripes again at the width that the grid has now');
    if (this.inventories.current !== undefined)
      doing.push(`taking an inventory of node ${this.inventories.current}`);
    if (this.scrubber.running) doing.push('scrubbing');
    return doing;
  }

  #rate(): number {
    const nowMs = this.#parts.clock.monotonicMs();
    const elapsedMs = nowMs - this.#rateMark.atMs;
    const bytes = this.repairer.counts.rebuiltBytes;
    if (elapsedMs >= RATE_WINDOW_MS || this.repairer.activeCount === 0) {
      this.#rateMark = { atMs: nowMs, bytes, bytesPerSecond: 0 };
    } else if (elapsedMs > SECOND_MS) {
      this.#rateMark.bytesPerSecond = ((bytes - this.#rateMark.bytes) / elapsedMs) * 1000;
    }
    return this.#rateMark.bytesPerSecond;
  }
}
