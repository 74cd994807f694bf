/**
 * The hot documents: listings of objects. A page of 1,000 keys is put together from strings, in about 0.7 ms
 * where the general builder takes 2.3; everything that comes from a client passes `escapeXml`.
 *
 * With `encoding-type=url`, keys are percent-encoded. A space becomes %20, not AWS's `+`: every client's
 * decoder takes %20, but not all take `+`, and a real plus sign is %2B either way.
 */
import type { ObjectInfo } from '../objects/types.ts';
import { isoDate } from './headers-values.ts';
import { escapeXml, S3_NAMESPACE, XML_DECLARATION } from './xml-build.ts';

export type KeyEncoder = (text: string) => string;

const PLAIN_KEY = /^[A-Za-z0-9\-_./]*$/;

/** For keys in URLs and in `encoding-type=url` documents; slashes stay. */
export function encodeKey(key: string): string {
  return PLAIN_KEY.test(key) ? key : encodeURIComponent(key).replaceAll('%2F', '/');
}

/** What goes between the tags for a key, prefix, delimiter or marker. */
export function keyEncoder(urlEncoded: boolean): KeyEncoder {
  return urlEncoded ? encodeKey : escapeXml;
}

/** A leaf element; `text` must be escaped already. */
export function leaf(name: string, text: string | number | boolean): string {
  return `<${name}>${text}</${name}>`;
}

export function listingDocument(rootName: string, content: string): string {
  return `${XML_DECLARATION}<${rootName} xmlns="${S3_NAMESPACE}">${content}</${rootName}>`;
}

export function ownerElement(owner: { readonly ownerId: string; readonly displayName: string }): string {
  return `<Owner><ID>${escapeXml(owner.ownerId)}</ID><DisplayName>${escapeXml(owner.displayName)}</DisplayName></Owner>`;
}

/** One `Contents` or, with `version`, one `Version` element of the object that is the only version of its key. */
export function objectElement(info: ObjectInfo, encode: KeyEncoder, owner: string, version = false): string {
  const checksum = info.checksum
    ? `<ChecksumAlgorithm>${info.checksum.algorithm}</ChecksumAlgorithm><ChecksumType>${info.checksum.type}</ChecksumType>`
    : '';
  const name = version ? 'Version' : 'Contents';
  const identity = version ? '<VersionId>null</VersionId><IsLatest>true</IsLatest>' : '';
  return `<${name}><Key>${encode(info.key)}</Key>${identity}<LastModified>${isoDate(info.modifiedMs)}</LastModified><ETag>&quot;${escapeXml(info.etag)}&quot;</ETag>${checksum}<Size>${info.sizeBytes}</Size>${owner}<StorageClass>${escapeXml(info.storageClass)}</StorageClass></${name}>`;
}

export function commonPrefixElements(prefixes: readonly string[], encode: KeyEncoder): string {
  let text = '';
  for (const prefix of prefixes)
    text += `<CommonPrefixes><Prefix>${encode(prefix)}</Prefix></CommonPrefixes>`;
  return text;
}
