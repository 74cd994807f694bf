/**
 * Writes stripes. Acknowledged means complete: all n fragments are on stable storage of n distinct nodes when `write` resolves
 * (design/commits.md, "Data stripes"). What cannot be completed at full width is written again at a new position on the L
 * nodes that answered, as (L − m) + m: narrower, with the same tolerance.
 */
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import { farmLimit, isRelaxed, widestPlan } from '../grid/placement.ts';
import type { Grid, GridNode } from '../grid/types.ts';
import { RECORD_FORMAT, type StripeRecord } from '../metadata/records.ts';
import { allGood } from './condition.ts';
import type { Discarded } from './discards.ts';
import type { EncodedStripe, RepairBuffer, StripeEngine } from './engine/types.ts';
import { PATIENCE_MS } from './exchange.ts';
import type { FragmentSeals } from './fragments.ts';
import type { Positions } from './positions.ts';
import type { FragmentToSpread, Spread, Spreader } from './spread.ts';
import type { PayloadRange, Profile, SealRun, StripeId, WrittenStripe } from './types.ts';

/** Each attempt is on fewer nodes than the one before, so this is never the limit that decides. */
const ATTEMPTS_MAX = 8;

export interface WriterParts {
  readonly grid: Grid;
  readonly engine: StripeEngine;
  readonly seals: FragmentSeals;
  readonly positions: Positions;
  readonly spreader: Spreader;
  readonly clock: Clock;
  readonly profile: Profile;
  /** Takes fragments that nobody needs any more. */
  readonly discard: (fragments: readonly Discarded[]) => void;
}

/** What is to be written: memory with the plaintext, or with a payload, and room for the fragments. */
export interface WriteMemory {
  readonly plaintext: Uint8Array;
  readonly fragments: Uint8Array;
}

/** How a stripe will lie on the nodes. */
interface Layout {
  readonly geometry: Profile;
  readonly farmMax: number;
}

/** A payload that lies encoded in memory. */
interface Encoded extends Layout {
  readonly fragments: Uint8Array;
  readonly payloadLengthBytes: number;
  readonly stripe: EncodedStripe;
}

export interface WriteOutcome {
  /** The stripe, or why there is none. */
  readonly result: { readonly written: WrittenStripe } | { readonly error: unknown };
  /** Resolves when no late put reads the caller's memory any more; undefined when none does. */
  readonly unsettled: Promise<unknown> | undefined;
}

export class StripeWriter {
  #relaxedCount = 0;
  readonly #parts: WriterParts;

  constructor(parts: WriterParts) {
    this.#parts = parts;
  }

  /**
   * Stripes written since the start with more fragments in one farm than the rule allows (DESIGN.md, "Grid and healing"): there
   * were too few farms.
   */
  get relaxedCount(): number {
    return this.#relaxedCount;
  }

  /** Seals and writes. Rejects only before anything was sent to a node. */
  async write(memory: WriteMemory, runs: readonly SealRun[]): Promise<WriteOutcome> {
    const layout = this.#layoutNow();
    const { fragments } = memory;
    const buffer = { ...memory, release: () => undefined, releaseAfter: () => undefined };
    const stripe = await this.#parts.engine.seal(buffer, runs, layout.geometry);
    const { payloadLengthBytes, ranges } = stripe;
    return this.#writeEncoded({ ...layout, fragments, payloadLengthBytes, stripe }, ranges);
  }

  /** Writes a payload that lies at the start of `fragments` already. */
  async writePayload(
    fragments: Uint8Array,
    payloadLengthBytes: number,
    ranges: readonly PayloadRange[],
  ): Promise<WriteOutcome> {
    const layout = this.#layoutNow();
    const stripe = await this.#parts.engine.encode(fragments, payloadLengthBytes, layout.geometry);
    return this.#writeEncoded({ ...layout, fragments, payloadLengthBytes, stripe }, ranges);
  }

  async #writeEncoded(encoded: Encoded, ranges: readonly PayloadRange[]): Promise<WriteOutcome> {
    const stripeId = this.#parts.positions.allocate();
    const nodes = this.#parts.grid.candidates(stripeId);
    const spread = await this.#spread(stripeId, encoded, nodes);
    const { unsettled } = spread;
    if (isComplete(encoded, spread)) {
      return { result: { written: this.#complete(stripeId, encoded, spread, ranges) }, unsettled };
    }
    this.#giveUp(stripeId, spread);
    try {
      return { result: { written: await this.#writeNarrower(encoded, ranges, spread) }, unsettled };
    } catch (error) {
      return { result: { error }, unsettled };
    }
  }

  /** Late puts may still read the memory of the attempts before, so each encodes the payload in memory of its own. */
  async #writeNarrower(
    first: Encoded,
    ranges: readonly PayloadRange[],
    failed: Spread,
  ): Promise<WrittenStripe> {
    let spread = failed;
    let sawFull = false;
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const able = new Set([...spread.placed.values(), ...spread.unasked.map(({ id }) => id)]);
      const nodes = this.#parts.grid.nodes().filter((node) => able.has(node.id));
      sawFull ||= spread.fullNodes > 0;
      const layout = this.#layoutFor(nodes, first.geometry, sawFull);
      const stripeId = this.#parts.positions.allocate();
      const encoded = await this.#spreadFromSpare(stripeId, first, layout, nodes);
      spread = encoded.spread;
      if (isComplete(encoded, spread)) return this.#complete(stripeId, encoded, spread, ranges);
      this.#giveUp(stripeId, spread);
    }
    throw new HoldfastError('GridUnavailable', { detail: 'nodes keep failing while a stripe is written' });
  }

  async #spreadFromSpare(
    stripeId: StripeId,
    { fragments, payloadLengthBytes }: Encoded,
    layout: Layout,
    nodes: readonly GridNode[],
  ): Promise<Encoded & { readonly spread: Spread }> {
    let spare: RepairBuffer | undefined;
    let unsettled: Spread['unsettled'];
    try {
      spare = await acquireSpare(this.#parts);
      spare.fragments.set(fragments.subarray(0, payloadLengthBytes));
      const stripe = await this.#parts.engine.encode(spare.fragments, payloadLengthBytes, layout.geometry);
      const encoded = { ...layout, fragments: spare.fragments, payloadLengthBytes, stripe };
      const spread = await this.#spread(stripeId, encoded, nodes);
      unsettled = spread.unsettled;
      return { ...encoded, spread };
    } catch (error) {
      this.#parts.positions.settle(stripeId);
      throw error;
    } finally {
      if (unsettled === undefined) spare?.release();
      else spare?.releaseAfter(unsettled);
    }
  }

  /** The layout for the nodes that can take fragments at this moment. */
  #layoutNow(): Layout {
    const { grid, profile } = this.#parts;
    const isFull = (node: GridNode) => grid.mayAsk(node, 'write') && node.hello?.freeBytes === 0;
    return this.#layoutFor(grid.candidates(Buffer.alloc(0)), profile, grid.nodes().some(isFull));
  }

