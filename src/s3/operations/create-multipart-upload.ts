/** docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html */
import { ATTRIBUTE_HEADERS, ENCRYPTION_HEADERS, objectAttributes } from '../headers-attributes.ts';
import { uploadChecksum } from '../headers-checksums.ts';
import type { Operation } from '../operation.ts';
import { xmlResponse } from './support/responses.ts';

export const createMultipartUpload: Operation = {
  name: 'CreateMultipartUpload',
  method: 'POST',
  level: 'object',
  selectors: { uploads: true },
  parameters: [],
  headers: [...ATTRIBUTE_HEADERS, 'x-amz-checksum-algorithm', 'x-amz-checksum-type'],
  async handle({ headers, objects, bucket, key }) {
    const attributes = objectAttributes(headers);
    const checksum = uploadChecksum(headers);
    const uploadId = await objects.createUpload({ ...attributes, ...checksum, bucket, key });
    return xmlResponse(
      'InitiateMultipartUploadResult',
      { Bucket: bucket, Key: key, UploadId: uploadId },
      {
        ...ENCRYPTION_HEADERS,
        ...(checksum.checksumAlgorithm && { 'x-amz-checksum-algorithm': checksum.checksumAlgorithm }),
        ...(checksum.checksumType && { 'x-amz-checksum-type': checksum.checksumType }),
      },
    );
  },
};
