/**
 * The nodes a gateway may use, live: nodes are added, stopped and given up while clients go on working. Every exchange is reported
 * here, states follow from it, and who asked is told when one changes. Silent nodes are probed with `hello`.
 */
import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import type { NodeRecord } from '../metadata/records.ts';
import type { FragmentStore, NodeHello } from '../node/fragmentstore.ts';
import { NodeHealth } from './health.ts';
import { farmLimit, placementOrder } from './placement.ts';
import type { Grid, GridNode, NodeOutcome, NodeState } from './types.ts';

const PROBE_DEADLINE_MS = 2000;
/** Of all nodes; above it (and above m) suspects are used like others. */
const SUSPECT_SHARE_MAX = 0.2;

class RegisteredNode implements GridNode {
  readonly id: number;
  record: NodeRecord;
  readonly store: FragmentStore;
  readonly health: NodeHealth;
  hello: NodeHello | undefined;
  /** As last told to listeners. */
  told: NodeState = 'offline';

  constructor(id: number, record: NodeRecord, store: FragmentStore, clock: Clock) {
    this.id = id;
    this.record = record;
    this.store = store;
    this.health = new NodeHealth(clock);
    this.health.silent('it has not answered yet');
  }

  get state(): NodeState {
    return this.record.state === 'lost' ? 'lost' : this.health.state;
  }

  get problem(): string {
    return this.record.state === 'lost' ? 'given up' : this.health.problem;
  }

  get writeP95Ms(): number {
    return this.health.writes.p95();
  }

  get readP95Ms(): number {
    return this.health.reads.p95();
  }
}

export class GridRegistry implements Grid {
  readonly #clock: Clock;
  readonly #farmMax: number;
  readonly #parityCount: number;
  readonly #nodes = new Map<number, RegisteredNode>();
  readonly #stateListeners: ((node: GridNode, before: NodeState) => void)[] = [];
  readonly #regressionListeners: ((node: GridNode) => void)[] = [];

  constructor(clock: Clock, profile: { readonly k: number; readonly m: number }) {
    this.#clock = clock;
    this.#farmMax = farmLimit(profile.k, profile.m);
    this.#parityCount = profile.m;
  }

  nodes(): readonly GridNode[] {
    return [...this.#nodes.values()];
  }

  node(id: number): GridNode | undefined {
    return this.#nodes.get(id);
  }

  /** Why a node is not online; empty when it is. */
  problem(id: number): string {
    return this.#nodes.get(id)?.problem ?? 'there is no such node';
  }

  add(id: number, record: NodeRecord, store: FragmentStore): void {
    assert(!this.#nodes.has(id), `node ${id} is registered twice`);
    this.#nodes.set(id, new RegisteredNode(id, record, store, this.#clock));
  }

  /** The node's record changed: drained, given up, or a new identity in its place. */
  update(id: number, record: NodeRecord): void {
    const node = this.#nodes.get(id);
    if (node === undefined) return;
    node.record = record;
    this.#tell(node);
  }

  candidates(seed: Uint8Array): readonly GridNode[] {
    const usable: { id: number; farm: string; weight: number; node: RegisteredNode }[] = [];
    const suspects = this.#takesSuspects();
    for (const node of this.#nodes.values()) {
      const answers = node.state === 'online' || (suspects && node.state === 'suspect');
      if (!answers || node.record.state !== 'active') continue;
      const weight = node.hello?.freeBytes ?? 0;
      if (weight > 0) usable.push({ id: node.id, farm: node.record.farm, weight, node });
    }
    return placementOrder(usable, seed, this.#farmMax).map(({ node }) => node);
  }

  /** When more nodes are slow than can be at fault by themselves, the fault is ours or the disk's that they share. */
  #takesSuspects(): boolean {
    const all = [...this.#nodes.values()].filter((node) => node.state !== 'lost');
    const suspects = all.filter((node) => node.state === 'suspect').length;
    return suspects > Math.max(this.#parityCount, all.length * SUSPECT_SHARE_MAX);
  }

  writeDeadlineMs(node: GridNode): number {
    return this.#nodes.get(node.id)?.health.writeDeadlineMs() ?? 0;
  }

  readDeadlineMs(node: GridNode): number {
    return this.#nodes.get(node.id)?.health.readDeadlineMs() ?? 0;
  }

  report(nodeId: number, outcome: NodeOutcome): void {
    const node = this.#nodes.get(nodeId);
    if (node === undefined) return;
    node.health.record(outcome);
    this.#tell(node);
  }

  onStateChange(listener: (node: GridNode, before: NodeState) => void): void {
    this.#stateListeners.push(listener);
  }

  /** `listener` runs when a node shows fewer durable appends than before, or another identity: it lost data. */
  onRegression(listener: (node: GridNode) => void): void {
    this.#regressionListeners.push(listener);
  }

  /** Asks every node how it is. Resolves when all answered or their deadline passed. */
  async probeAll(): Promise<void> {
    await Promise.all([...this.#nodes.keys()].map((id) => this.probe(id)));
  }

  /** Asks one node. True when it answered. */
  async probe(id: number): Promise<boolean> {
    const node = this.#nodes.get(id);
    if (node === undefined || node.record.state === 'lost') return false;
    try {
      const hello = await this.#helloWithin(node.store, PROBE_DEADLINE_MS);
      const before = node.hello;
      node.hello = hello;
      const regressed =
        before !== undefined &&
        (before.nodeUuid !== hello.nodeUuid || hello.durableAppends < before.durableAppends);
      node.health.answered();
      if (regressed) for (const listener of this.#regressionListeners) listener(node);
    } catch (error) {
      node.health.silent(error instanceof Error ? error.message : String(error));
    }
    this.#tell(node);
    return node.state === 'online';
  }

  async #helloWithin(store: FragmentStore, deadlineMs: number): Promise<NodeHello> {
    const timeout = Promise.withResolvers<never>();
    const timer = this.#clock.schedule(deadlineMs, () => timeout.reject(new Error('it does not answer')));
    try {
      return await Promise.race([store.hello(), timeout.promise]);
    } finally {
      timer.cancel();
    }
  }

  #tell(node: RegisteredNode): void {
    const before = node.told;
    if (before === node.state) return;
    node.told = node.state;
    for (const listener of this.#stateListeners) listener(node, before);
  }
}
