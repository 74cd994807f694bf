/**
 * DeleteObject (docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html). Deleting what is not there succeeds, unless
 * a condition asks for it.
 */
import type { ObjectsContext } from './context.ts';
import { encodeKey } from './names.ts';
import { swapVersion } from './swap.ts';
import type { WriteConditions } from './types.ts';

export async function deleteObject(
  context: ObjectsContext,
  bucket: string,
  key: string,
  conditions?: WriteConditions,
): Promise<void> {
  await swapVersion(context, { bucket, name: encodeKey(key), conditions }, (swap) => {
    if (swap.current !== undefined) swap.deleteVersion();
  });
}
