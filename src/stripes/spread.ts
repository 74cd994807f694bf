/**
 * Puts the fragments of one stripe on distinct nodes until all are on stable storage (design/commits.md, "Data stripes"). A fragment
 * that fails or misses its deadline goes to another node that holds nothing of this stripe, and whose farm has room for one. When there
 * is none left, the answer says which nodes took theirs, and the writer writes the stripe again, narrower.
 *
 * A put that is late still reads its memory, and what it writes is part of a segment: `unsettled` says until when.
 */
import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { HoldfastError, hasCode } from '../base/errors.ts';
import { Gate } from '../base/limits.ts';
import { MIB } from '../base/units.ts';
import { within } from '../grid/deadline.ts';
import type { Grid, GridNode } from '../grid/types.ts';
import { allSettled, ask, PATIENCE_MS } from './exchange.ts';

/** Bytes on their way to one node; more wait, within their deadline, so that a stuck node holds up nobody. */
const BYTES_PER_NODE_MAX = 16 * MIB;

export interface FragmentToSpread {
  readonly index: number;
  readonly name: Uint8Array;
  readonly pieces: readonly Uint8Array[];
}

/** Where a fragment may lie although it was not acknowledged. */
export interface StrayFragment {
  readonly index: number;
  readonly node: number;
  /** The put is late: a delete comes first before this resolves. */
  readonly ended: Promise<unknown> | undefined;
}

export interface Spread {
  /** Node of each fragment that is on stable storage. */
  readonly placed: ReadonlyMap<number, number>;
  /** Nodes that could still take one, were it not for their farm's limit or because nothing was left to place. */
  readonly unasked: readonly GridNode[];
  /** How many nodes refused their fragment because they are full. */
  readonly fullNodes: number;
  readonly strays: readonly StrayFragment[];
  /** Resolves when every put has ended; undefined when all have. Until then the memory of the pieces must not change. */
  readonly unsettled: Promise<unknown> | undefined;
}

export interface SpreadOptions {
  /** Nodes that already hold something of this stripe. */
  readonly taken?: ReadonlySet<number>;
  /** With fewer placed than this, late puts are waited for patiently: nothing better can be done. */
  readonly enough: number;
  /** When more nodes than this are late at once, the fault is not theirs, and they are waited for as well. */
  readonly lateMax: number;
  /** Fragments that one farm may hold; those of `taken` count. */
  readonly farmMax: number;
}

interface LatePut {
  readonly index: number;
  readonly node: GridNode;
  readonly deadlineMs: number;
  readonly ended: Promise<boolean>;
}

export class Spreader {
  readonly #grid: Grid;
  readonly #clock: Clock;
  readonly #onTheWay = new Map<number, Gate>();

  constructor(grid: Grid, clock: Clock) {
    this.#grid = grid;
    this.#clock = clock;
  }

