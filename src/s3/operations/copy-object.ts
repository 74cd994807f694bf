/**
 * docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
 * As in AWS, storage class, ACL and website redirect are never taken from the source. A redirect can be given
 * with the REPLACE directive only, because `objects` takes the target's headers whole.
 */
import { HoldfastError } from '../../base/errors.ts';
import type { CopyRequest, CopyResult } from '../../objects/types.ts';
import {
  ATTRIBUTE_HEADERS,
  checkEncryption,
  checkObjectAcl,
  ENCRYPTION_HEADERS,
  storageClass,
  storedHeaders,
  userMetadata,
} from '../headers-attributes.ts';
import { checksumElements, parseChecksumAlgorithm } from '../headers-checksums.ts';
import { WRITE_CONDITION_HEADERS, writeConditions } from '../headers-conditions.ts';
import { COPY_SOURCE_HEADERS, parseCopySource } from '../headers-copy-source.ts';
import { parseTaggingHeader } from '../headers-tags.ts';
import { header, invalidArgument, isoDate, notImplemented, quoteEtag } from '../headers-values.ts';
import type { Operation, OperationContext } from '../operation.ts';
import type { XmlObject } from '../xml-build.ts';
import { deferredXml } from './support/responses.ts';

export const copyObject: Operation = {
  name: 'CopyObject',
  method: 'PUT',
  level: 'object',
  selectors: {},
  selectingHeader: 'x-amz-copy-source',
  parameters: [],
  headers: [
    ...COPY_SOURCE_HEADERS,
    ...ATTRIBUTE_HEADERS,
    ...WRITE_CONDITION_HEADERS,
    'x-amz-metadata-directive',
    'x-amz-tagging-directive',
    'x-amz-checksum-algorithm',
  ],
  async handle(context) {
    const request = copyRequest(context);
    const copied = context.objects.copyObject(request);
    return deferredXml(
      'CopyObjectResult',
      copied.then((result) => copyResult(result)),
      ENCRYPTION_HEADERS,
    );
  },
};

export function copyResult(result: CopyResult, withType = true): XmlObject {
  return {
    LastModified: isoDate(result.modifiedMs),
    ETag: quoteEtag(result.etag),
    ...checksumElements(result.checksum, withType),
  };
}

function copyRequest({ headers, bucket, key }: OperationContext): CopyRequest {
  checkObjectAcl(headers);
  checkEncryption(headers);
  const source = parseCopySource(headers);
  const replacesMetadata = directive(header(headers, 'x-amz-metadata-directive'), 'x-amz-metadata-directive');
  const replacesTags = directive(header(headers, 'x-amz-tagging-directive'), 'x-amz-tagging-directive');
  if (!replacesMetadata && headers['x-amz-website-redirect-location'] !== undefined) {
    throw notImplemented('x-amz-website-redirect-location without x-amz-metadata-directive: REPLACE');
  }
  const requestedClass = storageClass(headers);
  const checksumAlgorithm = parseChecksumAlgorithm(header(headers, 'x-amz-checksum-algorithm'));
  const changes = replacesMetadata || replacesTags || requestedClass || checksumAlgorithm;
  if (
    source.bucket === bucket &&
    source.key === key &&
    !changes &&
    !headers['x-amz-server-side-encryption']
  ) {
    throw new HoldfastError('InvalidRequest', {
      detail:
        "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    });
  }
  const conditions = writeConditions(headers);
  return {
    source,
    bucket,
    key,
    storageClass: requestedClass ?? 'STANDARD',
    ...(conditions && { conditions }),
    ...(replacesMetadata && {
      replaceMetadata: { headers: storedHeaders(headers), metadata: userMetadata(headers) },
    }),
    ...(replacesTags && { replaceTags: parseTaggingHeader(header(headers, 'x-amz-tagging')) }),
    ...(checksumAlgorithm && { checksumAlgorithm }),
  };
}

/** True for REPLACE. @throws InvalidArgument */
function directive(value: string | undefined, name: string): boolean {
  if (value === undefined || value === 'COPY') return false;
  if (value === 'REPLACE') return true;
  throw invalidArgument(
    name,
    value,
    `Unknown ${name === 'x-amz-metadata-directive' ? 'metadata' : 'tagging'} directive.`,
  );
}
