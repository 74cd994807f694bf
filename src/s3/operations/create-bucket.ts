/**
 * docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
 * Any region is taken and given back. Buckets have one owner and no ACLs, so BucketOwnerEnforced is what is
 * true.
 */

import { HoldfastError } from '../../base/errors.ts';
import { KIB } from '../../base/units.ts';
import { checkBucketAcl } from '../headers-attributes.ts';
import { ETAG_HEADER, requestedEtags } from '../headers-etag.ts';
import { header, invalidArgument, notImplemented } from '../headers-values.ts';
import type { Operation, OperationContext } from '../operation.ts';
import { parseXml, readFields } from '../xml-parse.ts';

const DOCUMENT_BYTES_MAX = 16 * KIB;
const DOCUMENT_TAGS_MAX = 400;

export const createBucket: Operation = {
  name: 'CreateBucket',
  method: 'PUT',
  level: 'bucket',
  selectors: {},
  parameters: [],
  headers: [
    'x-amz-acl',
    'x-amz-bucket-object-lock-enabled',
    'x-amz-object-ownership',
    ETAG_HEADER,
    'content-type',
  ],
  async handle(context) {
    const { headers, objects, bucket } = context;
    checkBucketAcl(headers);
    checkObjectLock(header(headers, 'x-amz-bucket-object-lock-enabled'));
    checkOwnership(header(headers, 'x-amz-object-ownership'));
    const etags = requestedEtags(headers);
    await objects.createBucket(bucket, await requestedRegion(context), etags);
    return { status: 200, headers: { location: `/${bucket}` } };
  },
};

async function requestedRegion(context: OperationContext): Promise<string> {
  const document = await context.document(DOCUMENT_BYTES_MAX);
  if (document.length === 0) return context.region;
  const root = parseXml(document, 'CreateBucketConfiguration', DOCUMENT_TAGS_MAX);
  const fields = readFields(root, ['LocationConstraint', 'Location', 'Bucket', 'Tags']);
  for (const name of ['Location', 'Bucket', 'Tags']) {
    if (fields.element(name)) throw notImplemented(`${name} in CreateBucketConfiguration`);
  }
  const region = fields.text('LocationConstraint')?.trim();
  if (!region) return context.region;
  if (!/^[A-Za-z0-9-]{1,64}$/.test(region)) {
    throw new HoldfastError('InvalidLocationConstraint', { fields: { LocationConstraint: region } });
  }
  return region;
}

function checkObjectLock(value: string | undefined): void {
  if (value === undefined || value.toLowerCase() === 'false') return;
  if (value.toLowerCase() === 'true') throw notImplemented('x-amz-bucket-object-lock-enabled');
  throw invalidArgument('x-amz-bucket-object-lock-enabled', value, 'The value must be true or false.');
}

function checkOwnership(value: string | undefined): void {
  if (value === undefined || value === 'BucketOwnerEnforced') return;
  if (value === 'BucketOwnerPreferred' || value === 'ObjectWriter') {
    throw notImplemented(`x-amz-object-ownership: ${value}`);
  }
  throw invalidArgument('x-amz-object-ownership', value, 'Invalid x-amz-object-ownership header');
}
