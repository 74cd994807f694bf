/** The upload that a request is about, and limits of multipart uploads. */
import type { UploadPointer } from '../../../objects/types.ts';
import type { OperationContext } from '../../operation.ts';

export function uploadPointer({ bucket, key, query }: OperationContext): UploadPointer {
  return { bucket, key, uploadId: query.get('uploadId') ?? '' };
}
