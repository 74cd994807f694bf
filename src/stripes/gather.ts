/**
 * Reads the same columns of some fragments of a stripe, from the cheapest nodes first; one that fails or is late is replaced by
 * another at once (design: "Life of a GET"). Reads that are late still write to their memory: `unsettled` says until when.
 */
import type { Clock } from '../base/clock.ts';
import { HoldfastError, hasCode } from '../base/errors.ts';
import { SECOND_MS } from '../base/units.ts';
import { within } from '../grid/deadline.ts';
import type { Grid, GridNode } from '../grid/types.ts';
import type { StripeRecord } from '../metadata/records.ts';
import type { FragmentSeals } from './fragments.ts';
import type { StripeId } from './types.ts';

/** When there is nothing else to try, late reads are waited for this long. */
const PATIENCE_MS = 30 * SECOND_MS;

export type Damage = (
  stripeId: StripeId,
  index: number,
  reason: 'missing' | 'corrupt' | 'unreachable',
) => void;

export interface ReadParts {
  readonly grid: Grid;
  readonly clock: Clock;
  readonly seals: FragmentSeals;
  readonly onDamage: Damage;
}

export interface StripeRef {
  readonly stripeId: StripeId;
  readonly record: StripeRecord;
}

export interface Gathered {
  /** Indices that were read. */
  readonly indices: readonly number[];
}

/** The node that should have a fragment, when it can be asked. */
export function holder(grid: Grid, record: StripeRecord, index: number): GridNode | undefined {
  const node = grid.node(record.nodes[index] ?? -1);
  return node !== undefined && (node.state === 'online' || node.state === 'suspect') ? node : undefined;
}

/** Reads part of one fragment. False when it failed or is late; then a late read is added to `unsettled`. */
export async function readFragment(
  parts: ReadParts,
  { stripeId, record }: StripeRef,
  index: number,
  offsetBytes: number,
  target: Uint8Array,
  unsettled: Promise<unknown>[],
): Promise<boolean> {
  const node = holder(parts.grid, record, index);
  if (node === undefined) {
    parts.onDamage(stripeId, index, 'unreachable');
    return false;
  }
  const read = node.store.read(parts.seals.name(stripeId, index), offsetBytes, target);
  const outcome = await within(parts.clock, parts.grid.readDeadlineMs(node), read);
  if (outcome.kind === 'done') {
    parts.grid.report(node.id, { kind: 'read', durationMs: outcome.durationMs });
    return true;
  }
  if (outcome.kind === 'late') {
    parts.grid.report(node.id, { kind: 'missedDeadline' });
    unsettled.push(read.then(() => index).catch(() => undefined));
    return false;
  }
  if (hasCode(outcome.error, 'FragmentMissing')) parts.onDamage(stripeId, index, 'missing');
  else if (hasCode(outcome.error, 'FragmentCorrupt')) parts.onDamage(stripeId, index, 'corrupt');
  else parts.grid.report(node.id, { kind: 'failed', error: outcome.error });
  return false;
}

/** Indices in the order in which they should be asked: `preferred` first, then by what their node's reads have taken. */
export function cheapestFirst(
  grid: Grid,
  record: StripeRecord,
  indices: readonly number[],
  preferred: ReadonlySet<number>,
): number[] {
  const cost = (index: number) => {
    const node = holder(grid, record, index);
    if (node === undefined) return Number.POSITIVE_INFINITY;
    return node.readP95Ms + (node.state === 'suspect' ? 1e6 : 0) + (preferred.has(index) ? 0 : 1e3);
  };
  const costs = new Map(indices.map((index) => [index, cost(index)]));
  return indices
    .filter((index) => costs.get(index) !== Number.POSITIVE_INFINITY)
    .sort((a, b) => (costs.get(a) ?? 0) - (costs.get(b) ?? 0));
}

/**
 * Reads `count` of the fragments in `order`, columns from `offsetBytes` on, each into `areaOf(index)`. Late reads are added to
 * `unsettled` also when this throws: their memory is in use until they have ended.
 * @throws DataUnavailable when fewer can be read
 */
export async function gather(
  parts: ReadParts,
  stripe: StripeRef,
  order: readonly number[],
  count: number,
  offsetBytes: number,
  areaOf: (index: number) => Uint8Array,
  unsettled: Promise<unknown>[],
): Promise<Gathered> {
  const queue = [...order];
  const indices: number[] = [];
  const fill = async () => {
    for (let index = queue.shift(); index !== undefined; index = queue.shift()) {
      if (await readFragment(parts, stripe, index, offsetBytes, areaOf(index), unsettled)) {
        indices.push(index);
        return;
      }
    }
  };
  await Promise.all(Array.from({ length: count }, fill));
  if (indices.length < count && unsettled.length > 0) {
    const arrived = unsettled.map(async (read) => {
      const index = await read;
      if (typeof index === 'number' && indices.length < count) indices.push(index);
    });
    await within(parts.clock, PATIENCE_MS, Promise.allSettled(arrived));
  }
  if (indices.length < count) {
    throw new HoldfastError('DataUnavailable', {
      detail: `${indices.length} of ${count} fragments of a stripe can be read at the moment`,
    });
  }
  return { indices: [...indices] };
}
