/**
 * ListMultipartUploads (S3 API reference): uploads in progress, ordered by key in UTF-8 byte order, then by upload id, with
 * common prefixes as in listings of objects. The key marker alone lists only greater keys; with an upload id marker also the
 * uploads of that very key with a greater id. An upload id marker without a key marker means nothing.
 */
import { assert } from '../base/assert.ts';
import { prefixEnd } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { escapeName, keys, prefixes, unescapeName } from '../metadata/keys.ts';
import { decodeRecord, type UploadRecord } from '../metadata/records.ts';
import { isCommonPrefix } from './listing.ts';
import { encodeName, formatUploadId, parseUploadId, UPLOAD_ID_BYTES } from './names.ts';
import type { ListUploadsRequest, ListUploadsResult, UploadInfo } from './types.ts';
import { keyBehind, type NameSpace, walkNames } from './walk.ts';

export const LIST_UPLOADS_MAX = 1000;
/** What `escapeName` puts behind a name. */
const NAME_END_BYTES = 2;
const ZERO = Buffer.alloc(1);

/** @throws InvalidArgument when the upload id marker is none. */
export async function listUploads(
  engine: MetadataEngine,
  bucketId: Uint8Array,
  request: Omit<ListUploadsRequest, 'bucket'>,
): Promise<ListUploadsResult> {
  const { maxUploads } = request;
  assert(maxUploads >= 0 && maxUploads <= LIST_UPLOADS_MAX, `maxUploads ${maxUploads} is out of range`);
  const uploads: UploadInfo[] = [];
  const commonPrefixes: string[] = [];
  let nextKeyMarker = '';
  let nextUploadIdMarker = '';
  const space = uploadNames(bucketId);
  const prefix = encodeName(request.prefix);
  const delimiter = encodeName(request.delimiter);
  const truncated =
    maxUploads > 0 &&
    (await walkNames(engine, {
      space,
      prefix,
      delimiter,
      fromKey: firstKeyAfter(space, bucketId, request, prefix, delimiter),
      itemsMax: maxUploads,
      item: (name, key, value) => {
        nextKeyMarker = name.toString('utf8');
        nextUploadIdMarker = formatUploadId(key.subarray(key.length - UPLOAD_ID_BYTES));
        uploads.push(uploadInfo(nextKeyMarker, nextUploadIdMarker, decodeRecord<UploadRecord>(value)));
      },
      commonPrefix: (name) => {
        nextKeyMarker = name.toString('utf8');
        nextUploadIdMarker = '';
        commonPrefixes.push(nextKeyMarker);
      },
    }));
  if (!truncated) [nextKeyMarker, nextUploadIdMarker] = ['', ''];
  return { uploads, commonPrefixes, truncated, nextKeyMarker, nextUploadIdMarker };
}

function uploadNames(bucketId: Uint8Array): NameSpace {
  const base = prefixes.uploads(bucketId);
  return {
    base,
    encode: (name) => {
      const escaped = escapeName(name);
      return escaped.subarray(0, escaped.length - NAME_END_BYTES);
    },
    nameOf: (key) => unescapeName(key.subarray(base.length)).name,
  };
}

function firstKeyAfter(
  space: NameSpace,
  bucketId: Uint8Array,
  { keyMarker, uploadIdMarker }: Omit<ListUploadsRequest, 'bucket'>,
  prefix: Buffer,
  delimiter: Buffer,
): Uint8Array | undefined {
  if (keyMarker === '') return undefined;
  const name = encodeName(keyMarker);
  if (uploadIdMarker !== '') {
    const uploadId = parseUploadId(uploadIdMarker);
    if (!uploadId) throw new HoldfastError('InvalidArgument', { detail: 'Invalid uploadId marker' });
    return Buffer.concat([keys.upload(bucketId, name, uploadId), ZERO]);
  }
  if (isCommonPrefix(name, prefix, delimiter)) return keyBehind(space, name);
  return prefixEnd(keys.uploadsOf(bucketId, name));
}

function uploadInfo(key: string, uploadId: string, record: UploadRecord): UploadInfo {
  return {
    key,
    uploadId,
    initiatedMs: record.initiatedMs,
    storageClass: record.storageClass,
    checksumAlgorithm: record.checksumAlgorithm,
    checksumType: record.checksumType,
  };
}
