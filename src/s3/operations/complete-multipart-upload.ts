/**
 * docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
 * Order, sizes, ETags and checksums of the parts are checked by `objects`, which knows what was stored.
 */
import { HoldfastError } from '../../base/errors.ts';
import { MIB } from '../../base/units.ts';
import type { ChecksumAlgorithm } from '../../metadata/records.ts';
import type { CompletedPart } from '../../objects/types.ts';
import { ENCRYPTION_HEADERS } from '../headers-attributes.ts';
import {
  CHECKSUM_ALGORITHMS,
  checksumElement,
  checksumElements,
  claimedChecksum,
  parseChecksumType,
} from '../headers-checksums.ts';
import { WRITE_CONDITION_HEADERS, writeConditions } from '../headers-conditions.ts';
import { header, quoteEtag, unquoteEtag } from '../headers-values.ts';
import type { Operation, OperationContext } from '../operation.ts';
import { encodeKey } from '../xml-listing.ts';
import { parseXml, readFields, type XmlElement } from '../xml-parse.ts';
import { PARTS_MAX } from './support/parameters.ts';
import { deferredXml } from './support/responses.ts';
import { uploadPointer } from './support/upload.ts';

/** 10,000 parts with ETag and one checksum are about 2.5 MB; with indentation and all five, under this. */
const DOCUMENT_BYTES_MAX = 8 * MIB;
/** Part, PartNumber, ETag and five checksums, opened and closed. */
const DOCUMENT_TAGS_MAX = PARTS_MAX * 16 + 100;
const PART_FIELDS = ['PartNumber', 'ETag', ...CHECKSUM_ALGORITHMS.map(checksumElement)];

export const completeMultipartUpload: Operation = {
  name: 'CompleteMultipartUpload',
  method: 'POST',
  level: 'object',
  selectors: { uploadId: true },
  parameters: [],
  headers: [
    ...WRITE_CONDITION_HEADERS,
    ...CHECKSUM_ALGORITHMS.map((algorithm) => `x-amz-checksum-${algorithm.toLowerCase()}`),
    'x-amz-checksum-type',
    'x-amz-mp-object-size',
    'content-type',
    'content-md5',
  ],
  async handle(context) {
    const { headers, objects, bucket, key } = context;
    const conditions = writeConditions(headers);
    const checksum = claimedChecksum(headers);
    const checksumType = parseChecksumType(header(headers, 'x-amz-checksum-type'));
    const sizeBytes = claimedSize(header(headers, 'x-amz-mp-object-size'));
    const parts = readParts(await context.document(DOCUMENT_BYTES_MAX));
    const completed = objects.completeUpload({
      ...uploadPointer(context),
      parts,
      ...(conditions && { conditions }),
      ...(checksum && { checksum }),
      ...(checksumType && { checksumType }),
      ...(sizeBytes !== undefined && { sizeBytes }),
    });
    const content = completed.then((result) => ({
      Location: location(context),
      Bucket: bucket,
      Key: key,
      ETag: quoteEtag(result.etag),
      ...checksumElements(result.checksum),
    }));
    return deferredXml('CompleteMultipartUploadResult', content, ENCRYPTION_HEADERS);
  },
};

function location({ endpoint, bucket, key }: OperationContext): string {
  return `${endpoint}/${bucket}/${encodeKey(key)}`;
}

function readParts(document: Buffer): readonly CompletedPart[] {
  const root = parseXml(document, 'CompleteMultipartUpload', DOCUMENT_TAGS_MAX);
  const parts = readFields(root, [], ['Part']).all('Part');
  if (parts.length === 0 || parts.length > PARTS_MAX) {
    throw new HoldfastError('MalformedXML', {
      detail: `The request must list between 1 and ${PARTS_MAX} parts.`,
    });
  }
  return parts.map(readPart);
}

function readPart(element: XmlElement): CompletedPart {
  const fields = readFields(element, PART_FIELDS);
  const number = fields.text('PartNumber')?.trim() ?? '';
  const etag = unquoteEtag(fields.text('ETag') ?? '');
  if (!/^\d{1,5}$/.test(number) || etag === '') {
    throw new HoldfastError('MalformedXML', { detail: 'A Part needs a PartNumber and an ETag.' });
  }
  if (Number(number) < 1 || Number(number) > PARTS_MAX) {
    throw new HoldfastError('InvalidArgument', {
      detail: `PartNumber must be >= 1 and <= ${PARTS_MAX}`,
      fields: { ArgumentName: 'partNumber', ArgumentValue: number },
    });
  }
  const checksums: Partial<Record<ChecksumAlgorithm, string>> = {};
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const value = fields.text(checksumElement(algorithm))?.trim();
    if (value) checksums[algorithm] = value;
  }
  return { partNumber: Number(number), etag, checksums };
}

function claimedSize(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,15}$/.test(value.trim())) return Number(value);
  throw new HoldfastError('InvalidRequest', {
    detail: 'Value for x-amz-mp-object-size header is invalid.',
  });
}
