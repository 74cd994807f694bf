/**
 * The stripe layer's side of healing (surgery.ts): check, rebuild, transcode, delete, list. Works on ciphertext and repair keys only.
 */
import { HoldfastError } from '../base/errors.ts';
import { TRAILER_BYTES } from '../coding/trailer.ts';
import type { GridNode } from '../grid/types.ts';
import type { StripeRecord } from '../metadata/records.ts';
import type { StripeEngine } from './engine/types.ts';
import { holder, type ReadParts, type StripeRef } from './gather.ts';
import type { Positions } from './positions.ts';
import type { Spreader } from './spread.ts';
import type {
  FragmentAddress,
  FragmentCondition,
  InventoryEntry,
  RebuildResult,
  StripeSurgery,
} from './surgery.ts';
import type { PayloadSource, WrittenStripe } from './types.ts';
import { readVerified } from './verified.ts';

const LIST_PAGE_FRAGMENTS = 1000;
const DELETES_PER_CALL_MAX = 500;

export interface RepairParts extends ReadParts {
  readonly engine: StripeEngine;
  readonly spreader: Spreader;
  readonly positions: Positions;
  readonly copyPayload: (sources: readonly PayloadSource[]) => Promise<WrittenStripe>;
}

export class StripeRepair implements StripeSurgery {
  readonly #parts: RepairParts;

  constructor(parts: RepairParts) {
    this.#parts = parts;
  }

  checkStripe(stripeId: Buffer, record: StripeRecord): Promise<FragmentCondition[]> {
    return Promise.all(record.nodes.map((_, index) => this.#checkFragment({ stripeId, record }, index)));
  }

  async #checkFragment({ stripeId, record }: StripeRef, index: number): Promise<FragmentCondition> {
    const { grid, seals } = this.#parts;
    const node = holder(grid, record, index);
    if (node === undefined) return 'unreachable';
    const name = seals.name(stripeId, index);
    try {
      const verdict = await node.store.verify(name);
      if (verdict !== 'intact') return verdict;
      const trailer = Buffer.alloc(TRAILER_BYTES);
      await node.store.read(name, record.fragmentLengthBytes, trailer);
      return seals.check(name, index, record, trailer) === undefined ? 'corrupt' : 'intact';
    } catch (error) {
      if (error instanceof HoldfastError && error.code === 'FragmentMissing') return 'missing';
      if (error instanceof HoldfastError && error.code === 'FragmentCorrupt') return 'corrupt';
      grid.report(node.id, { kind: 'failed', error });
      return 'unreachable';
    }
  }

  async rebuild(stripeId: Buffer, record: StripeRecord, bad: readonly number[]): Promise<RebuildResult> {
    const stripe = { stripeId, record };
    const placements: { index: number; node: number }[] = [];
    const lost: number[] = [];
    for (const index of bad) {
      if ((await this.#checkFragment(stripe, index)) === 'intact') {
        placements.push({ index, node: record.nodes[index] as number });
      } else lost.push(index);
    }
    if (lost.length === 0) return { placements, foundBad: [] };
    const memory = await this.#parts.engine.acquireRepair();
    const unsettled: Promise<unknown>[] = [];
    try {
      const options = { except: new Set(lost) };
      const read = await readVerified(this.#parts, stripe, memory.fragments, record.k, unsettled, options);
      const wanted = [...lost, ...read.bad];
      placements.push(
        ...(await this.#rebuildFragments(stripe, wanted, read.present, memory.fragments, unsettled)),
      );
      const placed = new Set(placements.map(({ index }) => index));
      return { placements, foundBad: read.bad.filter((index) => !placed.has(index)) };
    } finally {
      if (unsettled.length === 0) memory.release();
      else void Promise.allSettled(unsettled).then(() => memory.release());
    }
  }

  async #rebuildFragments(
    stripe: StripeRef,
    wanted: readonly number[],
    present: readonly (Uint8Array | undefined)[],
    memory: Uint8Array,
    unsettled: Promise<unknown>[],
  ): Promise<{ index: number; node: number }[]> {
    const { record } = stripe;
    const { seals, engine } = this.#parts;
    const f = record.fragmentLengthBytes;
    const areas = new Map(
      wanted.map((index) => {
        const area = memory.subarray(index * f, (index + 1) * f);
        return [index, unsettled.length === 0 ? area : new Uint8Array(new SharedArrayBuffer(f))] as const;
      }),
    );
    const profile = { k: record.k, m: record.m, codecId: record.codec };
    const roots = await engine.reconstruct(profile, present, areas);
    const placements: { index: number; node: number }[] = [];
    const taken = new Set(record.nodes.filter((_, index) => !wanted.includes(index)));
    let order = 0;
    for (const [index, area] of areas) {
      const name = seals.name(stripe.stripeId, index);
      const trailer = seals.trailer(name, index, record, roots[order++] as Buffer);
      const node = await this.#place(stripe, index, [area, trailer], taken, unsettled);
      if (node === undefined) continue;
      taken.add(node);
      placements.push({ index, node });
    }
    if (placements.length === 0) {
      throw new HoldfastError('GridUnavailable', {
        detail: 'no node that holds nothing of this stripe can take a rebuilt fragment',
      });
    }
    return placements;
  }

  /** Back to its own node when that one answers, else to the best that holds nothing of this stripe; read back before it counts. */
  async #place(
    { stripeId, record }: StripeRef,
    index: number,
    pieces: readonly Uint8Array[],
    taken: ReadonlySet<number>,
    unsettled: Promise<unknown>[],
  ): Promise<number | undefined> {
    const { grid, seals, spreader } = this.#parts;
    const own = holder(grid, record, index);
    const candidates = grid.candidates(stripeId).filter((node) => node.id !== own?.id);
    const isActive = own !== undefined && own.record.state === 'active';
    const nodes = isActive ? [own, ...candidates] : candidates;
    const name = seals.name(stripeId, index);
    const spread = await spreader.spread([{ index, name, pieces }], nodes, { taken, enough: 1 });
    if (spread.unsettled !== undefined) unsettled.push(spread.unsettled);
    const node = grid.node(spread.placed.get(index) ?? -1);
    if (node === undefined) return undefined;
    const readBack = Buffer.alloc(TRAILER_BYTES);
    await node.store.read(name, record.fragmentLengthBytes, readBack);
    return readBack.equals(pieces.at(-1) as Uint8Array) ? node.id : undefined;
  }

  transcode(stripeId: Buffer, record: StripeRecord): Promise<WrittenStripe> {
    return this.#parts.copyPayload([
      { stripeId, record, offsetBytes: 0, lengthBytes: record.stripeLengthBytes },
    ]);
  }

