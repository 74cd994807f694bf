/** What a gateway knows of its nodes. */

import type { NodeRecord } from '../metadata/records.ts';
import type { FragmentStore, NodeHello } from '../node/fragmentstore.ts';

/** online → suspect (missed deadlines) → offline → lost; design/healing.md, "States". */
export type NodeState = 'online' | 'suspect' | 'offline' | 'lost';

export interface GridNode {
  /** u16, given out once by the grid. */
  readonly id: number;
  readonly record: NodeRecord;
  readonly store: FragmentStore;
  readonly state: NodeState;
  /** As of the last answer; undefined when it never answered. */
  readonly hello: NodeHello | undefined;
  /** 95th percentile of recent durable writes and of recent reads. */
  readonly writeP95Ms: number;
  readonly readP95Ms: number;
}

/** Whether it answers at all, if late. */
export function answers(node: GridNode | undefined): boolean {
  return node?.state === 'online' || node?.state === 'suspect';
}

/** What an exchange does to a node: deletes count as writes, verifying and listing as reads. */
export type ExchangeKind = 'read' | 'write';

export type NodeOutcome =
  /** `late`: it missed its deadline first, so how long it took is evidence, but weighs no more than the deadline. */
  | { readonly kind: ExchangeKind; readonly durationMs: number; readonly late?: boolean }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'missedDeadline' };

export interface Grid {
  nodes(): readonly GridNode[];
  node(id: number): GridNode | undefined;
  /** Nodes that new fragments may go to now: online, active, with space; best first for `seed` (a pure function of the grid). */
  candidates(seed: Uint8Array): readonly GridNode[];
  /** max(250 ms, 4 × p95 of the node's recent writes). */
  writeDeadlineMs(node: GridNode): number;
  readDeadlineMs(node: GridNode): number;
  /**
   * Whether the node may be asked: it answers, and not too many exchanges of this kind hang in it. One that takes requests and never
   * answers is left alone until they end, so that it can hold only so much memory.
   */
  mayAsk(node: GridNode, kind: ExchangeKind): boolean;
  /** An exchange missed its deadline and goes on; the function returned is called once, when it has ended. */
  late(nodeId: number, kind: ExchangeKind): () => void;
  /** Every exchange with a node is reported; states follow from it. */
  report(nodeId: number, outcome: NodeOutcome): void;
  /** `listener` runs after a node changed its state. */
  onStateChange(listener: (node: GridNode, before: NodeState) => void): void;
}
