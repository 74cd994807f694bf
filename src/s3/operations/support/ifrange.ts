/**
 * If-Range (RFC 9110 section 13.1.5): the range when the object is still the one the client has a part of, else all of
 * it. Browsers send it when they resume a download or seek in a video. `objects` has no such condition, so the version
 * is looked up first and then asked for by its ETag; when it was replaced in between, the whole object is sent.
 */
import { hasCode } from '../../../base/errors.ts';
import type { ObjectHead, ReadRequest } from '../../../objects/types.ts';
import { header, parseHttpDate, quoteEtag } from '../../headers-values.ts';
import type { OperationContext } from '../../operation.ts';

/** Runs `read` with the range of `request`, or without when If-Range says so. */
export async function unlessReplaced<Answer>(
  context: OperationContext,
  request: ReadRequest,
  read: (request: ReadRequest) => Promise<Answer>,
): Promise<Answer> {
  const validator = header(context.headers, 'if-range');
  const { range, ...whole } = request;
  if (validator === undefined || !range) return read(request);
  const { info } = await context.objects.headObject(whole);
  if (!holds(validator, info)) return read(whole);
  try {
    return await read({ ...request, conditions: { ...request.conditions, ifMatch: [info.etag] } });
  } catch (error) {
    if (!hasCode(error, 'PreconditionFailed')) throw error;
    return read(whole);
  }
}

/** A weak ETag never holds here, and a date only when it is exactly Last-Modified. */
function holds(validator: string, info: ObjectHead['info']): boolean {
  if (validator.trim() === quoteEtag(info.etag)) return true;
  return parseHttpDate(validator) === Math.floor(info.modifiedMs / 1000) * 1000;
}
