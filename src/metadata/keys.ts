/**
 * The key schema. One byte of kind, then fixed-width binary fields, then at most one variable field, so that order in the
 * engine is the order S3 lists in: bytes of the UTF-8 name.
 *
 *   m name                        singletons: format, grid, term, …
 *   k name                        counters (signed 64-bit, big-endian)
 *   b bucket name                 BucketRecord
 *   o bucketId16 key              VersionRecord of the current version
 *   y versionId16 page u32        PartListPage: the parts of a multipart version
 *   u bucketId16 escaped(key) uploadId16     UploadRecord
 *   p uploadId16 partNumber u16   PartRecord
 *   c contentId16 page u32        ContentRecord (page 0), ContentPage (others)
 *   e bucketId16 epochId16        EpochRecord
 *   s stripeId16                  StripeRecord
 *   l stripeId16                  live bytes of the stripe (counter)
 *   r stripeId16 offset u32       contentId16 that owns the payload bytes from this offset
 *   t stripeId16                  TombRecord: fragments still to be deleted
 *   q spare u8 since u64 stripeId16   repair queue, an index over stripe records: fewest spare fragments first, then age
 *   g id16                        GarbageRecord: a large delete in progress
 *   n nodeId u16                  NodeRecord
 */
import { prefixEnd, u16, u32, u64 } from '../base/bytes.ts';

function kind(letter: string, ...fields: Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from(letter, 'latin1'), ...fields]);
}

/**
 * Escapes a name so that it can be followed by another field without losing order: 0x00 becomes 0x00 0xFF, the end is
 * marked by 0x00 0x00.
 */
export function escapeName(name: Uint8Array): Buffer {
  const escaped = Buffer.alloc(name.length * 2 + 2);
  let length = 0;
  for (const byte of name) {
    escaped[length++] = byte;
    if (byte === 0) escaped[length++] = 0xff;
  }
  escaped[length++] = 0;
  escaped[length++] = 0;
  return escaped.subarray(0, length);
}

/** The name at the start of `bytes`, and how many bytes its escaped form took. */
export function unescapeName(bytes: Uint8Array): { name: Buffer; consumedBytes: number } {
  const name = Buffer.alloc(bytes.length);
  let length = 0;
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] === 0) {
      if (bytes[i + 1] === 0) return { name: name.subarray(0, length), consumedBytes: i + 2 };
      i += 1;
      name[length++] = 0;
    } else {
      name[length++] = bytes[i] ?? 0;
    }
  }
  throw new RangeError('escaped name has no end');
}

export const keys = {
  singleton: (name: string) => kind('m', Buffer.from(name)),
  counter: (name: string) => kind('k', Buffer.from(name)),
  bucket: (name: string) => kind('b', Buffer.from(name)),
  object: (bucketId: Uint8Array, name: Uint8Array) => kind('o', bucketId, name),
  partList: (versionId: Uint8Array, page: number) => kind('y', versionId, u32(page)),
  upload: (bucketId: Uint8Array, name: Uint8Array, uploadId: Uint8Array) =>
    kind('u', bucketId, escapeName(name), uploadId),
  uploadsOf: (bucketId: Uint8Array, name: Uint8Array) => kind('u', bucketId, escapeName(name)),
  part: (uploadId: Uint8Array, partNumber: number) => kind('p', uploadId, u16(partNumber)),
  content: (contentId: Uint8Array, page: number) => kind('c', contentId, u32(page)),
  epoch: (bucketId: Uint8Array, epochId: Uint8Array) => kind('e', bucketId, epochId),
  stripe: (stripeId: Uint8Array) => kind('s', stripeId),
  live: (stripeId: Uint8Array) => kind('l', stripeId),
  ref: (stripeId: Uint8Array, offsetBytes: number) => kind('r', stripeId, u32(offsetBytes)),
  tomb: (stripeId: Uint8Array) => kind('t', stripeId),
  queue: (spare: number, sinceMs: number, stripeId: Uint8Array) =>
    kind('q', Uint8Array.of(spare), u64(sinceMs), stripeId),
  garbage: (id: Uint8Array) => kind('g', id),
  node: (nodeId: number) => kind('n', u16(nodeId)),
};

/** First bytes of a family of keys, for ranges: `prefixRange(prefixes.objects(id))`. */
export const prefixes = {
  buckets: () => kind('b'),
  objects: (bucketId: Uint8Array) => kind('o', bucketId),
  partLists: (versionId: Uint8Array) => kind('y', versionId),
  uploads: (bucketId: Uint8Array) => kind('u', bucketId),
  allUploads: () => kind('u'),
  parts: (uploadId: Uint8Array) => kind('p', uploadId),
  contentPages: (contentId: Uint8Array) => kind('c', contentId),
  epochs: (bucketId: Uint8Array) => kind('e', bucketId),
  stripes: () => kind('s'),
  live: () => kind('l'),
  refs: (stripeId: Uint8Array) => kind('r', stripeId),
  tombs: () => kind('t'),
  queue: () => kind('q'),
  garbage: () => kind('g'),
  nodes: () => kind('n'),
};

export function prefixRange(prefix: Uint8Array): { from: Uint8Array; to: Uint8Array | undefined } {
  return { from: prefix, to: prefixEnd(prefix) };
}
