/**
 * Bounded waiting: a counting gate with a named maximum and a first-come queue. Used for buffers, memory budgets and
 * requests in flight, so that nothing in the process grows with load.
 */
import { assert } from './assert.ts';
import { HoldfastError } from './errors.ts';

interface Waiter {
  amount: number;
  grant: () => void;
}

export class Gate {
  readonly name: string;
  readonly capacity: number;
  readonly waitersMax: number;
  #available: number;
  readonly #waiters: Waiter[] = [];

  /** `capacity` units may be held at once; more than `waitersMax` waiting callers are refused with `SlowDown`. */
  constructor(name: string, capacity: number, waitersMax = 100_000) {
    assert(capacity > 0, `${name}: capacity must be positive`);
    this.name = name;
    this.capacity = capacity;
    this.waitersMax = waitersMax;
    this.#available = capacity;
  }

  get available(): number {
    return this.#available;
  }

  get waiting(): number {
    return this.#waiters.length;
  }

  tryAcquire(amount = 1): boolean {
    if (this.#waiters.length > 0 || this.#available < amount) return false;
    this.#available -= amount;
    return true;
  }

  /** Resolves when `amount` units are held. Rejects with `signal.reason` when aborted, `SlowDown` when too many wait. */
  acquire(amount = 1, signal?: AbortSignal): Promise<void> {
    assert(amount <= this.capacity, `${this.name}: ${amount} units can never be granted`);
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.tryAcquire(amount)) return Promise.resolve();
    if (this.#waiters.length >= this.waitersMax) {
      return Promise.reject(
        new HoldfastError('SlowDown', { detail: `${this.name}: too many requests are waiting` }),
      );
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        amount,
        grant: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      const onAbort = () => {
        const index = this.#waiters.indexOf(waiter);
        if (index >= 0) this.#waiters.splice(index, 1);
        reject(signal?.reason);
        this.#grantWaiters();
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiters.push(waiter);
    });
  }

  release(amount = 1): void {
    this.#available += amount;
    assert(this.#available <= this.capacity, `${this.name}: released more than was acquired`);
    this.#grantWaiters();
  }

  #grantWaiters(): void {
    for (let head = this.#waiters[0]; head && head.amount <= this.#available; head = this.#waiters[0]) {
      this.#waiters.shift();
      this.#available -= head.amount;
      head.grant();
    }
  }
}
