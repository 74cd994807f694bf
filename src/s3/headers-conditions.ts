/**
 * Conditional requests: RFC 9110 section 13 for reads, and S3's conditional writes. Only parsed here;
 * `objects` evaluates them against one consistent version and again at the commit.
 * Source: docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { ReadConditions, WriteConditions } from '../objects/types.ts';
import { header, invalidArgument, notImplemented, parseHttpDate, unquoteEtag } from './headers-values.ts';

export const READ_CONDITION_HEADERS = [
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
] as const;

export const COPY_CONDITION_HEADERS = [
  'x-amz-copy-source-if-match',
  'x-amz-copy-source-if-none-match',
  'x-amz-copy-source-if-modified-since',
  'x-amz-copy-source-if-unmodified-since',
] as const;

export const WRITE_CONDITION_HEADERS = ['if-match', 'if-none-match'] as const;

/** Conditions on the object read, or on the source of a copy with `prefix` = `x-amz-copy-source-`. */
export function readConditions(headers: IncomingHttpHeaders, prefix = ''): ReadConditions | undefined {
  const ifMatch = etagList(header(headers, `${prefix}if-match`));
  const ifNoneMatch = etagList(header(headers, `${prefix}if-none-match`));
  const ifModifiedSinceMs = date(header(headers, `${prefix}if-modified-since`));
  const ifUnmodifiedSinceMs = date(header(headers, `${prefix}if-unmodified-since`));
  const conditions: ReadConditions = {
    ...(ifMatch && { ifMatch }),
    ...(ifNoneMatch && { ifNoneMatch }),
    ...(ifModifiedSinceMs !== undefined && { ifModifiedSinceMs }),
    ...(ifUnmodifiedSinceMs !== undefined && { ifUnmodifiedSinceMs }),
  };
  return Object.keys(conditions).length > 0 ? conditions : undefined;
}

/**
 * S3 takes `If-None-Match: *` (only if there is none) or `If-Match: <etag>` (only over this one), not both.
 * @throws NotImplemented for what S3 does not define either, InvalidArgument for an empty ETag
 */
export function writeConditions(headers: IncomingHttpHeaders): WriteConditions | undefined {
  const none = header(headers, 'if-none-match');
  const match = header(headers, 'if-match');
  if (none === undefined && match === undefined) return undefined;
  if (none !== undefined) {
    if (match !== undefined) throw notImplemented('If-Match together with If-None-Match on a write');
    if (unquoteEtag(none) !== '*') throw notImplemented('If-None-Match with anything but * on a write');
    return { ifNoneMatch: '*' };
  }
  const etags = etagList(match) ?? [];
  if (etags.length > 1) throw notImplemented('If-Match with more than one ETag on a write');
  const etag = etags[0];
  if (!etag) throw invalidArgument('If-Match', match ?? '', 'If-Match names no ETag.');
  return { ifMatch: etag };
}

function etagList(value: string | undefined): readonly string[] | undefined {
  return value
    ?.split(',')
    .map(unquoteEtag)
    .filter((etag) => etag !== '');
}

function date(value: string | undefined): number | undefined {
  return value === undefined ? undefined : parseHttpDate(value);
}
