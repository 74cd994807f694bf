/**
 * Gives out positions: a term that no other start has, a random start, and a counter within the two (design/commits.md, "Names").
 * Nothing is persisted to allocate. Also keeps the set of stripes in flight: allocated, and neither committed nor given up. An orphan
 * sweep leaves those alone.
 */
import { mapKey } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import { positionKinds, stripeIdOf } from '../crypto/locator.ts';
import type { StripeId } from './types.ts';

const COUNTER_MAX = 0xffff_ffff;

export interface PositionSource {
  readonly logId: number;
  readonly term: number;
  readonly start: number;
}

export class Positions {
  readonly #source: PositionSource;
  readonly #inFlight = new Set<string>();
  #counter = 0;

  constructor(source: PositionSource) {
    this.#source = source;
  }

  /** A stripe id that was never given out; in flight until `settle`. */
  allocate(): StripeId {
    if (this.#counter >= COUNTER_MAX) {
      throw new HoldfastError('ServiceUnavailable', {
        detail: 'this start of the server has used all its positions; restart it to take a new term',
      });
    }
    this.#counter += 1;
    const stripeId = stripeIdOf({
      kind: positionKinds.data,
      index: 0,
      ...this.#source,
      counter: this.#counter,
    });
    this.#inFlight.add(mapKey(stripeId));
    return stripeId;
  }

  settle(stripeId: StripeId): void {
    this.#inFlight.delete(mapKey(stripeId));
  }

  inFlight(): ReadonlySet<string> {
    return this.#inFlight;
  }
}
