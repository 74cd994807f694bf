/**
 * Reads the same columns of some fragments of a stripe, from the cheapest nodes first; one that fails or is late is replaced by
 * another at once (design: "Life of a GET"). Reads that are late still write to their memory: the caller's list of late reads says
 * until when, also when something here throws.
 */
import { HoldfastError, hasCode } from '../base/errors.ts';
import { within } from '../grid/deadline.ts';
import type { Grid, GridNode } from '../grid/types.ts';
import type { StripeRecord } from '../metadata/records.ts';
import { isGood } from './condition.ts';
import { allSettled, ask, type ExchangeParts, PATIENCE_MS } from './exchange.ts';
import type { FragmentSeals } from './fragments.ts';
import type { LateRead, Scratch } from './scratch.ts';
import type { StripeId } from './types.ts';

export type Damage = (stripeId: StripeId, index: number, reason: 'missing' | 'corrupt') => void;

export interface ReadParts extends ExchangeParts {
  readonly seals: FragmentSeals;
  readonly onDamage: Damage;
}

export interface StripeRef {
  readonly stripeId: StripeId;
  readonly record: StripeRecord;
}

/** The node that should have a fragment, when it can be asked. */
export function holder(grid: Grid, record: StripeRecord, index: number): GridNode | undefined {
  const node = grid.node(record.nodes[index] ?? -1);
  return node !== undefined && grid.mayAsk(node, 'read') ? node : undefined;
}

/** Reads part of one fragment. False when it failed or is late; then the late read is added to `late`. */
export async function readFragment(
  parts: ReadParts,
  { stripeId, record }: StripeRef,
  index: number,
  offsetBytes: number,
  target: Uint8Array,
  late: LateRead[],
): Promise<boolean> {
  const node = holder(parts.grid, record, index);
  if (node === undefined) return false;
  const name = parts.seals.name(stripeId, index);
  const asked = await ask(parts, node, 'read', () => node.store.read(name, offsetBytes, target));
  if (asked.kind === 'late') late.push({ index, ended: asked.ended });
  else if (asked.kind === 'failed') {
    if (hasCode(asked.error, 'FragmentMissing')) parts.onDamage(stripeId, index, 'missing');
    else if (hasCode(asked.error, 'FragmentCorrupt')) parts.onDamage(stripeId, index, 'corrupt');
  }
  return asked.kind === 'done';
}

/**
 * Indices in the order in which they should be asked: those believed good before doubtful ones, then `preferred` ones, then by what
 * their node's reads have taken. Fragments whose node cannot be asked are left out.
 */
export function cheapestFirst(
  grid: Grid,
  record: StripeRecord,
  indices: readonly number[],
  preferred: ReadonlySet<number>,
): number[] {
  const cost = (index: number) => {
    const node = holder(grid, record, index);
    if (node === undefined) return Number.POSITIVE_INFINITY;
    const doubtMs = isGood(record, index) ? 0 : 1e9;
    return doubtMs + node.readP95Ms + (node.state === 'suspect' ? 1e6 : 0) + (preferred.has(index) ? 0 : 1e3);
  };
  const costs = new Map(indices.map((index) => [index, cost(index)]));
  return indices
    .filter((index) => costs.get(index) !== Number.POSITIVE_INFINITY)
    .sort((a, b) => (costs.get(a) ?? 0) - (costs.get(b) ?? 0));
}

/**
 * Reads `count` of the fragments in `order`, columns from `offsetBytes` on, each into its area. Returns their indices.
 * @throws DataUnavailable when fewer can be read
 */
export async function gather(
  parts: ReadParts,
  stripe: StripeRef,
  order: readonly number[],
  count: number,
  offsetBytes: number,
  scratch: Scratch,
): Promise<readonly number[]> {
  const queue = [...order];
  const indices: number[] = [];
  const fill = async () => {
    for (let index = queue.shift(); index !== undefined; index = queue.shift()) {
      if (await readFragment(parts, stripe, index, offsetBytes, scratch.area(index), scratch.late)) {
        indices.push(index);
        return;
      }
    }
  };
  await allSettled(Array.from({ length: count }, fill));
  if (indices.length < count) {
    await patiently(parts, scratch.late, async ({ index, ended }) => {
      if ((await ended) && indices.length < count) indices.push(index);
      return indices.length >= count;
    });
  }
  if (indices.length < count) {
    throw new HoldfastError('DataUnavailable', {
      detail: `${indices.length} of ${count} fragments of a stripe can be read at the moment`,
    });
  }
  return indices.slice(0, count);
}

/** Waits for what is late until one `take` resolves to true, all have ended, or patience does. */
export async function patiently<T>(
  { clock }: ExchangeParts,
  late: readonly T[],
  take: (late: T) => Promise<boolean>,
): Promise<void> {
  const enough = Promise.withResolvers<void>();
  const all = late.map(async (one) => {
    if (await take(one)) enough.resolve();
  });
  void Promise.allSettled(all).then(() => enough.resolve());
  await within(clock, PATIENCE_MS, enough.promise);
}