  /** `nodes` are in order of preference. */
  async spread(
    fragments: readonly FragmentToSpread[],
    nodes: readonly GridNode[],
    options: SpreadOptions,
  ): Promise<Spread> {
    const job = new SpreadJob(this.#grid, nodes, options);
    await allSettled(fragments.map((fragment) => this.#place(job, fragment)));
    const isIncomplete = job.placed.size < fragments.length && job.late.length > 0;
    if (isIncomplete && (job.placed.size < options.enough || job.late.length > options.lateMax)) {
      await this.#takeLate(job, fragments.length);
    }
    return job.result();
  }

  async #place(job: SpreadJob, fragment: FragmentToSpread): Promise<void> {
    const { index } = fragment;
    for (let node = job.take(); node !== undefined; node = job.take()) {
      const { store, id } = node;
      const waiting = new AbortController();
      const deadlineMs = this.#grid.writeDeadlineMs(node);
      const put = () =>
        this.#put(id, () => store.put(fragment.name, fragment.pieces), fragment, waiting.signal);
      const asked = await ask({ grid: this.#grid, clock: this.#clock }, node, 'write', put);
      if (asked.kind === 'done') return job.accept(index, node);
      job.giveBack(node);
      if (asked.kind === 'late') {
        waiting.abort(new HoldfastError('NodeUnavailable', { detail: `node ${id} has too much to do` }));
        job.addLate({ index, node, deadlineMs, ended: asked.ended });
      } else if (hasCode(asked.error, 'NodeFull')) job.fullNodes += 1;
      else job.strays.push({ index, node: id, ended: undefined });
    }
  }

  /**
   * Accepts late puts as they finish. While there are too few to go on without them, patiently; then for as long as a node may take,
   * counted from the last that came: nodes on a slow disk finish together, and one that is stuck holds up nobody.
   */
  async #takeLate(job: SpreadJob, wanted: number): Promise<void> {
    const giveUpMs = this.#clock.monotonicMs() + PATIENCE_MS;
    const pending = new Map(job.late.map((put) => [put, put.ended.then((done) => ({ put, done }))] as const));
    const graceMs = Math.max(...job.late.map(({ deadlineMs }) => deadlineMs));
    while (job.placed.size < wanted && pending.size > 0) {
      const leftMs = giveUpMs - this.#clock.monotonicMs();
      if (leftMs <= 0) return;
      const waitMs = job.placed.size >= job.options.enough ? Math.min(graceMs, leftMs) : leftMs;
      const next = await within(this.#clock, waitMs, Promise.race(pending.values()));
      if (next.kind !== 'done') return;
      const { put, done } = next.value;
      pending.delete(put);
      if (done) job.acceptLate(put);
    }
  }

  async #put(
    nodeId: number,
    put: () => Promise<void>,
    fragment: FragmentToSpread,
    waiting: AbortSignal,
  ): Promise<void> {
    const bytes = Math.min(byteLength(fragment), BYTES_PER_NODE_MAX);
    let gate = this.#onTheWay.get(nodeId);
    if (gate === undefined) {
      gate = new Gate(`node ${nodeId}`, BYTES_PER_NODE_MAX);
      this.#onTheWay.set(nodeId, gate);
    }
    await gate.acquire(bytes, waiting);
    try {
      await put();
    } finally {
      gate.release(bytes);
    }
  }
}

/** What is known of one stripe while it is being spread. */
class SpreadJob {
  readonly options: SpreadOptions;
  readonly placed = new Map<number, number>();
  readonly late: LatePut[] = [];
  readonly strays: StrayFragment[] = [];
  fullNodes = 0;
  readonly #spare: GridNode[];
  readonly #perFarm = new Map<string, number>();
  #hanging = 0;

  constructor(grid: Grid, nodes: readonly GridNode[], options: SpreadOptions) {
    this.options = options;
    this.#spare = nodes.filter((node) => options.taken?.has(node.id) !== true);
    for (const id of options.taken ?? []) {
      const node = grid.node(id);
      if (node !== undefined) this.#count(node, 1);
    }
  }

  /** The next node whose farm has room. Its place is taken until it is given back. */
  take(): GridNode | undefined {
    const at = this.#spare.findIndex((node) => this.#hasRoom(node));
    if (at < 0) return undefined;
    const [node] = this.#spare.splice(at, 1);
    if (node !== undefined) this.#count(node, 1);
    return node;
  }

  giveBack(node: GridNode): void {
    this.#count(node, -1);
  }

  accept(index: number, node: GridNode): void {
    this.placed.set(index, node.id);
  }

  addLate(put: LatePut): void {
    this.late.push(put);
    this.#hanging += 1;
    void put.ended.then(() => {
      this.#hanging -= 1;
    });
  }

  /** A late put has succeeded: it counts when its fragment is nowhere else and its farm has room. */
  acceptLate({ index, node }: LatePut): void {
    if (this.placed.has(index) || !this.#hasRoom(node)) return;
    this.#count(node, 1);
    this.placed.set(index, node.id);
  }

  result(): Spread {
    const { placed } = this;
    assert(new Set(placed.values()).size === placed.size, 'a node holds at most one fragment of a stripe');
    const strays = this.late
      .filter(({ index, node }) => placed.get(index) !== node.id)
      .map(({ index, node, ended }) => ({ index, node: node.id, ended }));
    return {
      placed: new Map(placed),
      unasked: this.#spare,
      fullNodes: this.fullNodes,
      strays: [...this.strays, ...strays],
      unsettled: this.#hanging === 0 ? undefined : Promise.all(this.late.map(({ ended }) => ended)),
    };
  }

  #hasRoom(node: GridNode): boolean {
    return (this.#perFarm.get(node.record.farm) ?? 0) < this.options.farmMax;
  }

  #count({ record: { farm } }: GridNode, by: number): void {
    this.#perFarm.set(farm, (this.#perFarm.get(farm) ?? 0) + by);
  }
}

function byteLength(fragment: FragmentToSpread): number {
  let bytes = 0;
  for (const piece of fragment.pieces) bytes += piece.length;
  return bytes;
}
