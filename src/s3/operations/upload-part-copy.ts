/** docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html */
import { ENCRYPTION_HEADERS } from '../headers-attributes.ts';
import { COPY_SOURCE_HEADERS, parseCopySource } from '../headers-copy-source.ts';
import { parseCopyRange } from '../headers-range.ts';
import { header } from '../headers-values.ts';
import type { Operation } from '../operation.ts';
import { copyResult } from './copy-object.ts';
import { partNumber } from './support/parameters.ts';
import { deferredXml } from './support/responses.ts';
import { uploadPointer } from './support/upload.ts';

export const uploadPartCopy: Operation = {
  name: 'UploadPartCopy',
  method: 'PUT',
  level: 'object',
  selectors: { uploadId: true, partNumber: true },
  selectingHeader: 'x-amz-copy-source',
  parameters: [],
  headers: [...COPY_SOURCE_HEADERS, 'x-amz-copy-source-range', 'content-type'],
  async handle(context) {
    const { objects, query, headers } = context;
    const number = partNumber(query);
    const source = parseCopySource(headers);
    const range = parseCopyRange(header(headers, 'x-amz-copy-source-range'));
    const copied = objects.uploadPartCopy(uploadPointer(context), number, source, range);
    return deferredXml(
      'CopyPartResult',
      copied.then((result) => copyResult(result, false)),
      ENCRYPTION_HEADERS,
    );
  },
};
