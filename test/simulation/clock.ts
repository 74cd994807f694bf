/** A clock that stands still until the test moves it. `jumpWall` moves only the wall clock, as an operator or NTP does. */
import type { Clock } from '../../src/base/clock.ts';

interface Alarm {
  atMs: number;
  order: number;
  fire: () => void;
}

export class SimulatedClock implements Clock {
  #monotonicMs = 0;
  #wallOffsetMs: number;
  #order = 0;
  readonly #alarms = new Set<Alarm>();

  constructor(wallMs = 1_800_000_000_000) {
    this.#wallOffsetMs = wallMs;
  }

  nowMs(): number {
    return this.#wallOffsetMs + this.#monotonicMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  schedule(delayMs: number, fire: () => void): { cancel(): void } {
    const alarm = { atMs: this.#monotonicMs + delayMs, order: this.#order++, fire };
    this.#alarms.add(alarm);
    return { cancel: () => this.#alarms.delete(alarm) };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        alarm.cancel();
        reject(signal?.reason);
      };
      const alarm = this.schedule(delayMs, () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  /** Moves to the next alarm and fires it, unless it is further away than `withinMs`. False when there is none. */
  fireNext(withinMs = Number.POSITIVE_INFINITY): boolean {
    const next = this.#earliest(this.#monotonicMs + withinMs);
    if (!next) return false;
    this.#alarms.delete(next);
    this.#monotonicMs = Math.max(this.#monotonicMs, next.atMs);
    next.fire();
    return true;
  }

  /** The machine sleeps: time passes, and nothing falls due before it wakes up. */
  leap(byMs: number): void {
    this.#monotonicMs += byMs;
  }

  /** Moves time on, firing what falls due in order and letting promises settle in between. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#monotonicMs + byMs;
    for (;;) {
      if (!this.fireNext(untilMs - this.#monotonicMs)) break;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    this.#monotonicMs = untilMs;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }

  #earliest(untilMs: number): Alarm | undefined {
    let next: Alarm | undefined;
    for (const alarm of this.#alarms) {
      if (alarm.atMs > untilMs) continue;
      if (!next || alarm.atMs < next.atMs || (alarm.atMs === next.atMs && alarm.order < next.order)) {
        next = alarm;
      }
    }
    return next;
  }
}
