/**
 * Who may move or delete fragments of a stripe: at most one at a time of repair, transcoding and the orphan sweep. Without it a
 * sweep could decide that a fragment is in the wrong place, a repair could then put it in just this place, and the sweep
 * would delete what the record has come to count on.
 */
import { mapKey } from '../base/bytes.ts';

export class StripeClaims {
  readonly #held = new Set<string>();

  /** Returns what ends the claim; undefined while somebody else has the stripe. */
  tryClaim(stripeId: Uint8Array): (() => void) | undefined {
    const id = mapKey(stripeId);
    if (this.#held.has(id)) return undefined;
    this.#held.add(id);
    return () => this.#held.delete(id);
  }

  /** Claimed stripes by `mapKey`, as of now. */
  snapshot(): ReadonlySet<string> {
    return new Set(this.#held);
  }

  get count(): number {
    return this.#held.size;
  }
}
