/** docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html: no tags are an empty set, not an error. */

import { checkVersionId } from '../headers-copy-source.ts';
import type { Operation } from '../operation.ts';
import { xmlResponse } from './support/responses.ts';

export const getObjectTagging: Operation = {
  name: 'GetObjectTagging',
  method: 'GET',
  level: 'object',
  selectors: { tagging: true },
  parameters: ['versionId'],
  headers: [],
  async handle({ objects, bucket, key, query }) {
    checkVersionId(query.get('versionId'));
    const tags = await objects.getTags(bucket, key);
    return xmlResponse('Tagging', { TagSet: { Tag: tags.map(([Key, Value]) => ({ Key, Value })) } });
  },
};
