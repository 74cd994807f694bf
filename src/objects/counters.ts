/**
 * The counters that `objects` keeps with every commit: how many objects and plaintext bytes there are in all and in each
 * bucket, and how many multipart uploads are open in a bucket. They answer `status` without a walk.
 */
import { toHex } from '../base/bytes.ts';
import { keys } from '../metadata/keys.ts';

export const totalObjectsKey = keys.counter('objects');
export const totalBytesKey = keys.counter('bytes');

export function bucketObjectsKey(bucketId: Uint8Array): Buffer {
  return keys.counter(`objects/${toHex(bucketId)}`);
}

export function bucketBytesKey(bucketId: Uint8Array): Buffer {
  return keys.counter(`bytes/${toHex(bucketId)}`);
}

export function bucketUploadsKey(bucketId: Uint8Array): Buffer {
  return keys.counter(`uploads/${toHex(bucketId)}`);
}