  /**
   * How to lie on these nodes, never wider than `wanted`.
   * @throws GridUnavailable with fewer than m + 1 nodes, InsufficientStorage when that is because they are full
   */
  #layoutFor(nodes: readonly GridNode[], { k, m, codecId }: Profile, nodesAreFull: boolean): Layout {
    const farms = nodes.map((node) => node.record.farm);
    const plan = widestPlan(farms, k, m);
    if (plan !== undefined) return { geometry: { k: plan.k, m, codecId }, farmMax: plan.farmMax };
    if (nodesAreFull) throw new HoldfastError('InsufficientStorage');
    throw new HoldfastError('GridUnavailable', {
      detail: `${nodes.length} nodes can take this write; ${m + 1} are needed to survive the loss of ${m}`,
    });
  }

  #spread(
    stripeId: StripeId,
    { fragments, geometry, stripe, farmMax }: Encoded,
    nodes: readonly GridNode[],
  ): Promise<Spread> {
    const { seals, spreader } = this.#parts;
    const { fragmentLengthBytes, stripeLengthBytes } = stripe;
    const { k, m, codecId: codec } = geometry;
    const shape = { codec, k, m, generation: seals.generation, fragmentLengthBytes, stripeLengthBytes };
    const pieces = stripe.roots.map((root, index): FragmentToSpread => {
      const name = seals.name(stripeId, index);
      const bytes = fragments.subarray(index * fragmentLengthBytes, (index + 1) * fragmentLengthBytes);
      return { index, name, pieces: [bytes, seals.trailer(name, index, shape, root)] };
    });
    return spreader.spread(pieces, nodes, { enough: m + 1, lateMax: m, farmMax });
  }

  #complete(
    stripeId: StripeId,
    encoded: Encoded,
    spread: Spread,
    ranges: readonly PayloadRange[],
  ): WrittenStripe {
    this.#discard(stripeId, spread.strays);
    const record = this.#record(encoded, spread);
    this.#countRelaxed(record);
    return { stripeId, record, ranges };
  }

  #countRelaxed({ k, m, nodes }: StripeRecord): void {
    const { grid } = this.#parts;
    const chosen = nodes.map((id) => ({ id, farm: grid.node(id)?.record.farm ?? '', weight: 1 }));
    if (isRelaxed(chosen, farmLimit(k, m))) this.#relaxedCount += 1;
  }

  #record({ geometry, stripe }: Encoded, spread: Spread): StripeRecord {
    const count = geometry.k + geometry.m;
    return {
      v: RECORD_FORMAT,
      codec: geometry.codecId,
      k: geometry.k,
      m: geometry.m,
      generation: this.#parts.seals.generation,
      fragmentLengthBytes: stripe.fragmentLengthBytes,
      stripeLengthBytes: stripe.stripeLengthBytes,
      nodes: Array.from({ length: count }, (_, index) => spread.placed.get(index) as number),
      good: allGood(count),
      createdMs: this.#parts.clock.nowMs(),
    };
  }

  /** The position is dead: what was or may have been placed is deleted now, and by the orphan sweep where that fails. */
  #giveUp(stripeId: StripeId, spread: Spread): void {
    const placed = [...spread.placed].map(([index, node]) => ({ index, node, ended: undefined }));
    this.#discard(stripeId, [...placed, ...spread.strays]);
    this.#parts.positions.settle(stripeId);
  }

  #discard(stripeId: StripeId, strays: Spread['strays']): void {
    this.#parts.discard(strays.map((stray) => ({ stripeId, ...stray })));
  }
}

/** Spare memory, or a refusal when nodes hang on to all of it. */
export async function acquireSpare({
  engine,
  clock,
}: Pick<WriterParts, 'engine' | 'clock'>): Promise<RepairBuffer> {
  const patience = new AbortController();
  const timer = clock.schedule(PATIENCE_MS, () =>
    patience.abort(
      new HoldfastError('GridUnavailable', { detail: 'nodes that hang hold all memory for writing again' }),
    ),
  );
  try {
    return await engine.acquireSpare(patience.signal);
  } finally {
    timer.cancel();
  }
}

function isComplete({ geometry }: Encoded, spread: Spread): boolean {
  return spread.placed.size === geometry.k + geometry.m;
}
