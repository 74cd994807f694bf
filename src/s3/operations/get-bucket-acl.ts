/** docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAcl.html */
import type { Operation } from '../operation.ts';
import { aclResponse } from './support/acl.ts';

export const getBucketAcl: Operation = {
  name: 'GetBucketAcl',
  method: 'GET',
  level: 'bucket',
  selectors: { acl: true },
  parameters: [],
  headers: [],
  async handle({ objects, bucket, identity }) {
    await objects.headBucket(bucket);
    return aclResponse(identity);
  },
};
