/**
 * docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectAcl.html: `private` changes nothing, all else is
 * refused.
 */

import { checkObjectAcl } from '../headers-attributes.ts';
import { BODY_CHECKSUM_HEADERS } from '../headers-checksums.ts';
import { checkVersionId } from '../headers-copy-source.ts';
import type { Operation } from '../operation.ts';
import { checkPutAcl } from './support/acl.ts';

export const putObjectAcl: Operation = {
  name: 'PutObjectAcl',
  method: 'PUT',
  level: 'object',
  selectors: { acl: true },
  parameters: ['versionId'],
  headers: ['x-amz-acl', 'content-type', ...BODY_CHECKSUM_HEADERS],
  async handle(context) {
    const { objects, bucket, key, query } = context;
    checkVersionId(query.get('versionId'));
    await objects.headObject({ bucket, key });
    await checkPutAcl(context, checkObjectAcl);
    return { status: 200 };
  },
};
