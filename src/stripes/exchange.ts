/**
 * One exchange with a node: asked, waited for until its deadline, and reported. What is late goes on, because nothing that was asked of a
 * node can be taken back; it counts as hanging in the node until it has ended, and the grid stops asking a node in which too much hangs.
 */
import type { Clock } from '../base/clock.ts';
import { HoldfastError, hasCode } from '../base/errors.ts';
import { SECOND_MS } from '../base/units.ts';
import { within } from '../grid/deadline.ts';
import type { ExchangeKind, Grid, GridNode } from '../grid/types.ts';

/** For verifying, listing and deleting: a node reads a whole fragment or syncs a segment for it. */
export const MAINTENANCE_DEADLINE_MS = 10 * SECOND_MS;
/** When there is nothing else to try, late exchanges are waited for this long. */
export const PATIENCE_MS = 30 * SECOND_MS;

export type Asked<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: unknown }
  /** `ended` never rejects; true when it succeeded after all. Until then memory that was handed over is in use. */
  | { readonly kind: 'late'; readonly ended: Promise<boolean> };

export interface ExchangeParts {
  readonly grid: Grid;
  readonly clock: Clock;
}

/** Never rejects. `maintenance` has a deadline of its own and says nothing about how fast the node is. */
export async function ask<T>(
  { grid, clock }: ExchangeParts,
  node: GridNode,
  kind: ExchangeKind,
  start: () => Promise<T>,
  maintenance = false,
): Promise<Asked<T>> {
  if (!grid.mayAsk(node, kind)) {
    const detail = `node ${node.id} is not asked: it is away, or too much hangs in it`;
    return { kind: 'failed', error: new HoldfastError('NodeUnavailable', { detail }) };
  }
  const usualMs = kind === 'write' ? grid.writeDeadlineMs(node) : grid.readDeadlineMs(node);
  const deadlineMs = maintenance ? MAINTENANCE_DEADLINE_MS : usualMs;
  const startedMs = clock.monotonicMs();
  const work = start();
  const outcome = await within(clock, deadlineMs, work);
  if (outcome.kind === 'done') {
    if (!maintenance) grid.report(node.id, { kind, durationMs: outcome.durationMs });
    return outcome;
  }
  if (outcome.kind === 'failed') {
    if (isNodesFault(outcome.error)) grid.report(node.id, outcome);
    return outcome;
  }
  grid.report(node.id, { kind: 'missedDeadline' });
  const hanging = grid.late(node.id, kind);
  const ended = work.then(
    () => {
      hanging();
      const durationMs = clock.monotonicMs() - startedMs;
      if (!maintenance) grid.report(node.id, { kind, durationMs, late: true });
      return true;
    },
    () => {
      hanging();
      return false;
    },
  );
  return { kind: 'late', ended };
}

/** What a healthy node may answer: that it does not have it, has something else, or has no room. */
function isNodesFault(error: unknown): boolean {
  return !hasCode(error, 'FragmentMissing', 'FragmentCorrupt', 'FragmentConflict', 'NodeFull');
}

/** Waits until every promise has settled, then throws the first failure: nothing goes on behind the caller's back. */
export async function allSettled<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}
