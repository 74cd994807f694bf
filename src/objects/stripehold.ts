/**
 * What a body written to stripes owes the stripe layer: each stripe is settled once it is in the metadata, or abandoned when it
 * never will be. Large bodies own their stripes (OwnedStripes); small ones share one (SharedStripe), whose fate is decided when
 * the last of them has committed or failed.
 */
import { mapKey } from '../base/bytes.ts';
import type { Committer } from '../commitlog/commit.ts';
import { keys } from '../metadata/keys.ts';
import { encodeRecord } from '../metadata/records.ts';
import type { StripeStore, WrittenStripe } from '../stripes/types.ts';
import type { Change } from './change.ts';

export interface StripeHold {
  /** Adds the stripe records to a commit. Called again for every attempt. */
  attach(change: Change, committer: Committer): void | Promise<void>;
  /** Called exactly once: whether the commit that names the stripes was made. A commit that rejects never is. */
  end(committed: boolean): void;
}

/** Stripes that are written but not all committed yet: whoever buries empty stripes leaves them alone. */
export class UnsettledStripes {
  readonly #ids = new Set<string>();

  add(stripeId: Buffer): void {
    this.#ids.add(mapKey(stripeId));
  }

  delete(stripeId: Buffer): void {
    this.#ids.delete(mapKey(stripeId));
  }

  has(stripeId: Buffer): boolean {
    return this.#ids.has(mapKey(stripeId));
  }
}

/** No body, no stripes. */
export const noStripes: StripeHold = { attach: () => {}, end: () => {} };

export class OwnedStripes implements StripeHold {
  readonly #stripes: StripeStore;
  readonly #written: readonly WrittenStripe[];

  constructor(stripes: StripeStore, written: readonly WrittenStripe[]) {
    this.#stripes = stripes;
    this.#written = written;
  }

  attach(change: Change): void {
    for (const { stripeId, record } of this.#written) change.put(keys.stripe(stripeId), encodeRecord(record));
  }

  end(committed: boolean): void {
    for (const stripe of this.#written) {
      if (committed) this.#stripes.settle(stripe.stripeId);
      else this.#stripes.abandon(stripe);
    }
  }
}

/**
 * A stripe that several contents share. The first of them to commit puts its record; the others require that it is there
 * as they know it, so that a stripe which was buried or is being repaired is never pointed to by accident.
 */
export class SharedStripe {
  readonly #stripes: StripeStore;
  readonly #unsettled: UnsettledStripes;
  readonly #written: WrittenStripe;
  readonly #recordBytes: Buffer;
  /** Called when all have ended and at least one has committed: it may be empty by then. */
  readonly #onSettled: (stripeId: Buffer) => void;
  #membersLeft: number;
  #claimed = false;
  #committed = false;

  constructor(
    stripes: StripeStore,
    unsettled: UnsettledStripes,
    written: WrittenStripe,
    memberCount: number,
    onSettled: (stripeId: Buffer) => void,
  ) {
    this.#stripes = stripes;
    this.#unsettled = unsettled;
    this.#written = written;
    this.#recordBytes = encodeRecord(written.record);
    this.#membersLeft = memberCount;
    this.#onSettled = onSettled;
    unsettled.add(written.stripeId);
  }

  get stripeId(): Buffer {
    return this.#written.stripeId;
  }

  /** The share of one content. */
  member(): StripeHold {
    let attempted = false;
    return {
      attach: (change, committer) => {
        if (attempted) return this.#attachAgain(change, committer);
        attempted = true;
        this.#attachFirst(change);
      },
      end: (committed) => this.#end(committed),
    };
  }

  /** Without waiting, so that all commits of the stripe reach the committer together. */
  #attachFirst(change: Change): void {
    const key = keys.stripe(this.stripeId);
    if (this.#claimed) {
      change.expect(key, this.#recordBytes);
      return;
    }
    this.#claimed = true;
    change.expect(key, undefined);
    change.put(key, this.#recordBytes);
  }

  async #attachAgain(change: Change, committer: Committer): Promise<void> {
    const key = keys.stripe(this.stripeId);
    const present = await committer.peek(key);
    change.expect(key, present);
    if (present === undefined) change.put(key, this.#recordBytes);
  }

  #end(committed: boolean): void {
    this.#committed ||= committed;
    this.#membersLeft -= 1;
    if (this.#membersLeft > 0) return;
    this.#unsettled.delete(this.stripeId);
    if (this.#committed) {
      this.#stripes.settle(this.stripeId);
      this.#onSettled(this.stripeId);
    } else {
      this.#stripes.abandon(this.#written);
    }
  }
}
