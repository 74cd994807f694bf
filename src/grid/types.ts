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

export type NodeOutcome =
  | { readonly kind: 'write'; readonly durationMs: number }
  | { readonly kind: 'read'; readonly durationMs: number }
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
  /** Every exchange with a node is reported; states follow from it. */
  report(nodeId: number, outcome: NodeOutcome): void;
  /** `listener` runs after a node changed its state. */
  onStateChange(listener: (node: GridNode, before: NodeState) => void): void;
}
