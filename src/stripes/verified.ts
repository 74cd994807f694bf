/**
 * Whole fragments, verified: bytes against the BLAKE3 root in the trailer, the trailer against its MAC. For repair, for copying
 * payloads, and for reads whose authentication failed and must find out who lied.
 */
import { HoldfastError } from '../base/errors.ts';
import { TRAILER_BYTES } from '../coding/trailer.ts';
import type { StripeEngine } from './engine/types.ts';
import { allSettled } from './exchange.ts';
import { cheapestFirst, patiently, type ReadParts, readFragment, type StripeRef } from './gather.ts';
import type { LateRead, Scratch } from './scratch.ts';

export type VerifyParts = ReadParts & { readonly engine: StripeEngine };

export interface VerifiedStripe {
  /** One entry for each fragment: its bytes where they were read and are intact. */
  readonly present: (Uint8Array | undefined)[];
  /** Fragments that were read and are not what they should be, or are not there. */
  readonly bad: readonly number[];
}

type Verdict = 'intact' | 'bad' | 'unreachable';

/** A fragment whose bytes or trailer are late. */
interface LateFragment {
  readonly index: number;
  readonly reads: readonly LateRead[];
  readonly judge: () => Promise<Verdict>;
}

/**
 * Reads and verifies fragments until `wanted` are intact, each into its area.
 * @throws DataUnavailable when fewer are
 */
export async function readVerified(
  parts: VerifyParts,
  stripe: StripeRef,
  scratch: Scratch,
  wanted: number,
  options: { readonly except?: ReadonlySet<number>; readonly preferred?: ReadonlySet<number> } = {},
): Promise<VerifiedStripe> {
  const { record } = stripe;
  const count = record.k + record.m;
  const present: (Uint8Array | undefined)[] = new Array(count).fill(undefined);
  const bad: number[] = [];
  const late: LateFragment[] = [];
  const indices = Array.from({ length: count }, (_, i) => i).filter((i) => !options.except?.has(i));
  const preferred = options.preferred ?? new Set(indices.filter((index) => index < record.k));
  const queue = cheapestFirst(parts.grid, record, indices, preferred);
  let intact = 0;
  const fill = async () => {
    for (let index = queue.shift(); index !== undefined; index = queue.shift()) {
      const verdict = await readOne(parts, stripe, index, scratch);
      if (verdict === 'intact') {
        present[index] = scratch.area(index);
        intact += 1;
        return;
      }
      if (verdict === 'bad') bad.push(index);
      else if (verdict !== 'unreachable') late.push(verdict);
    }
  };
  await allSettled(Array.from({ length: wanted }, fill));
  let closed = false;
  const take = async ({ index, reads, judge }: LateFragment) => {
    const arrived = (await Promise.all(reads.map(({ ended }) => ended))).every((done) => done);
    if (closed || !arrived) return false;
    const judging = judge();
    scratch.hold(judging);
    const verdict = await judging;
    if (closed) return false;
    if (verdict === 'bad') bad.push(index);
    else if (verdict === 'intact' && intact < wanted) {
      present[index] = scratch.area(index);
      intact += 1;
    }
    return intact >= wanted;
  };
  if (intact < wanted) await patiently(parts, late, take);
  closed = true;
  if (intact < wanted) {
    throw new HoldfastError('DataUnavailable', {
      detail: `${intact} of the ${wanted} fragments that a stripe needs are intact and within reach`,
    });
  }
  return { present, bad };
}

/** Reads one fragment into its area and verifies it. */
async function readOne(
  parts: VerifyParts,
  stripe: StripeRef,
  index: number,
  scratch: Scratch,
): Promise<Verdict | LateFragment> {
  const area = scratch.area(index);
  const trailer = Buffer.alloc(TRAILER_BYTES);
  const late: LateRead[] = [];
  let isBad = false;
  const watching: ReadParts = {
    ...parts,
    onDamage: (id, at, reason) => {
      isBad = true;
      parts.onDamage(id, at, reason);
    },
  };
  try {
    const done = await allSettled([
      readFragment(watching, stripe, index, 0, area, late),
      readFragment(watching, stripe, index, stripe.record.fragmentLengthBytes, trailer, late),
    ]);
    if (isBad) return 'bad';
    const judge = () => verify(parts, stripe, index, area, trailer);
    const missing = done.filter((read) => !read).length;
    if (missing === 0) return await judge();
    return missing === late.length ? { index, reads: late, judge } : 'unreachable';
  } finally {
    scratch.late.push(...late);
  }
}

async function verify(
  parts: VerifyParts,
  { stripeId, record }: StripeRef,
  index: number,
  area: Uint8Array,
  trailerBytes: Uint8Array,
): Promise<Verdict> {
  const trailer = parts.seals.check(parts.seals.name(stripeId, index), index, record, trailerBytes);
  const [root] = await parts.engine.hash([area]);
  if (trailer && root?.equals(trailer.root)) return 'intact';
  parts.onDamage(stripeId, index, 'corrupt');
  return 'bad';
}
