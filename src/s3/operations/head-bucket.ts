/** docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html */
import { ETAG_HEADER } from '../headers-etag.ts';
import type { Operation } from '../operation.ts';

export const headBucket: Operation = {
  name: 'HeadBucket',
  method: 'HEAD',
  level: 'bucket',
  selectors: {},
  parameters: [],
  headers: [],
  async handle({ objects, bucket }) {
    const { region, etags } = await objects.headBucket(bucket);
    return {
      status: 200,
      headers: {
        'x-amz-bucket-region': region,
        'x-amz-access-point-alias': 'false',
        ...(etags === 'opaque' && { [ETAG_HEADER]: etags }),
      },
    };
  },
};
