/**
 * Byte ranges. S3 serves one range; a Range header that is malformed, of another unit or of several ranges is
 * ignored and the whole object sent, as RFC 9110 section 14.2 allows and AWS does. Whether a range can be
 * satisfied is decided by `objects`, which knows the length.
 */
import type { ObjectHead, RangeRequest } from '../objects/types.ts';
import { invalidArgument } from './headers-values.ts';

/** Beyond every object, and exact as a number. */
const POSITION_MAX = 999_999_999_999_999;

/**
 * The one range of a Range header, or undefined when the whole object is to be sent. Positions may be of any size: the
 * AWS SDK for Java 1 asks for the rest of an object with `bytes=5-9223372036854775806`.
 */
export function parseRange(value: string | undefined): RangeRequest | undefined {
  const match = value === undefined ? null : /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(value);
  if (!match) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '') return last === '' ? undefined : { suffixBytes: position(last) };
  if (last === '') return { firstByte: position(first) };
  if (BigInt(first) > BigInt(last)) return undefined;
  return { firstByte: position(first), lastByte: position(last) };
}

function position(digits: string): number {
  return Math.min(Number(digits), POSITION_MAX);
}

/**
 * `x-amz-copy-source-range`, which is stricter: exactly `bytes=first-last`.
 * @throws InvalidArgument
 */
export function parseCopyRange(value: string | undefined): RangeRequest | undefined {
  if (value === undefined) return undefined;
  const match = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(value.trim());
  const firstByte = Number(match?.[1]);
  const lastByte = Number(match?.[2]);
  if (!match || firstByte > lastByte) {
    throw invalidArgument(
      'x-amz-copy-source-range',
      value,
      'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy',
    );
  }
  return { firstByte, lastByte };
}

/** `bytes 0-9/100`; undefined for a whole object and for an empty answer, which has no valid form. */
export function contentRange(head: ObjectHead): string | undefined {
  const { firstByte, lengthBytes, partial } = head.range;
  if (!partial || lengthBytes === 0) return undefined;
  return `bytes ${firstByte}-${firstByte + lengthBytes - 1}/${head.info.sizeBytes}`;
}
