/** docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html: deleting what is not there succeeds. */

import { writeConditions } from '../headers-conditions.ts';
import { checkVersionId } from '../headers-copy-source.ts';
import type { Operation } from '../operation.ts';
import { noContent } from './support/responses.ts';

export const deleteObject: Operation = {
  name: 'DeleteObject',
  method: 'DELETE',
  level: 'object',
  selectors: {},
  parameters: ['versionId'],
  headers: ['if-match'],
  async handle({ objects, bucket, key, query, headers }) {
    checkVersionId(query.get('versionId'));
    const conditions = writeConditions(headers);
    await objects.deleteObject(bucket, key, conditions);
    return noContent;
  },
};
