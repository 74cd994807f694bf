/**
 * How often a source may fail: so many times in a window, then it has to wait for the rest of it. The table of sources is bounded; when it
 * is full the one that began first is forgotten, so this slows guessing down and what stops it is the length of what is guessed.
 */
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import { MINUTE_MS, SECOND_MS } from '../base/units.ts';

const FAILURES_MAX = 10;
const WINDOW_MS = 10 * MINUTE_MS;
const SOURCES_MAX = 1024;

interface Window {
  readonly sinceMs: number;
  failures: number;
}

export class FailureLimit {
  readonly #clock: Clock;
  /** In the order in which their windows began. */
  readonly #windows = new Map<string, Window>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws SlowDown with the time to wait */
  assertBelow(source: string): void {
    const window = this.#current(source);
    if (!window || window.failures < FAILURES_MAX) return;
    const leftMs = window.sinceMs + WINDOW_MS - this.#clock.monotonicMs();
    throw new HoldfastError('SlowDown', {
      detail: `too many wrong join tokens from ${source}; try again in ${Math.ceil(leftMs / SECOND_MS)} s`,
    });
  }

  count(source: string): void {
    const window = this.#current(source);
    if (window) {
      window.failures += 1;
      return;
    }
    const [oldest] = this.#windows.keys();
    if (oldest !== undefined && this.#windows.size >= SOURCES_MAX) this.#windows.delete(oldest);
    this.#windows.set(source, { sinceMs: this.#clock.monotonicMs(), failures: 1 });
  }

  #current(source: string): Window | undefined {
    const window = this.#windows.get(source);
    if (!window || this.#clock.monotonicMs() - window.sinceMs < WINDOW_MS) return window;
    this.#windows.delete(source);
    return undefined;
  }
}
