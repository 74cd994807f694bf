/**
 * What a client says about an object beside its bytes, on PutObject, CopyObject and CreateMultipartUpload:
 * the headers that are stored and returned as they came, user metadata, tags, storage class, ACL and
 * encryption.
 *
 * Header values are latin1 strings, one character for each byte on the wire (Node's rule for both
 * directions), so UTF-8 or RFC 2047 metadata comes back byte for byte. Encryption: everything is stored under
 * AES-256, so a request for `AES256` is true and every answer about an object says so; KMS and customer keys
 * are refused.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { HoldfastError } from '../base/errors.ts';
import { KIB } from '../base/units.ts';
import type { ObjectAttributes, StoredHeaders } from '../metadata/records.ts';
import { parseTaggingHeader } from './headers-tags.ts';
import { header, invalidArgument, notImplemented } from './headers-values.ts';

export const METADATA_PREFIX = 'x-amz-meta-';
/** AWS: names without the prefix and values together. */
export const METADATA_BYTES_MAX = 2 * KIB;
const REDIRECT_BYTES_MAX = 2 * KIB;
const DEFAULT_CONTENT_TYPE = 'binary/octet-stream';

/** Headers that `objectAttributes` reads. A trailing `*` stands for every header with that beginning. */
export const ATTRIBUTE_HEADERS = [
  'content-type',
  'content-encoding',
  'content-disposition',
  'content-language',
  'cache-control',
  'expires',
  'x-amz-website-redirect-location',
  `${METADATA_PREFIX}*`,
  'x-amz-storage-class',
  'x-amz-tagging',
  'x-amz-acl',
  'x-amz-server-side-encryption',
] as const;

/** Classes of general purpose buckets. They are kept and shown; here they all mean the same storage. */
const STORAGE_CLASSES: readonly string[] = [
  'STANDARD',
  'REDUCED_REDUNDANCY',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER',
  'GLACIER_IR',
  'DEEP_ARCHIVE',
];

const CANNED_ACLS: readonly string[] = [
  'private',
  'public-read',
  'public-read-write',
  'authenticated-read',
  'aws-exec-read',
  'bucket-owner-read',
  'bucket-owner-full-control',
  'log-delivery-write',
];

/** All attributes of a new object. Refuses what would change its meaning and is not there. */
export function objectAttributes(headers: IncomingHttpHeaders): ObjectAttributes {
  checkObjectAcl(headers);
  checkEncryption(headers);
  return {
    headers: storedHeaders(headers),
    metadata: userMetadata(headers),
    tags: parseTaggingHeader(header(headers, 'x-amz-tagging')),
    storageClass: storageClass(headers) ?? 'STANDARD',
  };
}

export function storedHeaders(headers: IncomingHttpHeaders): StoredHeaders {
  const contentEncoding = withoutAwsChunked(header(headers, 'content-encoding'));
  const contentDisposition = header(headers, 'content-disposition');
  const contentLanguage = header(headers, 'content-language');
  const cacheControl = header(headers, 'cache-control');
  const expires = header(headers, 'expires');
  const websiteRedirectLocation = redirectLocation(headers);
  return {
    contentType: header(headers, 'content-type') || DEFAULT_CONTENT_TYPE,
    ...(contentEncoding && { contentEncoding }),
    ...(contentDisposition && { contentDisposition }),
    ...(contentLanguage && { contentLanguage }),
    ...(cacheControl && { cacheControl }),
    ...(expires && { expires }),
    ...(websiteRedirectLocation && { websiteRedirectLocation }),
  };
}

/** `aws-chunked` describes the request's framing, not the object. */
function withoutAwsChunked(value: string | undefined): string | undefined {
  if (!value?.toLowerCase().includes('aws-chunked')) return value;
  return value
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding.toLowerCase() !== 'aws-chunked')
    .join(', ');
}

/** @throws InvalidRedirectLocation */
export function redirectLocation(headers: IncomingHttpHeaders): string | undefined {
  const value = header(headers, 'x-amz-website-redirect-location');
  if (value === undefined) return undefined;
  if (value.length > REDIRECT_BYTES_MAX || !/^(\/|https?:\/\/)/.test(value)) {
    throw new HoldfastError('InvalidRedirectLocation');
  }
  return value;
}

/** @throws MetadataTooLarge */
export function userMetadata(headers: IncomingHttpHeaders): Record<string, string> {
  const metadata: Record<string, string> = {};
  let sizeBytes = 0;
  for (const name in headers) {
    if (!name.startsWith(METADATA_PREFIX)) continue;
    const key = name.slice(METADATA_PREFIX.length);
    const value = header(headers, name) ?? '';
    if (key === '') throw invalidArgument(name, value, 'A metadata header has no name.');
    sizeBytes += key.length + value.length;
    Object.defineProperty(metadata, key, { value, enumerable: true, writable: true, configurable: true });
  }
  if (sizeBytes > METADATA_BYTES_MAX) {
    throw new HoldfastError('MetadataTooLarge', {
      fields: { Size: String(sizeBytes), MaxSizeAllowed: String(METADATA_BYTES_MAX) },
    });
  }
  return metadata;
}

/** @throws InvalidStorageClass */
export function storageClass(headers: IncomingHttpHeaders): string | undefined {
  const value = header(headers, 'x-amz-storage-class');
  if (value === undefined || STORAGE_CLASSES.includes(value)) return value;
  throw new HoldfastError('InvalidStorageClass', { fields: { StorageClassRequested: value } });
}

/** One owner has everything, so `private` and the forms that favour the bucket's owner are already true. */
export function checkObjectAcl(headers: IncomingHttpHeaders): void {
  checkAcl(headers, ['private', 'bucket-owner-full-control', 'bucket-owner-read']);
}

export function checkBucketAcl(headers: IncomingHttpHeaders): void {
  checkAcl(headers, ['private']);
}

function checkAcl(headers: IncomingHttpHeaders, accepted: readonly string[]): void {
  const acl = header(headers, 'x-amz-acl');
  if (acl === undefined || accepted.includes(acl)) return;
  if (CANNED_ACLS.includes(acl)) throw notImplemented(`The canned ACL ${acl}`);
  throw invalidArgument('x-amz-acl', acl, 'The canned ACL is not valid.');
}

/** @throws NotImplemented for KMS, InvalidArgument for anything else but AES256 */
export function checkEncryption(headers: IncomingHttpHeaders): void {
  const value = header(headers, 'x-amz-server-side-encryption');
  if (value === undefined || value === 'AES256') return;
  if (value.startsWith('aws:')) throw notImplemented(`x-amz-server-side-encryption: ${value}`);
  throw invalidArgument(
    'x-amz-server-side-encryption',
    value,
    'The encryption method specified is not supported',
  );
}

/** Said of every object, as AWS does of SSE-S3. */
export const ENCRYPTION_HEADERS = { 'x-amz-server-side-encryption': 'AES256' } as const;
