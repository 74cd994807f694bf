/**
 * What healing asks of the stripe layer. It works on records and fragments only: no names, no decryption keys. Changing the
 * record is the caller's, by compare-and-set.
 */
import type { GridNode } from '../grid/types.ts';
import type { StripeRecord } from '../metadata/records.ts';

export type FragmentCondition = 'intact' | 'corrupt' | 'missing' | 'unreachable';

export interface FragmentAddress {
  readonly stripeId: Buffer;
  readonly index: number;
  readonly node: number;
}

export interface InventoryEntry {
  readonly name: Buffer;
  readonly storedLengthBytes: number;
  /** undefined: the name does not invert, it belongs to another grid and is never touched. */
  readonly fragment:
    | {
        readonly stripeId: Buffer;
        readonly index: number;
        readonly kind: number;
        readonly logId: number;
        readonly term: number;
      }
    | undefined;
}

export interface RebuildResult {
  /** Fragments that are good now, read back and verified, and where they are. */
  readonly placements: readonly { readonly index: number; readonly node: number }[];
  /** Fragments believed good that turned out missing or corrupt while reading. */
  readonly foundBad: readonly number[];
}

export interface StripeSurgery {
  /** Where each fragment of the stripe stands: the node hashes, the trailer and its MAC are checked here. */
  checkStripe(stripeId: Buffer, record: StripeRecord): Promise<FragmentCondition[]>;
  /**
   * Rebuilds `bad` from k verified fragments in one pass. A bad fragment that is found intact where the record has it counts as
   * placed there. Others go to nodes that hold nothing of this stripe, or back to their own node when it is writable and its copy
   * is bad; each is verified by reading back its trailer.
   * @throws DataUnavailable with fewer than k intact fragments, GridUnavailable or InsufficientStorage when nothing could be placed
   */
  rebuild(stripeId: Buffer, record: StripeRecord, bad: readonly number[]): Promise<RebuildResult>;
  /** Deletes fragments; returns those whose node confirmed (absent counts as deleted). Never throws for nodes that do not answer. */
  deleteFragments(addresses: readonly FragmentAddress[]): Promise<FragmentAddress[]>;
  /** Everything a node holds, in pages, names inverted. */
  inventory(node: GridNode): AsyncGenerator<readonly InventoryEntry[], void, void>;
  /** Ids of stripes that are allocated and neither settled nor abandoned, as latin1 strings (`mapKey`). */
  inFlight(): ReadonlySet<string>;
}
