/** docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAcl.html */

import { checkVersionId } from '../headers-copy-source.ts';
import type { Operation } from '../operation.ts';
import { aclResponse } from './support/acl.ts';

export const getObjectAcl: Operation = {
  name: 'GetObjectAcl',
  method: 'GET',
  level: 'object',
  selectors: { acl: true },
  parameters: ['versionId'],
  headers: [],
  async handle({ objects, bucket, key, query, identity }) {
    checkVersionId(query.get('versionId'));
    await objects.headObject({ bucket, key });
    return aclResponse(identity);
  },
};
