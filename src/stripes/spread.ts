/**
 * Puts the fragments of one stripe on distinct nodes until all are on stable storage (design/commits.md, "Data stripes"). A fragment
 * that fails or misses its deadline goes to another node that holds nothing of this stripe. When there is none left, the answer
 * says which nodes took theirs, and the writer writes the stripe again, narrower.
 *
 * A put that is late still reads its memory, and what it writes is part of a segment: `unsettled` says until when.
 */
import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { HoldfastError, hasCode } from '../base/errors.ts';
import { Gate } from '../base/limits.ts';
import { MIB, SECOND_MS } from '../base/units.ts';
import { within } from '../grid/deadline.ts';
import type { Grid, GridNode } from '../grid/types.ts';

/** Bytes on their way to one node; more wait, within their deadline, so that a stuck node holds up nobody. */
const BYTES_PER_NODE_MAX = 16 * MIB;
/** With too few other nodes to go on without them, late puts are waited for this long. */
const PATIENCE_MS = 30 * SECOND_MS;

export interface FragmentToSpread {
  readonly index: number;
  readonly name: Uint8Array;
  readonly pieces: readonly Uint8Array[];
}

export interface Spread {
  /** Node of each fragment that is on stable storage. */
  readonly placed: ReadonlyMap<number, number>;
  /** Nodes that were asked and did not take their fragment: because they are full, or for another reason. */
  readonly fullNodes: number;
  /** Where a fragment may lie although it was not acknowledged. */
  readonly uncertain: readonly { readonly index: number; readonly node: number }[];
  /** Resolves when every put has ended; undefined when all have. Until then the memory of the pieces must not change. */
  readonly unsettled: Promise<void> | undefined;
}

interface Attempt {
  readonly index: number;
  readonly node: GridNode;
  readonly late: boolean;
}

export class Spreader {
  readonly #grid: Grid;
  readonly #clock: Clock;
  readonly #onTheWay = new Map<number, Gate>();

  constructor(grid: Grid, clock: Clock) {
    this.#grid = grid;
    this.#clock = clock;
  }

  /** `nodes` are in order of preference; nodes in `taken` already hold something of this stripe. */
  async spread(
    fragments: readonly FragmentToSpread[],
    nodes: readonly GridNode[],
    options: { readonly taken?: ReadonlySet<number>; readonly enough: number },
  ): Promise<Spread> {
    const spare = nodes.filter((node) => options.taken?.has(node.id) !== true);
    const placed = new Map<number, number>();
    const uncertain: { index: number; node: number }[] = [];
    const late: Promise<Attempt | undefined>[] = [];
    const running = new Set<Promise<void>>();
    let fullNodes = 0;

    const place = async (fragment: FragmentToSpread): Promise<void> => {
      for (let node = spare.shift(); node !== undefined; node = spare.shift()) {
        const waiting = new AbortController();
        const put = this.#put(node, fragment, waiting.signal);
        const ended = put.catch(() => undefined).then(() => void running.delete(ended));
        running.add(ended);
        const outcome = await within(this.#clock, this.#grid.writeDeadlineMs(node), put);
        if (outcome.kind === 'done') {
          this.#grid.report(node.id, { kind: 'write', durationMs: outcome.durationMs });
          placed.set(fragment.index, node.id);
          return;
        }
        uncertain.push({ index: fragment.index, node: node.id });
        if (outcome.kind === 'late') {
          waiting.abort(
            new HoldfastError('NodeUnavailable', { detail: `node ${node.id} has too much to do` }),
          );
          this.#grid.report(node.id, { kind: 'missedDeadline' });
          const attempt = { index: fragment.index, node, late: true };
          late.push(
            put.then(
              () => attempt,
              () => undefined,
            ),
          );
        } else if (hasCode(outcome.error, 'NodeFull')) fullNodes += 1;
        else this.#grid.report(node.id, { kind: 'failed', error: outcome.error });
      }
    };
    await Promise.all(fragments.map(place));
    if (placed.size < fragments.length && placed.size < options.enough && late.length > 0) {
      await this.#takeLate(late, placed, fragments.length);
    }
    assert(new Set(placed.values()).size === placed.size, 'a node holds at most one fragment of a stripe');
    const stray = uncertain.filter(({ index, node }) => placed.get(index) !== node);
    const unsettled = running.size === 0 ? undefined : Promise.all(running).then(() => undefined);
    return { placed: new Map(placed), fullNodes, uncertain: stray, unsettled };
  }

  /** Accepts late puts as they finish: when nothing else can be done, waiting beats refusing. */
  async #takeLate(
    late: Promise<Attempt | undefined>[],
    placed: Map<number, number>,
    wanted: number,
  ): Promise<void> {
    const all = Promise.all(
      late.map(async (attempt) => {
        const done = await attempt;
        if (done !== undefined && !placed.has(done.index) && placed.size < wanted)
          placed.set(done.index, done.node.id);
      }),
    );
    await within(this.#clock, PATIENCE_MS, all);
  }

  async #put(node: GridNode, fragment: FragmentToSpread, waiting: AbortSignal): Promise<void> {
    const bytes = Math.min(byteLength(fragment), BYTES_PER_NODE_MAX);
    let gate = this.#onTheWay.get(node.id);
    if (gate === undefined)
      this.#onTheWay.set(node.id, (gate = new Gate(`node ${node.id}`, BYTES_PER_NODE_MAX)));
    await gate.acquire(bytes, waiting);
    try {
      await node.store.put(fragment.name, fragment.pieces);
    } finally {
      gate.release(bytes);
    }
  }
}

function byteLength(fragment: FragmentToSpread): number {
  let bytes = 0;
  for (const piece of fragment.pieces) bytes += piece.length;
  return bytes;
}
