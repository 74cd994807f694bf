/** docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html: us-east-1 is an empty constraint. */
import type { Operation } from '../operation.ts';
import { xmlResponse } from './support/responses.ts';

export const getBucketLocation: Operation = {
  name: 'GetBucketLocation',
  method: 'GET',
  level: 'bucket',
  selectors: { location: true },
  parameters: [],
  headers: [],
  async handle({ objects, bucket }) {
    const { region } = await objects.headBucket(bucket);
    return xmlResponse('LocationConstraint', region === 'us-east-1' ? {} : { '#text': region });
  },
};
