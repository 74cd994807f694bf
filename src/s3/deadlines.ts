/**
 * Watches all requests in flight with one timer: body bytes that do not come, answers that are not taken, rests that are
 * never sent. One sweep over a set costs less than a timer per request, and a deadline a second late harms nobody.
 */
import type { Clock } from '../base/clock.ts';
import { SECOND_MS } from '../base/units.ts';
import type { Exchange } from './exchange.ts';
import type { S3Limits } from './limits.ts';

export class Deadlines {
  readonly #limits: S3Limits;
  readonly #clock: Clock;
  readonly #active = new Set<Exchange>();
  readonly #timer: NodeJS.Timeout;

  constructor(limits: S3Limits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    const shortest = Math.min(limits.bodyIdleMs, limits.writeStallMs, limits.bodyWindowMs);
    this.#timer = setInterval(() => this.#sweep(), Math.min(SECOND_MS, Math.max(10, shortest / 4)));
    this.#timer.unref();
  }

  get active(): ReadonlySet<Exchange> {
    return this.#active;
  }

  watch(exchange: Exchange): void {
    this.#active.add(exchange);
  }

  forget(exchange: Exchange): void {
    this.#active.delete(exchange);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #sweep(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const exchange of this.#active) {
      if (exchange.phase === 'handler') {
        const late = exchange.startedBody?.overdue(nowMs);
        if (late) exchange.startedBody?.fail(late);
        continue;
      }
      const { writeStallMs, bodyIdleMs } = this.#limits;
      const allowedMs = exchange.phase === 'writing' ? writeStallMs : bodyIdleMs;
      if (nowMs - exchange.progressMs >= allowedMs) exchange.request.socket.destroy();
    }
  }
}
