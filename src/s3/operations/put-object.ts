/**
 * docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
 * Everything that the headers say is checked before the first byte of the body is asked for.
 */

import { ATTRIBUTE_HEADERS, ENCRYPTION_HEADERS, objectAttributes } from '../headers-attributes.ts';
import { BODY_CHECKSUM_HEADERS, checksumHeaders } from '../headers-checksums.ts';
import { WRITE_CONDITION_HEADERS, writeConditions } from '../headers-conditions.ts';
import { quoteEtag } from '../headers-values.ts';
import type { Operation } from '../operation.ts';
import { checkBodySize } from './support/body.ts';

export const putObject: Operation = {
  name: 'PutObject',
  method: 'PUT',
  level: 'object',
  selectors: {},
  parameters: [],
  headers: [...ATTRIBUTE_HEADERS, ...BODY_CHECKSUM_HEADERS, ...WRITE_CONDITION_HEADERS],
  async handle(context) {
    const { headers, objects, bucket, key } = context;
    const attributes = objectAttributes(headers);
    const conditions = writeConditions(headers);
    const body = context.body();
    checkBodySize(body);
    const result = await objects.putObject({
      ...attributes,
      bucket,
      key,
      body,
      ...(conditions && { conditions }),
    });
    return {
      status: 200,
      headers: {
        etag: quoteEtag(result.etag),
        ...checksumHeaders(result.checksum),
        ...ENCRYPTION_HEADERS,
      },
    };
  },
};
