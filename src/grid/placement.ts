/**
 * Where new fragments go: a pure function of the grid's description and a stripe's seed. Nodes are ordered by weighted
 * rendezvous hashing (Wang and Ravishankar's highest random weight, with the logarithmic weights of Schindelhauer and
 * Schomaker), so that a node that joins or leaves moves only its own share, and then thinned out so that no farm holds
 * more than max(1, min(m, k − 1)) fragments while there are farms enough (DESIGN.md, "Grid and healing").
 *
 * Cost: one small hash for each node; 6 nodes take about 5 µs.
 */
import { assert } from '../base/assert.ts';

export interface PlacementNode {
  readonly id: number;
  readonly farm: string;
  /** Relative share of new fragments, for example free bytes. Above 0. */
  readonly weight: number;
}

/** How many fragments of one stripe a farm may hold. */
export function farmLimit(k: number, m: number): number {
  return Math.max(1, Math.min(m, k - 1));
}

/**
 * All nodes, best first for this seed. Nodes beyond a farm's limit come last, in order, so that taking the first n relaxes the farm
 * rule only when nothing else is left.
 */
export function placementOrder<T extends PlacementNode>(
  nodes: readonly T[],
  seed: Uint8Array,
  farmMax: number,
): T[] {
  const base = hashSeed(seed);
  const ranked = nodes
    .map((node) => ({
      node,
      score: -Math.log(uniform(base, node.id)) / Math.max(node.weight, Number.MIN_VALUE),
    }))
    .sort((a, b) => a.score - b.score || a.node.id - b.node.id);
  const perFarm = new Map<string, number>();
  const first: T[] = [];
  const beyond: T[] = [];
  for (const { node } of ranked) {
    const held = perFarm.get(node.farm) ?? 0;
    perFarm.set(node.farm, held + 1);
    (held < farmMax ? first : beyond).push(node);
  }
  return [...first, ...beyond];
}

/** Whether some farm holds more than its limit among the nodes chosen. */
export function isRelaxed(chosen: readonly PlacementNode[], farmMax: number): boolean {
  const perFarm = new Map<string, number>();
  for (const { farm } of chosen) perFarm.set(farm, (perFarm.get(farm) ?? 0) + 1);
  return [...perFarm.values()].some((count) => count > farmMax);
}

/** FNV-1a, 32 bits. */
function hashSeed(seed: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of seed) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** In (0, 1), the same for the same seed and node; mixed by murmur3's finaliser, which suffices against accidents. */
function uniform(base: number, nodeId: number): number {
  assert(nodeId >= 0 && nodeId <= 0xffff, 'node ids are u16');
  let mixed = (base ^ Math.imul(nodeId + 1, 0x9e3779b1)) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (((mixed ^ (mixed >>> 16)) >>> 0) + 0.5) / 2 ** 32;
}

export interface FarmPlan {
  readonly k: number;
  /** What a farm may hold of a stripe of this width, on these nodes. */
  readonly farmMax: number;
  /** Whether that is more than the farm rule allows, because there are too few farms for any width. */
  readonly relaxed: boolean;
}

/**
 * The widest stripe with m parity fragments, at most `kMax` + m, that these nodes can take one fragment each of. Narrowing comes before
 * relaxing the farm rule (design/commits.md, "Data stripes"); where no width can keep it, a farm holds at most m fragments, so that
 * its loss is survived at least; and where that cannot be either, anything. undefined with fewer than m + 1 nodes.
 */
export function widestPlan(farms: Iterable<string>, kMax: number, m: number): FarmPlan | undefined {
  const perFarm = new Map<string, number>();
  for (const farm of farms) perFarm.set(farm, (perFarm.get(farm) ?? 0) + 1);
  const room = (limit: number) =>
    [...perFarm.values()].reduce((sum, count) => sum + Math.min(count, limit), 0);
  for (let k = kMax; k >= 1; k--) {
    const farmMax = farmLimit(k, m);
    if (room(farmMax) >= k + m) return { k, farmMax, relaxed: false };
  }
  for (const farmMax of [m, Number.POSITIVE_INFINITY]) {
    const k = Math.min(kMax, room(farmMax) - m);
    if (k >= 1) return { k, farmMax, relaxed: true };
  }
  return undefined;
}
