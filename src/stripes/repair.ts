/**
 * The stripe layer's side of healing (surgery.ts): check, rebuild, delete, list. Works on ciphertext and repair keys only.
 */
import { mapKey } from '../base/bytes.ts';
import { HoldfastError, hasCode } from '../base/errors.ts';
import { TRAILER_BYTES } from '../coding/trailer.ts';
import { farmLimit } from '../grid/placement.ts';
import type { GridNode } from '../grid/types.ts';
import type { StripeRecord } from '../metadata/records.ts';
import { ask } from './exchange.ts';
import { holder, type StripeRef } from './gather.ts';
import type { Positions } from './positions.ts';
import { Scratch } from './scratch.ts';
import type { Spreader } from './spread.ts';
import type {
  FragmentAddress,
  FragmentCondition,
  InventoryEntry,
  RebuildResult,
  StripeSurgery,
} from './surgery.ts';
import { readVerified, type VerifyParts } from './verified.ts';

const LIST_PAGE_FRAGMENTS = 1000;
const DELETES_PER_CALL_MAX = 500;

export interface RepairParts extends VerifyParts {
  readonly spreader: Spreader;
  readonly positions: Positions;
}

interface Placed {
  readonly index: number;
  readonly node: number;
}

export class StripeRepair implements StripeSurgery {
  readonly #parts: RepairParts;
  /** Deletes under way, by node and name: until one has ended, nothing counts as stored there. */
  readonly #deleting = new Map<string, number>();

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
    if (this.#isDeleting(node.id, name)) return 'missing';
    const asked = await ask(this.#parts, node, 'read', () => node.store.verify(name), true);
    if (asked.kind === 'done' && asked.value !== 'intact') return asked.value;
    if (asked.kind !== 'done') return conditionOf(asked);
    const trailer = Buffer.alloc(TRAILER_BYTES);
    const offsetBytes = record.fragmentLengthBytes;
    const read = await ask(this.#parts, node, 'read', () => node.store.read(name, offsetBytes, trailer));
    if (read.kind !== 'done') return conditionOf(read);
    return seals.check(name, index, record, trailer) === undefined ? 'corrupt' : 'intact';
  }

  async rebuild(stripeId: Buffer, record: StripeRecord, bad: readonly number[]): Promise<RebuildResult> {
    const stripe = { stripeId, record };
    const conditions = await Promise.all(bad.map((index) => this.#checkFragment(stripe, index)));
    const placements: Placed[] = [];
    const lost: number[] = [];
    for (const [i, index] of bad.entries()) {
      if (conditions[i] === 'intact') placements.push({ index, node: record.nodes[index] as number });
      else lost.push(index);
    }
    if (lost.length === 0) return { placements, foundBad: [] };
    const scratch = new Scratch(await this.#parts.engine.acquireRepair(), record.fragmentLengthBytes);
    try {
      const options = { except: new Set(lost) };
      const read = await readVerified(this.#parts, stripe, scratch, record.k, options);
      const wanted = [...lost, ...read.bad];
      placements.push(...(await this.#rebuildFragments(stripe, wanted, read.present, scratch)));
      const placed = new Set(placements.map(({ index }) => index));
      return { placements, foundBad: read.bad.filter((index) => !placed.has(index)) };
    } catch (error) {
      // What was found intact is worth recording, even when nothing else could be done now.
      if (placements.length > 0 && isNodesTrouble(error)) return { placements, foundBad: [] };
      throw error;
    } finally {
      scratch.release();
    }
  }

  async #rebuildFragments(
    stripe: StripeRef,
    wanted: readonly number[],
    present: readonly (Uint8Array | undefined)[],
    scratch: Scratch,
  ): Promise<Placed[]> {
    const { record } = stripe;
    const { seals, engine, grid } = this.#parts;
    const areas = new Map(wanted.map((index) => [index, scratch.target(index)] as const));
    const profile = { k: record.k, m: record.m, codecId: record.codec };
    const roots = await engine.reconstruct(profile, present, areas);
    const placements: Placed[] = [];
    const taken = new Set(record.nodes.filter((_, index) => !wanted.includes(index)));
    let order = 0;
    for (const [index, area] of areas) {
      const name = seals.name(stripe.stripeId, index);
      const trailer = seals.trailer(name, index, record, roots[order++] as Buffer);
      const node = await this.#place(stripe, index, [area, trailer], taken, scratch);
      if (node === undefined) continue;
      taken.add(node);
      placements.push({ index, node });
    }
    if (placements.length > 0) return placements;
    const isFull = (node: GridNode) => node.state === 'online' && node.hello?.freeBytes === 0;
    throw new HoldfastError(grid.nodes().some(isFull) ? 'InsufficientStorage' : 'GridUnavailable', {
      detail: 'no node that holds nothing of this stripe can take a rebuilt fragment',
    });
  }

  /**
   * Back to its own node when that one answers, else to the best that holds nothing of this stripe, by the farm rule while it can be
   * kept. Read back before it counts: a node that takes a fragment and does not have it is passed over.
   */
  async #place(
    { stripeId, record }: StripeRef,
    index: number,
    pieces: readonly Uint8Array[],
    taken: ReadonlySet<number>,
    scratch: Scratch,
  ): Promise<number | undefined> {
    const { grid, seals, spreader } = this.#parts;
    const name = seals.name(stripeId, index);
    const own = holder(grid, record, index);
    const candidates = grid.candidates(stripeId).filter((node) => node.id !== own?.id);
    const ordered = own?.record.state === 'active' ? [own, ...candidates] : candidates;
    const nodes = ordered.filter((node) => !this.#isDeleting(node.id, name));
    const passedOver = new Set<number>();
    for (const farmMax of [farmLimit(record.k, record.m), Number.POSITIVE_INFINITY]) {
      for (;;) {
        const left = nodes.filter(({ id }) => !passedOver.has(id));
        const options = { taken, farmMax, enough: 1, lateMax: record.m };
        const spread = await spreader.spread([{ index, name, pieces }], left, options);
        if (spread.unsettled !== undefined) scratch.hold(spread.unsettled);
        for (const stray of spread.strays) passedOver.add(stray.node);
        const node = grid.node(spread.placed.get(index) ?? -1);
        if (node === undefined) break;
        if (await this.#isThere(node, name, record.fragmentLengthBytes, pieces)) return node.id;
        passedOver.add(node.id);
      }
    }
    return undefined;
  }

  /** Reads the trailer back. A node that does not return it is reported. */
  async #isThere(
    node: GridNode,
    name: Buffer,
    offsetBytes: number,
    pieces: readonly Uint8Array[],
  ): Promise<boolean> {
    const readBack = Buffer.alloc(TRAILER_BYTES);
    const asked = await ask(this.#parts, node, 'read', () => node.store.read(name, offsetBytes, readBack));
    if (asked.kind === 'done' && readBack.equals(pieces.at(-1) as Uint8Array)) return true;
    if (asked.kind === 'done' || (asked.kind === 'failed' && isFragmentsFault(asked.error))) {
      const detail = `node ${node.id} acknowledged a fragment and does not return it`;
      this.#parts.grid.report(node.id, {
        kind: 'failed',
        error: new HoldfastError('FragmentMissing', { detail }),
      });
    }
    return false;
  }

  async deleteFragments(addresses: readonly FragmentAddress[]): Promise<FragmentAddress[]> {
    const byNode = new Map<number, FragmentAddress[]>();
    for (const address of addresses) {
      const group = byNode.get(address.node);
      if (group === undefined) byNode.set(address.node, [address]);
      else group.push(address);
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
      const names = batch.map(({ stripeId, index }) => this.#parts.seals.name(stripeId, index));
      for (const name of names) this.#countDelete(nodeId, name, 1);
      const ended = () => names.forEach((name) => void this.#countDelete(nodeId, name, -1));
      const asked = await ask(this.#parts, node, 'write', () => node.store.delete(names), true);
      if (asked.kind === 'late') void asked.ended.then(ended);
      else ended();
      if (asked.kind !== 'done') break;
      confirmed.push(...batch);
    }
    return confirmed;
  }

  #countDelete(node: number, name: Buffer, by: number): void {
    const key = `${node}:${mapKey(name)}`;
    const count = (this.#deleting.get(key) ?? 0) + by;
    if (count === 0) this.#deleting.delete(key);
    else this.#deleting.set(key, count);
  }

  /** A delete that is late could still remove what is put there now. */
  #isDeleting(node: number, name: Buffer): boolean {
    return this.#deleting.has(`${node}:${mapKey(name)}`);
  }

  /** @throws NodeUnavailable when the node does not answer in time, and what it answers */
  async *inventory(node: GridNode): AsyncGenerator<readonly InventoryEntry[], void, void> {
    let after: Buffer | undefined;
    do {
      const list = () => node.store.list(after, LIST_PAGE_FRAGMENTS);
      const asked = await ask(this.#parts, node, 'read', list, true);
      if (asked.kind === 'failed') throw asked.error;
      if (asked.kind === 'late') {
        throw new HoldfastError('NodeUnavailable', { detail: `node ${node.id} takes too long to list` });
      }
      const page = asked.value;
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

function isFragmentsFault(error: unknown): boolean {
  return hasCode(error, 'FragmentMissing', 'FragmentCorrupt');
}

function isNodesTrouble(error: unknown): boolean {
  return hasCode(error, 'DataUnavailable', 'GridUnavailable', 'InsufficientStorage');
}

function conditionOf(asked: { readonly kind: string; readonly error?: unknown }): FragmentCondition {
  if (hasCode(asked.error, 'FragmentMissing')) return 'missing';
  return hasCode(asked.error, 'FragmentCorrupt') ? 'corrupt' : 'unreachable';
}
