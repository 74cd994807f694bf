/**
 * docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
 * As in AWS, single parts are shown only of objects with a checksum; of others only their number.
 */
import type { ObjectInfo } from '../../objects/types.ts';
import { checksumElements } from '../headers-checksums.ts';
import { checkVersionId } from '../headers-copy-source.ts';
import { header, httpDate, invalidArgument } from '../headers-values.ts';
import type { Operation, OperationContext } from '../operation.ts';
import type { XmlObject } from '../xml-build.ts';
import { integer, PAGE_ENTRIES_MAX } from './support/parameters.ts';
import { xmlResponse } from './support/responses.ts';

const ATTRIBUTES = ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'] as const;
type Attribute = (typeof ATTRIBUTES)[number];

export const getObjectAttributes: Operation = {
  name: 'GetObjectAttributes',
  method: 'GET',
  level: 'object',
  selectors: { attributes: true },
  parameters: ['versionId'],
  headers: ['x-amz-object-attributes', 'x-amz-max-parts', 'x-amz-part-number-marker'],
  async handle(context) {
    const { objects, bucket, key, query, headers } = context;
    checkVersionId(query.get('versionId'));
    const wanted = requestedAttributes(header(headers, 'x-amz-object-attributes'));
    const { info } = await objects.headObject({ bucket, key });
    const content: Record<Attribute, XmlObject[string]> = {
      ETag: wanted.has('ETag') ? info.etag : undefined,
      Checksum: wanted.has('Checksum') && info.checksum ? checksumElements(info.checksum) : undefined,
      ObjectParts: wanted.has('ObjectParts') ? await objectParts(context, info) : undefined,
      StorageClass: wanted.has('StorageClass') ? info.storageClass : undefined,
      ObjectSize: wanted.has('ObjectSize') ? info.sizeBytes : undefined,
    };
    return xmlResponse('GetObjectAttributesResponse', content, {
      'last-modified': httpDate(info.modifiedMs),
    });
  },
};

function requestedAttributes(value: string | undefined): ReadonlySet<Attribute> {
  const names = (value ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  const known = names.map((name) => ATTRIBUTES.find((attribute) => attribute === name));
  if (names.length === 0) {
    throw invalidArgument(
      'x-amz-object-attributes',
      '',
      'The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty',
    );
  }
  const unknown = names.find((_, i) => known[i] === undefined);
  if (unknown !== undefined) {
    throw invalidArgument('x-amz-object-attributes', unknown, 'Invalid attribute name specified.');
  }
  return new Set(known.filter((name) => name !== undefined));
}

async function objectParts(context: OperationContext, info: ObjectInfo): Promise<XmlObject | undefined> {
  const { objects, bucket, key, headers } = context;
  const maxParts = Math.min(
    integer(header(headers, 'x-amz-max-parts'), 'x-amz-max-parts', PAGE_ENTRIES_MAX),
    PAGE_ENTRIES_MAX,
  );
  const marker = integer(header(headers, 'x-amz-part-number-marker'), 'x-amz-part-number-marker', 0);
  if (info.partCount === undefined) return undefined;
  if (!info.checksum) return { PartsCount: info.partCount };
  const page = await objects.objectParts(bucket, key, marker, maxParts);
  return {
    PartsCount: info.partCount,
    PartNumberMarker: marker,
    NextPartNumberMarker: page.nextPartNumberMarker,
    MaxParts: maxParts,
    IsTruncated: page.truncated,
    Part: page.parts.map((part) => ({
      PartNumber: part.partNumber,
      Size: part.sizeBytes,
      ...checksumElements(part.checksum, false),
    })),
  };
}
