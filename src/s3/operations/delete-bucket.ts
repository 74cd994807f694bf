/** docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html */
import type { Operation } from '../operation.ts';
import { noContent } from './support/responses.ts';

export const deleteBucket: Operation = {
  name: 'DeleteBucket',
  method: 'DELETE',
  level: 'bucket',
  selectors: {},
  parameters: [],
  headers: [],
  async handle({ objects, bucket }) {
    await objects.deleteBucket(bucket);
    return noContent;
  },
};
