/**
 * docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketVersioning.html: never enabled means an empty
 * configuration.
 */
import type { Operation } from '../operation.ts';
import { xmlResponse } from './support/responses.ts';

export const getBucketVersioning: Operation = {
  name: 'GetBucketVersioning',
  method: 'GET',
  level: 'bucket',
  selectors: { versioning: true },
  parameters: [],
  headers: [],
  async handle({ objects, bucket }) {
    await objects.headBucket(bucket);
    return xmlResponse('VersioningConfiguration', {});
  },
};