  async deleteFragments(addresses: readonly FragmentAddress[]): Promise<FragmentAddress[]> {
    const byNode = new Map<number, FragmentAddress[]>();
    for (const address of addresses) {
      byNode.set(address.node, [...(byNode.get(address.node) ?? []), address]);
    }
    const confirmed = await Promise.all([...byNode].map(([node, group]) => this.#deleteOn(node, group)));
    return confirmed.flat();
  }

  async #deleteOn(nodeId: number, addresses: readonly FragmentAddress[]): Promise<FragmentAddress[]> {
    const node = this.#parts.grid.node(nodeId);
    if (node === undefined) return [];
    const confirmed: FragmentAddress[] = [];
    for (let at = 0; at < addresses.length; at += DELETES_PER_CALL_MAX) {
      const batch = addresses.slice(at, at + DELETES_PER_CALL_MAX);
      try {
        await node.store.delete(batch.map(({ stripeId, index }) => this.#parts.seals.name(stripeId, index)));
        confirmed.push(...batch);
      } catch (error) {
        this.#parts.grid.report(nodeId, { kind: 'failed', error });
        return confirmed;
      }
    }
    return confirmed;
  }

  async *inventory(node: GridNode): AsyncGenerator<readonly InventoryEntry[], void, void> {
    let after: Buffer | undefined;
    do {
      const page = await node.store.list(after, LIST_PAGE_FRAGMENTS);
      yield page.fragments.map(({ name, storedLengthBytes }) => ({
        name,
        storedLengthBytes,
        fragment: this.#parts.seals.invert(name),
      }));
      after = page.next;
    } while (after !== undefined);
  }

  inFlight(): ReadonlySet<string> {
    return this.#parts.positions.inFlight();
  }
}
