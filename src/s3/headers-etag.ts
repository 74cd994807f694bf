/**
 * `x-holdfast-etag`, a header of our own: what the ETags of a bucket are. CreateBucket takes it, HeadBucket answers with it where
 * they are opaque. S3 has nothing of the kind for a bucket (src/objects/etags.ts says what it is good for).
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { EtagKind } from '../objects/types.ts';
import { header, invalidArgument } from './headers-values.ts';

export const ETAG_HEADER = 'x-holdfast-etag';

/** @throws InvalidArgument */
export function requestedEtags(headers: IncomingHttpHeaders): EtagKind | undefined {
  const value = header(headers, ETAG_HEADER);
  const kind = value?.trim().toLowerCase();
  if (value === undefined || kind === 'md5' || kind === 'opaque') return kind as EtagKind | undefined;
  throw invalidArgument(ETAG_HEADER, value, `The value of ${ETAG_HEADER} must be md5 or opaque.`);
}
