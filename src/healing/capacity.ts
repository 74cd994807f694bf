/**
 * What a grid can hold and what it survives. Pure functions of what nodes report.
 */
import { assert } from '../base/assert.ts';

/**
 * User bytes that fit: k · T, with T the largest for which Σ min(capᵢ, T) ≥ n · T (design/commits.md, "space"). With n
 * fragments of T bytes each on distinct nodes, no node can hold more than T of them usefully.
 *
 * With capacities sorted upwards and c of them below T, the condition is Σ(smaller) + (N − c)·T ≥ n·T.
 */
export function usableBytes(capacitiesBytes: readonly number[], k: number, m: number): number {
  const n = k + m;
  assert(k >= 1 && m >= 0, 'geometry');
  const sorted = capacitiesBytes.filter((bytes) => bytes > 0).sort((a, b) => a - b);
  if (sorted.length < n) return 0;
  let smaller = 0;
  let best = 0;
  for (let c = 0; c <= sorted.length; c++) {
    const above = sorted.length - c;
    const low = c === 0 ? 0 : (sorted[c - 1] ?? 0);
    const high = sorted[c] ?? Number.POSITIVE_INFINITY;
    // T in [low, high]: smaller + above·T ≥ n·T holds for all T when above ≥ n, else for T ≤ smaller / (n − above).
    const limit = above >= n ? high : Math.min(high, Math.floor(smaller / (n - above)));
    if (limit >= low && Number.isFinite(limit)) best = Math.max(best, limit);
    smaller += sorted[c] ?? 0;
  }
  return k * best;
}

/**
 * How many whole disks may vanish at once: the nodes of the d largest disks hold at most m fragments of any stripe.
 * `filesystemIds` has one entry for each node.
 */
export function diskLossesSurvived(filesystemIds: readonly string[], m: number): number {
  const sizes = new Map<string, number>();
  for (const id of filesystemIds) sizes.set(id, (sizes.get(id) ?? 0) + 1);
  let nodes = 0;
  let disks = 0;
  for (const size of [...sizes.values()].sort((a, b) => b - a)) {
    nodes += size;
    if (nodes > m) break;
    disks += 1;
  }
  return disks;
}

/** One phrase for people. */
export function survivalText(nodeLosses: number, diskLosses: number, diskCount: number): string {
  const nodes =
    nodeLosses === 0
      ? 'no further node loss'
      : `any ${nodeLosses} ${nodeLosses === 1 ? 'node' : 'nodes'} lost at once`;
  const disks = diskCount === 1 ? 'all nodes are on one disk' : `the nodes are on ${diskCount} disks`;
  return `${nodes}; ${diskLosses} disk ${diskLosses === 1 ? 'loss' : 'losses'} (${disks})`;
}
