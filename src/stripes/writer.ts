/**
 * Writes stripes. Acknowledged means complete: all n fragments are on stable storage of n distinct nodes when `write` resolves
 * (design/commits.md, "Data stripes"). What cannot be completed at full width is written again at a new position on the L
 * nodes that answered, as (L − m) + m: narrower, with the same tolerance.
 */
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Grid, GridNode } from '../grid/types.ts';
import { RECORD_FORMAT, type StripeRecord } from '../metadata/records.ts';
import type { EncodedStripe, StripeEngine, WriteBuffer } from './engine/types.ts';
import { allGood, type FragmentSeals } from './fragments.ts';
import type { Positions } from './positions.ts';
import type { FragmentToSpread, Spread, Spreader } from './spread.ts';
import type { FragmentAddress } from './surgery.ts';
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
  readonly discard: (addresses: readonly FragmentAddress[]) => void;
}

/** A payload that lies encoded in memory. */
interface Encoded {
  readonly fragments: Uint8Array;
  readonly payloadLengthBytes: number;
  readonly geometry: Profile;
  readonly stripe: EncodedStripe;
}

export interface WriteOutcome {
  /** The stripe, or why there is none. */
  readonly result: { readonly written: WrittenStripe } | { readonly error: unknown };
  /** Resolves when no late put reads the caller's memory any more; undefined when none does. */
  readonly unsettled: Promise<void> | undefined;
}

export class StripeWriter {
  readonly #parts: WriterParts;

  constructor(parts: WriterParts) {
    this.#parts = parts;
  }

  /** Seals and writes. Rejects only before anything was sent to a node. */
  async write(buffer: WriteBuffer, runs: readonly SealRun[]): Promise<WriteOutcome> {
    const { engine, profile } = this.#parts;
    const geometry = this.#geometryNow(profile);
    const stripe = await engine.seal(buffer, runs, geometry);
    const { fragments } = buffer;
    const { payloadLengthBytes, ranges } = stripe;
    return this.#writeEncoded({ fragments, payloadLengthBytes, geometry, stripe }, ranges);
  }

  /** Writes a payload that lies at the start of `fragments` already. */
  async writePayload(
    fragments: Uint8Array,
    payloadLengthBytes: number,
    ranges: readonly PayloadRange[],
  ): Promise<WriteOutcome> {
    const { engine, profile } = this.#parts;
    const geometry = this.#geometryNow(profile);
    const stripe = await engine.encode(fragments, payloadLengthBytes, geometry);
    return this.#writeEncoded({ fragments, payloadLengthBytes, geometry, stripe }, ranges);
  }

  async #writeEncoded(encoded: Encoded, ranges: readonly PayloadRange[]): Promise<WriteOutcome> {
    const stripeId = this.#parts.positions.allocate();
    const nodes = this.#parts.grid.candidates(stripeId);
    const spread = await this.#spread(stripeId, encoded, nodes);
    const { unsettled } = spread;
    if (isComplete(encoded, spread)) {
      this.#discard(stripeId, spread.uncertain);
      return { result: { written: { stripeId, record: this.#record(encoded, spread), ranges } }, unsettled };
    }
    this.#giveUp(stripeId, spread);
    try {
      return { result: { written: await this.#writeNarrower(encoded, ranges, spread) }, unsettled };
    } catch (error) {
      return { result: { error }, unsettled };
    }
  }

  /** Late puts may still read the first buffer, so the payload is encoded again in memory of its own. */
  async #writeNarrower(
    first: Encoded,
    ranges: readonly PayloadRange[],
    failed: Spread,
  ): Promise<WrittenStripe> {
    const { engine } = this.#parts;
    const { payloadLengthBytes } = first;
    const memory = await engine.acquireRescue();
    let spread = failed;
    let geometry = first.geometry;
    try {
      memory.fragments.set(first.fragments.subarray(0, payloadLengthBytes));
      for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
        const answered = new Set(spread.placed.values());
        const nodes = this.#parts.grid.nodes().filter((node) => answered.has(node.id));
        geometry = this.#geometryFor(nodes.length, geometry, spread.fullNodes > 0);
        const stripe = await engine.encode(memory.fragments, payloadLengthBytes, geometry);
        const encoded = { fragments: memory.fragments, payloadLengthBytes, geometry, stripe };
        const stripeId = this.#parts.positions.allocate();
        spread = await this.#spread(stripeId, encoded, nodes);
        if (isComplete(encoded, spread)) {
          this.#discard(stripeId, spread.uncertain);
          return { stripeId, record: this.#record(encoded, spread), ranges };
        }
        this.#giveUp(stripeId, spread);
        await spread.unsettled;
      }
      throw new HoldfastError('GridUnavailable', { detail: 'nodes keep failing while a stripe is written' });
    } finally {
      if (spread.unsettled === undefined || spread === failed) memory.release();
      else void spread.unsettled.then(() => memory.release());
    }
  }

  /** The geometry for the nodes that can take fragments at this moment. */
  #geometryNow(profile: Profile): Profile {
    const isFull = (node: GridNode) => node.state === 'online' && node.hello?.freeBytes === 0;
    const nodesAreFull = this.#parts.grid.nodes().some(isFull);
    return this.#geometryFor(this.#parts.grid.candidates(Buffer.alloc(0)).length, profile, nodesAreFull);
  }

  /**
   * k + m for this many nodes, never wider than `wanted`.
   * @throws GridUnavailable with fewer than m + 1 nodes, InsufficientStorage when that is because they are full
   */
  #geometryFor(nodeCount: number, wanted: Profile, nodesAreFull: boolean): Profile {
    const { k, m, codecId } = wanted;
    if (nodeCount >= k + m) return wanted;
    if (nodeCount >= m + 1) return { k: nodeCount - m, m, codecId };
    if (nodesAreFull) throw new HoldfastError('InsufficientStorage');
    throw new HoldfastError('GridUnavailable', {
      detail: `${nodeCount} nodes can take this write; ${m + 1} are needed to survive the loss of ${m}`,
    });
  }

  #spread(
    stripeId: StripeId,
    { fragments, geometry, stripe }: Encoded,
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
    return spreader.spread(pieces, nodes, { enough: m + 1 });
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
    const placed = [...spread.placed].map(([index, node]) => ({ index, node }));
    this.#discard(stripeId, [...placed, ...spread.uncertain]);
    this.#parts.positions.settle(stripeId);
  }

  #discard(stripeId: StripeId, places: readonly { readonly index: number; readonly node: number }[]): void {
    if (places.length > 0) this.#parts.discard(places.map((place) => ({ stripeId, ...place })));
  }
}

function isComplete({ geometry }: Encoded, spread: Spread): boolean {
  return spread.placed.size === geometry.k + geometry.m;
}
