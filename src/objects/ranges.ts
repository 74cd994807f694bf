/**
 * From what a client asks for (RFC 9110 section 14.1.2) to the bytes that are sent. A range that begins behind the end of the
 * object is unsatisfiable; one that ends behind it is cut. S3 answers every range of an empty object with 416.
 */
import { HoldfastError } from '../base/errors.ts';
import type { RangeRequest } from './types.ts';

export interface ByteRange {
  readonly firstByte: number;
  readonly lengthBytes: number;
}

export function formatRange(range: RangeRequest): string {
  if ('suffixBytes' in range) return `bytes=-${range.suffixBytes}`;
  return `bytes=${range.firstByte}-${range.lastByte ?? ''}`;
}

/** @throws InvalidRange with ActualObjectSize and RangeRequested */
export function resolveRange(range: RangeRequest, sizeBytes: number): ByteRange {
  if ('suffixBytes' in range) {
    const lengthBytes = Math.min(range.suffixBytes, sizeBytes);
    if (lengthBytes <= 0) throw unsatisfiable(range, sizeBytes);
    return { firstByte: sizeBytes - lengthBytes, lengthBytes };
  }
  const { firstByte, lastByte = sizeBytes - 1 } = range;
  if (firstByte >= sizeBytes || lastByte < firstByte) throw unsatisfiable(range, sizeBytes);
  return { firstByte, lengthBytes: Math.min(lastByte, sizeBytes - 1) - firstByte + 1 };
}

function unsatisfiable(range: RangeRequest, sizeBytes: number): HoldfastError {
  return new HoldfastError('InvalidRange', {
    fields: { RangeRequested: formatRange(range), ActualObjectSize: String(sizeBytes) },
  });
}
