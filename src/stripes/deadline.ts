import type { Clock } from '../base/clock.ts';

/** What `work` came to within the deadline; `late` when it goes on after it. Never rejects. */
export type Timed<T> =
  | { readonly kind: 'done'; readonly value: T; readonly durationMs: number }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'late' };

export async function within<T>(clock: Clock, deadlineMs: number, work: Promise<T>): Promise<Timed<T>> {
  const startedMs = clock.monotonicMs();
  const late = Promise.withResolvers<Timed<T>>();
  const timer = clock.schedule(deadlineMs, () => late.resolve({ kind: 'late' }));
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
