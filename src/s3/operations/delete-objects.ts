/**
 * docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
 * Each key succeeds or fails by itself. Deletes run side by side, so that one group commit takes many of
 * them.
 */
import { HoldfastError } from '../../base/errors.ts';
import { KIB, MIB } from '../../base/units.ts';
import { type S3Error, toS3Error } from '../errordocument.ts';
import { BODY_CHECKSUM_HEADERS, bodyChecksumAlgorithm } from '../headers-checksums.ts';
import { checkVersionId } from '../headers-copy-source.ts';
import { notImplemented, unquoteEtag } from '../headers-values.ts';
import type { Operation, OperationContext } from '../operation.ts';
import type { XmlObject } from '../xml-build.ts';
import { parseXml, readFields, type XmlElement } from '../xml-parse.ts';
import { xmlResponse } from './support/responses.ts';

const OBJECTS_MAX = 1000;
/** 1,000 keys of 1,024 bytes, each byte a reference like `&#x1F;` at worst, and their elements. */
const DOCUMENT_BYTES_MAX = 6 * MIB + 256 * KIB;
/** Seven elements an object at most. */
const DOCUMENT_TAGS_MAX = OBJECTS_MAX * 14 + 100;
/** Deletes in flight for one request. */
const CONCURRENCY_MAX = 64;

interface Target {
  readonly key: string;
  readonly versionId: string | undefined;
  readonly etag: string | undefined;
  readonly unsupported: string | undefined;
}

export const deleteObjects: Operation = {
  name: 'DeleteObjects',
  method: 'POST',
  level: 'bucket',
  selectors: { delete: true },
  parameters: [],
  headers: [...BODY_CHECKSUM_HEADERS, 'content-type'],
  async handle(context) {
    const { headers } = context;
    if (headers['content-md5'] === undefined && !bodyChecksumAlgorithm(headers)) {
      throw new HoldfastError('InvalidRequest', {
        detail: 'Missing required header for this request: Content-MD5 or x-amz-checksum-*',
      });
    }
    const document = await context.document(DOCUMENT_BYTES_MAX);
    const fields = readFields(parseXml(document, 'Delete', DOCUMENT_TAGS_MAX), ['Quiet'], ['Object']);
    const targets = fields.all('Object').map(readTarget);
    if (targets.length === 0 || targets.length > OBJECTS_MAX) throw new HoldfastError('MalformedXML');
    await context.objects.headBucket(context.bucket);
    const outcomes = await deleteAll(context, targets);
    const quiet = fields.text('Quiet')?.trim().toLowerCase() === 'true';
    return xmlResponse('DeleteResult', {
      Deleted: quiet ? [] : outcomes.flatMap(({ target, error }) => (error ? [] : [deletedElement(target)])),
      Error: outcomes.flatMap(({ target, error }) => (error ? [errorElement(target, error)] : [])),
    });
  },
};

function readTarget(element: XmlElement): Target {
  const fields = readFields(element, ['Key', 'VersionId', 'ETag', 'LastModifiedTime', 'Size']);
  const key = fields.text('Key');
  if (!key) throw new HoldfastError('MalformedXML', { detail: 'An Object of the request has no Key.' });
  return {
    key,
    versionId: fields.text('VersionId')?.trim() || undefined,
    etag: fields.text('ETag')?.trim() || undefined,
    unsupported: ['LastModifiedTime', 'Size'].find((name) => fields.element(name)),
  };
}

interface Outcome {
  readonly target: Target;
  readonly error: S3Error | undefined;
}

async function deleteAll(context: OperationContext, targets: readonly Target[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let next = 0;
  const lane = async () => {
    for (let i = next++; i < targets.length; i = next++) {
      const target = targets[i] as Target;
      context.signal.throwIfAborted();
      outcomes[i] = { target, error: await deleteOne(context, target) };
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY_MAX, targets.length) }, lane));
  return outcomes;
}

async function deleteOne(context: OperationContext, target: Target): Promise<S3Error | undefined> {
  try {
    checkVersionId(target.versionId);
    if (target.unsupported) throw notImplemented(`${target.unsupported} in DeleteObjects`);
    const conditions = target.etag === undefined ? undefined : { ifMatch: unquoteEtag(target.etag) };
    await context.objects.deleteObject(context.bucket, target.key, conditions);
    return undefined;
  } catch (error) {
    const shown = toS3Error(error);
    if (shown.httpStatus >= 500) {
      context.log.warn({ err: error, requestId: context.requestId }, 'a key could not be deleted');
    }
    return shown;
  }
}

function deletedElement({ key, versionId }: Target): XmlObject {
  return { Key: key, VersionId: versionId };
}

function errorElement({ key, versionId }: Target, error: S3Error): XmlObject {
  return { Key: key, VersionId: versionId, Code: error.code, Message: error.message };
}
