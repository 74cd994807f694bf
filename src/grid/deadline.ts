/**
 * Waiting for a node, but not for ever. What is late goes on: nothing that was asked of a node can be taken back.
 *
 * When this process itself stood still, the timer fires late and before the answers that have been waiting meanwhile. A node is not
 * to blame for that, so the deadline is moved by as much as the timer was late.
 */
import type { Clock } from '../base/clock.ts';

/** Timers are this late on a busy but healthy event loop. */
const TIMER_DELAY_MS_MAX = 25;
/** Each extension takes a stall of its own; an event loop that stalls this often in a row is the fault that has to show. */
const EXTENSIONS_MAX = 8;

/** What `work` came to within the deadline; `late` when it goes on after it. */
export type Timed<T> =
  | { readonly kind: 'done'; readonly value: T; readonly durationMs: number }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'late' };

/** Never rejects. A `work` that fails after its deadline is nobody's unhandled rejection. */
export async function within<T>(clock: Clock, deadlineMs: number, work: Promise<T>): Promise<Timed<T>> {
  const startedMs = clock.monotonicMs();
  const late = Promise.withResolvers<Timed<T>>();
  let extensions = 0;
  const waitFor = (delayMs: number): { cancel(): void } => {
    const dueMs = clock.monotonicMs() + delayMs;
    return clock.schedule(delayMs, () => {
      const delayedMs = clock.monotonicMs() - dueMs;
      if (delayedMs > TIMER_DELAY_MS_MAX && extensions < EXTENSIONS_MAX) {
        extensions += 1;
        timer = waitFor(Math.min(delayedMs, deadlineMs));
      } else late.resolve({ kind: 'late' });
    });
  };
  let timer = waitFor(deadlineMs);
  const settled = work.then(
    (value): Timed<T> => ({ kind: 'done', value, durationMs: clock.monotonicMs() - startedMs }),
    (error: unknown): Timed<T> => ({ kind: 'failed', error }),
  );
  try {
    return await Promise.race([settled, late.promise]);
  } finally {
    timer.cancel();
  }
}
