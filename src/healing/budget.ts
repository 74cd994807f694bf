/**
 * A rate limit in bytes per second: a token bucket of one second. Who takes more than is there goes into debt and waits, so that
 * one large piece is possible and the average holds.
 */
import type { Clock } from '../base/clock.ts';

export class ByteBudget {
  readonly #clock: Clock;
  readonly bytesPerSecond: number;
  #available: number;
  #refilledMs: number;

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock;
    this.bytesPerSecond = Math.max(1, bytesPerSecond);
    this.#available = this.bytesPerSecond;
    this.#refilledMs = clock.monotonicMs();
  }

  #refill(): void {
    const nowMs = this.#clock.monotonicMs();
    const earned = ((nowMs - this.#refilledMs) / 1000) * this.bytesPerSecond;
    this.#available = Math.min(this.bytesPerSecond, this.#available + earned);
    this.#refilledMs = nowMs;
  }

  /** Takes without waiting: for work that must not be held up, which others then pay for. */
  charge(bytes: number): void {
    this.#refill();
    this.#available -= bytes;
  }

  /** Resolves when `bytes` may be moved. Rejects with `signal.reason` when aborted. */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    this.#refill();
    if (this.#available <= 0) {
      await this.#clock.sleep((-this.#available / this.bytesPerSecond) * 1000 + 1, signal);
      this.#refill();
    }
    this.#available -= bytes;
  }
}
