/**
 * Whole fragments, verified: bytes against the BLAKE3 root in the trailer, the trailer against its MAC. For repair, for copying
 * payloads, and for reads whose authentication failed and must find out who lied.
 */
import { HoldfastError } from '../base/errors.ts';
import { TRAILER_BYTES } from '../coding/trailer.ts';
import type { StripeEngine } from './engine/types.ts';
import { isGoodBit } from './fragments.ts';
import { cheapestFirst, type ReadParts, readFragment, type StripeRef } from './gather.ts';

export interface VerifiedStripe {
  /** One entry for each fragment: its bytes where they were read and are intact. */
  readonly present: (Uint8Array | undefined)[];
  /** Fragments that were read and are not what they should be, or are not there. */
  readonly bad: readonly number[];
}

/**
 * Reads and verifies fragments until `wanted` are intact, into `memory` at index · F. Late reads are added to `unsettled` also when
 * this throws: their memory is in use until they have ended.
 * @throws DataUnavailable when fewer are
 */
export async function readVerified(
  parts: ReadParts & { readonly engine: StripeEngine },
  stripe: StripeRef,
  memory: Uint8Array,
  wanted: number,
  unsettled: Promise<unknown>[],
  options: { readonly except?: ReadonlySet<number>; readonly preferred?: ReadonlySet<number> } = {},
): Promise<VerifiedStripe> {
  const { record } = stripe;
  const count = record.k + record.m;
  const present: (Uint8Array | undefined)[] = new Array(count).fill(undefined);
  const bad: number[] = [];
  const indices = Array.from({ length: count }, (_, index) => index).filter(
    (index) => !options.except?.has(index),
  );
  const data = options.preferred ?? new Set(indices.filter((index) => index < record.k));
  const known = cheapestFirst(
    parts.grid,
    record,
    indices.filter((index) => isGoodBit(record, index)),
    data,
  );
  const doubtful = cheapestFirst(
    parts.grid,
    record,
    indices.filter((index) => !isGoodBit(record, index)),
    data,
  );
  const queue = [...known, ...doubtful];
  let intact = 0;
  const fill = async () => {
    while (intact < wanted) {
      const index = queue.shift();
      if (index === undefined) return;
      intact += 1;
      const area = memory.subarray(
        index * record.fragmentLengthBytes,
        (index + 1) * record.fragmentLengthBytes,
      );
      const verdict = await verifyInto(parts, stripe, index, area, unsettled);
      if (verdict === 'intact') present[index] = area;
      else {
        intact -= 1;
        if (verdict === 'bad') bad.push(index);
      }
    }
  };
  // A worker that fails leaves its place to be filled by the ones still running, so it goes round again.
  while (intact < wanted && queue.length > 0) {
    await Promise.all(Array.from({ length: wanted - intact }, fill));
  }
  if (intact < wanted) {
    throw new HoldfastError('DataUnavailable', {
      detail: `${intact} of the ${wanted} fragments that a stripe needs are intact and within reach`,
    });
  }
  return { present, bad };
}

/** Reads one fragment into `area` and verifies it. */
export async function verifyInto(
  parts: ReadParts & { readonly engine: StripeEngine },
  stripe: StripeRef,
  index: number,
  area: Uint8Array,
  unsettled: Promise<unknown>[],
): Promise<'intact' | 'bad' | 'unreachable'> {
  const { stripeId, record } = stripe;
  const trailerBytes = Buffer.alloc(TRAILER_BYTES);
  let isBad = false;
  const watching: ReadParts = {
    ...parts,
    onDamage: (id, at, reason) => {
      if (reason !== 'unreachable') isBad = true;
      parts.onDamage(id, at, reason);
    },
  };
  const [bytesRead, trailerRead] = await Promise.all([
    readFragment(watching, stripe, index, 0, area, unsettled),
    readFragment(watching, stripe, index, record.fragmentLengthBytes, trailerBytes, unsettled),
  ]);
  if (!bytesRead || !trailerRead) return isBad ? 'bad' : 'unreachable';
  const trailer = parts.seals.check(parts.seals.name(stripeId, index), index, record, trailerBytes);
  const [root] = await parts.engine.hash([area]);
  if (trailer && root?.equals(trailer.root)) return 'intact';
  parts.onDamage(stripeId, index, 'corrupt');
  return 'bad';
}
