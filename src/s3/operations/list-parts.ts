/** docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html */
import { checksumElements } from '../headers-checksums.ts';
import { isoDate, quoteEtag } from '../headers-values.ts';
import type { Operation } from '../operation.ts';
import { integer, pageSize } from './support/parameters.ts';
import { ownerOf, xmlResponse } from './support/responses.ts';
import { uploadPointer } from './support/upload.ts';

export const listParts: Operation = {
  name: 'ListParts',
  method: 'GET',
  level: 'object',
  selectors: { uploadId: true },
  parameters: ['max-parts', 'part-number-marker'],
  headers: [],
  async handle(context) {
    const { objects, query, identity, bucket, key } = context;
    const pointer = uploadPointer(context);
    const maxParts = pageSize(query, 'max-parts');
    const marker = integer(query.get('part-number-marker'), 'part-number-marker', 0);
    const page = await objects.listParts(pointer, marker, maxParts);
    const owner = ownerOf(identity);
    return xmlResponse('ListPartsResult', {
      Bucket: bucket,
      Key: key,
      UploadId: pointer.uploadId,
      Initiator: owner,
      Owner: owner,
      StorageClass: page.storageClass,
      PartNumberMarker: marker,
      NextPartNumberMarker: page.nextPartNumberMarker,
      MaxParts: maxParts,
      IsTruncated: page.truncated,
      ChecksumAlgorithm: page.checksumAlgorithm,
      ChecksumType: page.checksumType,
      Part: page.parts.map((part) => ({
        PartNumber: part.partNumber,
        LastModified: isoDate(part.modifiedMs),
        ETag: quoteEtag(part.etag),
        Size: part.sizeBytes,
        ...checksumElements(part.checksum, false),
      })),
    });
  },
};
