/**
 * docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
 * An upload-id-marker counts only together with a key-marker.
 */
import type { ListUploadsResult } from '../../objects/types.ts';
import { isoDate } from '../headers-values.ts';
import type { Operation } from '../operation.ts';
import { encodeKey } from '../xml-listing.ts';
import { pageSize, urlEncoded } from './support/parameters.ts';
import { ownerOf, xmlResponse } from './support/responses.ts';

const EMPTY_PAGE: ListUploadsResult = {
  uploads: [],
  commonPrefixes: [],
  truncated: false,
  nextKeyMarker: '',
  nextUploadIdMarker: '',
};

export const listMultipartUploads: Operation = {
  name: 'ListMultipartUploads',
  method: 'GET',
  level: 'bucket',
  selectors: { uploads: true },
  parameters: ['prefix', 'delimiter', 'encoding-type', 'key-marker', 'upload-id-marker', 'max-uploads'],
  headers: [],
  async handle({ objects, bucket, query, identity }) {
    const prefix = query.get('prefix') ?? '';
    const delimiter = query.get('delimiter') ?? '';
    const keyMarker = query.get('key-marker') ?? '';
    const uploadIdMarker = query.get('upload-id-marker') ?? '';
    const maxUploads = pageSize(query, 'max-uploads');
    const encoded = urlEncoded(query);
    const show = (text: string) => (encoded ? encodeKey(text) : text);
    await objects.headBucket(bucket);
    const page =
      maxUploads === 0
        ? EMPTY_PAGE
        : await objects.listUploads({
            bucket,
            prefix,
            delimiter,
            keyMarker,
            uploadIdMarker: keyMarker === '' ? '' : uploadIdMarker,
            maxUploads,
          });
    const owner = ownerOf(identity);
    return xmlResponse('ListMultipartUploadsResult', {
      Bucket: bucket,
      KeyMarker: show(keyMarker),
      UploadIdMarker: uploadIdMarker,
      NextKeyMarker: page.truncated ? show(page.nextKeyMarker) : undefined,
      NextUploadIdMarker: page.truncated ? page.nextUploadIdMarker : undefined,
      Prefix: show(prefix),
      Delimiter: delimiter === '' ? undefined : show(delimiter),
      EncodingType: encoded ? 'url' : undefined,
      MaxUploads: maxUploads,
      IsTruncated: page.truncated,
      Upload: page.uploads.map((upload) => ({
        Key: show(upload.key),
        UploadId: upload.uploadId,
        Initiator: owner,
        Owner: owner,
        StorageClass: upload.storageClass,
        Initiated: isoDate(upload.initiatedMs),
        ChecksumAlgorithm: upload.checksumAlgorithm,
        ChecksumType: upload.checksumType,
      })),
      CommonPrefixes: page.commonPrefixes.map((common) => ({ Prefix: show(common) })),
    });
  },
};
