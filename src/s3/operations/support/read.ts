/**
 * What GetObject and HeadObject ask of `objects`, and the answer to a conditional read that found nothing
 * new.
 */
import { HoldfastError, hasCode } from '../../../base/errors.ts';
import type { ObjectHead, ReadRequest } from '../../../objects/types.ts';
import { checksumModeEnabled } from '../../headers-checksums.ts';
import { READ_CONDITION_HEADERS, readConditions } from '../../headers-conditions.ts';
import { checkVersionId } from '../../headers-copy-source.ts';
import { OVERRIDE_PARAMETERS, responseOverrides } from '../../headers-object.ts';
import { parseRange } from '../../headers-range.ts';
import { header, httpDate, quoteEtag } from '../../headers-values.ts';
import type { OperationContext, OperationResponse } from '../../operation.ts';
import { partNumber } from './parameters.ts';

export const READ_PARAMETERS = [...OVERRIDE_PARAMETERS, 'versionId', 'partNumber'];
export const READ_HEADERS = [...READ_CONDITION_HEADERS, 'range', 'if-range', 'x-amz-checksum-mode'];

/**
 * Everything about the answer that a request can get wrong is checked here, before a body is opened.
 * @throws InvalidRequest for a range of a part, which S3 does not have
 */
export function readRequest({ bucket, key, query, headers }: OperationContext): ReadRequest {
  checkVersionId(query.get('versionId'));
  checksumModeEnabled(headers);
  responseOverrides(query);
  const range = parseRange(header(headers, 'range'));
  const conditions = readConditions(headers);
  if (query.has('partNumber') && headers['range'] !== undefined) {
    throw new HoldfastError('InvalidRequest', {
      detail: 'Cannot specify both Range header and partNumber query parameter',
    });
  }
  return {
    bucket,
    key,
    ...(range && { range }),
    ...(query.has('partNumber') && { partNumber: partNumber(query) }),
    ...(conditions && { conditions }),
  };
}

/** Attempts before a conditional read gives up telling which version the client already has. */
const NOT_MODIFIED_ATTEMPTS = 3;

/**
 * Runs `read`. When it finds nothing new, answers 304 with the validators of RFC 9110 section 15.4.5, read
 * from a version of which "not modified" is true: in between the object may have been replaced, and then it
 * is read again.
 */
export async function unlessNotModified(
  context: OperationContext,
  request: ReadRequest,
  read: () => Promise<OperationResponse>,
): Promise<OperationResponse> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await read();
    } catch (error) {
      if (!hasCode(error, 'NotModified') || attempt === NOT_MODIFIED_ATTEMPTS) throw error;
    }
    const head = await context.objects.headObject({ bucket: request.bucket, key: request.key });
    if (notModified(head, request.conditions)) return { status: 304, headers: validators(head) };
  }
}

function notModified({ info }: ObjectHead, conditions: ReadRequest['conditions']): boolean {
  const { ifNoneMatch, ifModifiedSinceMs } = conditions ?? {};
  if (ifNoneMatch) return ifNoneMatch.includes('*') || ifNoneMatch.includes(info.etag);
  return ifModifiedSinceMs !== undefined && Math.floor(info.modifiedMs / 1000) * 1000 <= ifModifiedSinceMs;
}

function validators({ info }: ObjectHead): Record<string, string> {
  const { cacheControl, expires } = info.headers;
  return {
    etag: quoteEtag(info.etag),
    'last-modified': httpDate(info.modifiedMs),
    ...(cacheControl !== undefined && { 'cache-control': cacheControl }),
    ...(expires !== undefined && { expires }),
  };
}
