/**
 * Conditional requests. Reads: RFC 9110 section 13.2.2 gives the order of evaluation; S3 answers a failed If-None-Match or
 * If-Modified-Since of GET and HEAD with 304, everything else with 412. Writes: S3 User Guide, "Conditional writes":
 * If-None-Match takes `*` only; If-Match on an absent key is 404, and 409 when the key was there as the request began.
 */
import { HoldfastError } from '../base/errors.ts';
import type { ReadConditions, WriteConditions } from './types.ts';

/** What conditions look at. ETag without quotes. */
export interface Validators {
  readonly etag: string;
  readonly modifiedMs: number;
}

function matches(etags: readonly string[], etag: string): boolean {
  return etags.some((candidate) => candidate === '*' || candidate === etag);
}

/** HTTP dates have whole seconds, so the stored time is compared without its fraction. */
function wholeSecondsMs(timeMs: number): number {
  return Math.floor(timeMs / 1000) * 1000;
}

function failed(condition: string): HoldfastError {
  return new HoldfastError('PreconditionFailed', { fields: { Condition: condition } });
}

/**
 * `notModified`: what a failed If-None-Match or If-Modified-Since answers; GET and HEAD say NotModified, copies
 * PreconditionFailed.
 * @throws PreconditionFailed or NotModified
 */
export function checkReadConditions(
  conditions: ReadConditions | undefined,
  { etag, modifiedMs }: Validators,
  notModified: 'NotModified' | 'PreconditionFailed',
): void {
  if (conditions === undefined) return;
  const { ifMatch, ifNoneMatch, ifModifiedSinceMs, ifUnmodifiedSinceMs } = conditions;
  const modifiedSecondMs = wholeSecondsMs(modifiedMs);
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, etag)) throw failed('If-Match');
  } else if (ifUnmodifiedSinceMs !== undefined && modifiedSecondMs > ifUnmodifiedSinceMs) {
    throw failed('If-Unmodified-Since');
  }
  const unchanged = (condition: string) =>
    notModified === 'NotModified' ? new HoldfastError('NotModified') : failed(condition);
  if (ifNoneMatch !== undefined) {
    if (matches(ifNoneMatch, etag)) throw unchanged('If-None-Match');
  } else if (ifModifiedSinceMs !== undefined && modifiedSecondMs <= ifModifiedSinceMs) {
    throw unchanged('If-Modified-Since');
  }
}

/**
 * Checks the conditions of a PUT, complete or delete against the current version. `existedBefore`: an earlier check of the
 * same request saw the key.
 * @throws PreconditionFailed, NoSuchKey, ConditionalRequestConflict
 */
export function checkWriteConditions(
  conditions: WriteConditions | undefined,
  current: { readonly etag: string } | undefined,
  existedBefore: boolean,
): void {
  if (conditions === undefined) return;
  if (conditions.ifNoneMatch !== undefined && current !== undefined) throw failed('If-None-Match');
  if (conditions.ifMatch === undefined) return;
  if (current === undefined) {
    throw new HoldfastError(existedBefore ? 'ConditionalRequestConflict' : 'NoSuchKey');
  }
  if (!matches([conditions.ifMatch], current.etag)) throw failed('If-Match');
}

export function isConditional(conditions: WriteConditions | undefined): boolean {
  return conditions?.ifMatch !== undefined || conditions?.ifNoneMatch !== undefined;
}
