/**
 * The nodes a gateway may use, live: nodes are added, stopped and given up while clients go on working. Every exchange is reported
 * here, states follow from it, and who asked is told when one changes. Silent nodes are probed with `hello`.
 */
import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import type { NodeRecord } from '../metadata/records.ts';
import type { FragmentStore, NodeHello } from '../node/fragmentstore.ts';
import { within } from './deadline.ts';
import { NodeHealth } from './health.ts';
import { farmLimit, placementOrder } from './placement.ts';
import {
  answers,
  type ExchangeKind,
  type Grid,
  type GridNode,
  type NodeOutcome,
  type NodeState,
} from './types.ts';

const PROBE_DEADLINE_MS = 2000;
/** A greeting without an answer is given up after this long: the node may have been restarted behind it. */
const GREETING_MS_MAX = 60_000;
/** Of all nodes; when more (and more than m) are in trouble at once, the fault is ours or of the disk that they share. */
const TROUBLED_SHARE_MAX = 0.2;

class RegisteredNode implements GridNode {
  readonly id: number;
  record: NodeRecord;
  readonly store: FragmentStore;
  readonly health: NodeHealth;
  hello: NodeHello | undefined;
  /** Under way since; a node that does not answer is not asked again at every turn. */
  greeting: { readonly hello: Promise<NodeHello>; readonly sinceMs: number } | undefined;
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
    const suspects = this.#isShared((node) => node.state === 'suspect' || node.health.missedLately);
    for (const node of this.#nodes.values()) {
      const isUsable = node.state === 'online' || (suspects && node.state === 'suspect');
      if (!isUsable || node.record.state !== 'active' || !this.mayAsk(node, 'write')) continue;
      if (node.hello?.durable !== true && node.record.acceptNonDurable !== true) continue;
      const weight = (node.hello?.freeBytes ?? 0) * (node.record.weight ?? 1);
      if (weight > 0) usable.push({ id: node.id, farm: node.record.farm, weight, node });
    }
    return placementOrder(usable, seed, this.#farmMax).map(({ node }) => node);
  }

  /** Whether more nodes are in trouble than can be at fault by themselves. Then nothing is gained by avoiding them. */
  #isShared(isTroubled: (node: RegisteredNode) => boolean): boolean {
    let [count, troubled] = [0, 0];
    for (const node of this.#nodes.values()) {
      if (node.state === 'lost') continue;
      count += 1;
      if (isTroubled(node)) troubled += 1;
    }
    return troubled > Math.max(this.#parityCount, count * TROUBLED_SHARE_MAX);
  }

  mayAsk({ id }: GridNode, kind: ExchangeKind): boolean {
    const node = this.#nodes.get(id);
    if (node === undefined || !answers(node)) return false;
    return !node.health.isStuck(kind) || this.#isShared(({ health }) => health.isStuck(kind));
  }

  late(nodeId: number, kind: ExchangeKind): () => void {
    const node = this.#nodes.get(nodeId);
    if (node === undefined) return () => undefined;
    const ended = node.health.late(kind);
    this.#tell(node);
    return () => {
      ended();
      this.#tell(node);
    };
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

  /** Asks one node. True when it answered; another node that answers in its place counts as silence. */
  async probe(id: number): Promise<boolean> {
    const node = this.#nodes.get(id);
    if (node === undefined || node.record.state === 'lost') return false;
    try {
      const hello = await this.#greet(node);
      if (hello.nodeUuid !== node.record.nodeUuid) {
        throw new HoldfastError('NodeUnavailable', {
          detail: `it answers as another node, ${hello.nodeUuid} instead of ${node.record.nodeUuid}`,
        });
      }
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

  async #greet(node: RegisteredNode): Promise<NodeHello> {
    const nowMs = this.#clock.monotonicMs();
    if (node.greeting === undefined || nowMs - node.greeting.sinceMs > GREETING_MS_MAX) {
      const hello = node.store.hello().finally(() => {
        if (node.greeting === greeting) node.greeting = undefined;
      });
      const greeting = { hello, sinceMs: nowMs };
      node.greeting = greeting;
    }
    const outcome = await within(this.#clock, PROBE_DEADLINE_MS, node.greeting.hello);
    if (outcome.kind === 'done') return outcome.value;
    if (outcome.kind === 'failed') throw outcome.error;
    throw new HoldfastError('NodeUnavailable', { detail: 'it does not answer' });
  }

  #tell(node: RegisteredNode): void {
    const before = node.told;
    if (before === node.state) return;
    node.told = node.state;
    for (const listener of this.#stateListeners) listener(node, before);
  }
}
