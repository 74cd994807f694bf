/**
 * Listing of objects for ListObjects and ListObjectsV2 (S3 API reference): keys in UTF-8 byte order, common prefixes, pages.
 *
 * `after` serves marker, start-after and what continuation tokens hold: only what sorts behind it is listed. When it is
 * exactly a common prefix of this listing (the `next` of an earlier page), that prefix is skipped wholly. When it is a
 * name inside a common prefix, that prefix is listed as long as there are names behind `after` in it.
 */
import { assert } from '../base/assert.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { prefixes } from '../metadata/keys.ts';
import { decodeRecord, type VersionRecord } from '../metadata/records.ts';
import { encodeName } from './names.ts';
import { objectInfo } from './objectinfo.ts';
import type { ListRequest, ListResult, ObjectInfo } from './types.ts';
import { commonPrefixOf, keyBehind, type NameSpace, walkNames } from './walk.ts';

export const LIST_KEYS_MAX = 1000;
const NOTHING = Buffer.alloc(0);
const ZERO = Buffer.alloc(1);

/** One page, as of the moment it is asked for. `maxKeys` is 0 to 1,000; `s3` has cut it. */
export async function listObjects(
  engine: MetadataEngine,
  bucketId: Uint8Array,
  request: Omit<ListRequest, 'bucket'>,
): Promise<ListResult> {
  assert(
    request.maxKeys >= 0 && request.maxKeys <= LIST_KEYS_MAX,
    `maxKeys ${request.maxKeys} is out of range`,
  );
  const objects: ObjectInfo[] = [];
  const commonPrefixes: string[] = [];
  if (request.maxKeys === 0) return { objects, commonPrefixes, truncated: false, next: undefined };

  const space = objectNames(bucketId);
  const prefix = encodeName(request.prefix);
  const delimiter = encodeName(request.delimiter);
  let last = '';
  const truncated = await walkNames(engine, {
    space,
    prefix,
    delimiter,
    fromKey: firstKeyAfter(space, encodeName(request.after), prefix, delimiter),
    itemsMax: request.maxKeys,
    item: (name, _key, value) => {
      last = name.toString('utf8');
      objects.push(objectInfo(last, decodeRecord<VersionRecord>(value)));
    },
    commonPrefix: (name) => {
      last = name.toString('utf8');
      commonPrefixes.push(last);
    },
  });
  return { objects, commonPrefixes, truncated, next: truncated ? last : undefined };
}

function objectNames(bucketId: Uint8Array): NameSpace {
  const base = prefixes.objects(bucketId);
  return { base, encode: (name) => name, nameOf: (key) => key.subarray(base.length) };
}

function firstKeyAfter(
  space: NameSpace,
  after: Buffer,
  prefix: Buffer,
  delimiter: Buffer,
): Uint8Array | undefined {
  if (after.length === 0) return undefined;
  if (isCommonPrefix(after, prefix, delimiter)) return keyBehind(space, after);
  return Buffer.concat([space.base, after, ZERO]);
}

/** Whether `name` is a common prefix that a listing with this prefix and delimiter can return. */
export function isCommonPrefix(name: Buffer, prefix: Buffer, delimiter: Buffer): boolean {
  if (Buffer.compare(name.subarray(0, prefix.length), prefix) !== 0) return false;
  return (commonPrefixOf(name, prefix.length, delimiter) ?? NOTHING).length === name.length;
}
