/**
 * Time comes in through this seam, so that the simulator can jump and stretch it.
 * `nowMs` is the wall clock and may jump; `monotonicMs` never goes back and is what deadlines use.
 */
export interface Clock {
  nowMs(): number;
  monotonicMs(): number;
  /** Resolves after `delayMs`; rejects with `signal.reason` when aborted before. Never keeps the process alive. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
  /** Calls `fire` once after `delayMs` unless cancelled. Never keeps the process alive. */
  schedule(delayMs: number, fire: () => void): { cancel(): void };
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (delayMs, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, delayMs);
      timer.unref();
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
    }),
  schedule: (delayMs, fire) => {
    const timer = setTimeout(fire, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
