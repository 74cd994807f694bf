/** docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjectTagging.html */

import { checkVersionId } from '../headers-copy-source.ts';
import type { Operation } from '../operation.ts';
import { noContent } from './support/responses.ts';

export const deleteObjectTagging: Operation = {
  name: 'DeleteObjectTagging',
  method: 'DELETE',
  level: 'object',
  selectors: { tagging: true },
  parameters: ['versionId'],
  headers: [],
  async handle({ objects, bucket, key, query }) {
    checkVersionId(query.get('versionId'));
    await objects.putTags(bucket, key, []);
    return noContent;
  },
};
