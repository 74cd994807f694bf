/**
 * docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketVersioning.html
 * Buckets are unversioned. Both states that can be asked for would change that, so both are refused, and the
 * document is read so that the refusal can say which.
 */

import { HoldfastError } from '../../base/errors.ts';
import { KIB } from '../../base/units.ts';
import { BODY_CHECKSUM_HEADERS } from '../headers-checksums.ts';
import { notImplemented } from '../headers-values.ts';
import type { Operation } from '../operation.ts';
import { parseXml, readFields } from '../xml-parse.ts';

const DOCUMENT_BYTES_MAX = 16 * KIB;
const DOCUMENT_TAGS_MAX = 16;

export const putBucketVersioning: Operation = {
  name: 'PutBucketVersioning',
  method: 'PUT',
  level: 'bucket',
  selectors: { versioning: true },
  parameters: [],
  headers: [...BODY_CHECKSUM_HEADERS, 'content-type'],
  async handle(context) {
    const document = await context.document(DOCUMENT_BYTES_MAX);
    await context.objects.headBucket(context.bucket);
    const root = parseXml(document, 'VersioningConfiguration', DOCUMENT_TAGS_MAX);
    const fields = readFields(root, ['Status', 'MfaDelete']);
    const status = fields.text('Status')?.trim();
    if (status === 'Enabled' || status === 'Suspended') {
      throw notImplemented(`PutBucketVersioning with Status ${status}`);
    }
    if (fields.element('MfaDelete')) throw notImplemented('PutBucketVersioning with MfaDelete');
    throw new HoldfastError('MalformedXML');
  },
};
