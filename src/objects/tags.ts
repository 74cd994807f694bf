/**
 * Get- and PutObjectTagging. The tags are part of the version's record; its data and modification time stay. What tags
 * may look like is checked by `s3`.
 */
import { HoldfastError } from '../base/errors.ts';
import type { ObjectAttributes } from '../metadata/records.ts';
import type { ObjectsContext } from './context.ts';
import { encodeKey } from './names.ts';
import { findVersion } from './resolve.ts';
import { swapVersion } from './swap.ts';

export async function getTags(
  context: ObjectsContext,
  bucket: string,
  key: string,
): Promise<ObjectAttributes['tags']> {
  return (await findVersion(context, bucket, key)).version.tags;
}

export async function putTags(
  context: ObjectsContext,
  bucket: string,
  key: string,
  tags: ObjectAttributes['tags'],
): Promise<void> {
  const target = { bucket, name: encodeKey(key), conditions: undefined, keepsData: true };
  await swapVersion(context, target, (swap) => {
    if (swap.current === undefined) throw new HoldfastError('NoSuchKey', { fields: { Key: key } });
    swap.putVersion({ ...swap.current, tags });
  });
}
