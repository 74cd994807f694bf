/**
 * Response headers of GetObject and HeadObject, which differ only in the body. Checksums are shown when asked
 * for and only where all of the object is sent: a client compares them with what it receives, and the
 * checksum of the object is not that of a range.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { ObjectHead } from '../objects/types.ts';
import { ENCRYPTION_HEADERS, METADATA_PREFIX } from './headers-attributes.ts';
import { checksumHeaders, checksumModeEnabled } from './headers-checksums.ts';
import { contentRange } from './headers-range.ts';
import { headerSafe, httpDate, quoteEtag } from './headers-values.ts';

/** Query parameters that replace a stored header in this one answer, and which. */
const OVERRIDES = {
  'response-content-type': 'content-type',
  'response-content-language': 'content-language',
  'response-content-encoding': 'content-encoding',
  'response-content-disposition': 'content-disposition',
  'response-cache-control': 'cache-control',
  'response-expires': 'expires',
} as const;

export const OVERRIDE_PARAMETERS = Object.keys(OVERRIDES);

export function objectStatus(head: ObjectHead): 200 | 206 {
  return contentRange(head) === undefined ? 200 : 206;
}

export function objectHeaders(
  head: ObjectHead,
  query: URLSearchParams,
  requestHeaders: IncomingHttpHeaders,
): Record<string, string> {
  const { info, range } = head;
  const whole = range.firstByte === 0 && range.lengthBytes === info.sizeBytes;
  const withParts = query.has('partNumber') && info.partCount !== undefined;
  const span = contentRange(head);
  const headers: Record<string, string> = {
    'accept-ranges': 'bytes',
    etag: quoteEtag(info.etag),
    'last-modified': httpDate(info.modifiedMs),
    ...storedAsHeaders(head),
    ...ENCRYPTION_HEADERS,
    ...(span !== undefined && { 'content-range': span }),
    ...(checksumModeEnabled(requestHeaders) && whole && checksumHeaders(info.checksum)),
    ...(withParts && { 'x-amz-mp-parts-count': String(info.partCount) }),
  };
  // Last, since node recodes a Content-Disposition that stands behind the length (RFC 6266 section 4.3): UTF-8 in it would
  // turn into latin-1 or, beyond that, into an exception.
  return Object.assign(headers, responseOverrides(query), { 'content-length': String(range.lengthBytes) });
}

/**
 * The headers that response-* parameters replace. @throws InvalidArgument for a value that no header can
 * carry
 */
export function responseOverrides(query: URLSearchParams): Record<string, string> {
  const headers: Record<string, string> = {};
  if (query.size === 0) return headers;
  for (const [parameter, name] of Object.entries(OVERRIDES)) {
    const value = query.get(parameter);
    if (value) headers[name] = headerSafe(parameter, value);
  }
  return headers;
}

function storedAsHeaders({ info }: ObjectHead): Record<string, string> {
  const stored = info.headers;
  const headers: Record<string, string> = { 'content-type': stored.contentType ?? 'binary/octet-stream' };
  const set = (name: string, value: string | undefined) => {
    if (value !== undefined) headers[name] = value;
  };
  set('content-encoding', stored.contentEncoding);
  set('content-disposition', stored.contentDisposition);
  set('content-language', stored.contentLanguage);
  set('cache-control', stored.cacheControl);
  set('expires', stored.expires);
  set('x-amz-website-redirect-location', stored.websiteRedirectLocation);
  for (const [name, value] of Object.entries(info.metadata)) headers[METADATA_PREFIX + name] = value;
  if (info.storageClass !== 'STANDARD') headers['x-amz-storage-class'] = info.storageClass;
  if (info.tags.length > 0) headers['x-amz-tagging-count'] = String(info.tags.length);
  return headers;
}
