/** docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html */
import type { Operation } from '../operation.ts';

export const headBucket: Operation = {
  name: 'HeadBucket',
  method: 'HEAD',
  level: 'bucket',
  selectors: {},
  parameters: [],
  headers: [],
  async handle({ objects, bucket }) {
    const { region } = await objects.headBucket(bucket);
    return {
      status: 200,
      headers: { 'x-amz-bucket-region': region, 'x-amz-access-point-alias': 'false' },
    };
  },
};
