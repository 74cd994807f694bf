/**
 * The places of a namespace's records in the order in which they were appended, some at a time: one pass over the index finds the next ones,
 * so that memory stays bounded however many there are. What compaction moves comes again at its new place, and is never missed.
 */
import { namespaceOf } from './address.ts';
import type { FragmentIndex } from './fragmentindex.ts';
import { RECORD_ALIGNMENT_BYTES } from './segmentformat.ts';

/** Segment and offset in one number that has their order; exact for segments below 2²⁸. */
export type Place = number;
const PLACES_PER_SEGMENT = 2 ** 25;
/** Found by one pass. */
const RUN_PLACES_MAX = 65_536;

export function placeOf(segment: number, offset: number): Place {
  return segment * PLACES_PER_SEGMENT + offset / RECORD_ALIGNMENT_BYTES;
}

export function segmentOf(place: Place): number {
  return Math.floor(place / PLACES_PER_SEGMENT);
}

export function offsetOf(place: Place): number {
  return (place % PLACES_PER_SEGMENT) * RECORD_ALIGNMENT_BYTES;
}

/** Up to RUN_PLACES_MAX places behind `after` (exclusive), nearest first; before it when `backwards`. */
export function nextPlaces(
  index: FragmentIndex,
  namespace: number,
  after: Place | undefined,
  backwards: boolean,
): Float64Array {
  // Backwards, places are negated: nearest first is smallest first in both directions.
  const sign = backwards ? -1 : 1;
  const from = after === undefined ? Number.NEGATIVE_INFINITY : sign * after;
  const found = new Float64Array(2 * RUN_PLACES_MAX);
  let count = 0;
  let limit = Number.POSITIVE_INFINITY;
  for (let id = 0; id < index.entryLimit; id++) {
    if (!index.isLive(id) || namespaceOf(index.tag(id)) !== namespace) continue;
    const place = sign * placeOf(index.segment(id), index.offset(id));
    if (place <= from || place >= limit) continue;
    found[count++] = place;
    if (count === found.length) {
      found.sort();
      count = RUN_PLACES_MAX;
      limit = found[count]!;
    }
  }
  const nearest = found.subarray(0, count).sort().slice(0, RUN_PLACES_MAX);
  return backwards ? nearest.map((place) => -place) : nearest;
}
