/** docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html */
import type { Operation } from '../operation.ts';
import { noContent } from './support/responses.ts';
import { uploadPointer } from './support/upload.ts';

export const abortMultipartUpload: Operation = {
  name: 'AbortMultipartUpload',
  method: 'DELETE',
  level: 'object',
  selectors: { uploadId: true },
  parameters: [],
  headers: [],
  async handle(context) {
    await context.objects.abortUpload(uploadPointer(context));
    return noContent;
  },
};
