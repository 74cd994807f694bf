/**
 * docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAcl.html: `private` changes nothing, all else is
 * refused.
 */

import { checkBucketAcl } from '../headers-attributes.ts';
import { BODY_CHECKSUM_HEADERS } from '../headers-checksums.ts';
import type { Operation } from '../operation.ts';
import { checkPutAcl } from './support/acl.ts';

export const putBucketAcl: Operation = {
  name: 'PutBucketAcl',
  method: 'PUT',
  level: 'bucket',
  selectors: { acl: true },
  parameters: [],
  headers: ['x-amz-acl', 'content-type', ...BODY_CHECKSUM_HEADERS],
  async handle(context) {
    await context.objects.headBucket(context.bucket);
    await checkPutAcl(context, checkBucketAcl);
    return { status: 200 };
  },
};
