/**
 * The canonical request and string to sign of SigV4, as S3 has them: the path is encoded exactly once and not
 * normalised, every query parameter counts, header values are trimmed and inner white space is folded, repeated headers
 * are joined with a comma (docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, "Task 1").
 *
 * Path and query arrive decoded and are encoded again AWS's way, because clients differ in what they escape on the wire.
 * Header values are latin-1 strings, as node gives them, so hashing them as latin-1 hashes the bytes that were sent.
 */
import { hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { type QueryPair, uriEncode, uriEncodePath } from './target.ts';

export interface SignableRequest {
  readonly method: string;
  /** Decoded. */
  readonly path: string;
  /** Path with the bucket, percent-encoded as it came; only Signature Version 2 signs it so. */
  readonly resource: string;
  /** Decoded pairs. */
  readonly query: readonly QueryPair[];
  readonly headers: IncomingHttpHeaders;
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
}

export function canonicalRequest(
  request: SignableRequest,
  signedHeaders: readonly string[],
  payloadHash: string,
): string {
  const value = headerValues(request);
  let headers = '';
  for (const name of signedHeaders) headers += `${name}:${value(name)}\n`;
  return `${request.method}\n${uriEncodePath(request.path)}\n${canonicalQuery(request.query)}\n${headers}\n${signedHeaders.join(';')}\n${payloadHash}`;
}

/** `dateTime` is YYYYMMDDTHHMMSSZ; `scope` is date/region/s3/aws4_request. */
export function stringToSign(dateTime: string, scope: string, canonical: string): string {
  const digest = hash('sha256', Buffer.from(canonical, 'latin1'), 'hex');
  return `AWS4-HMAC-SHA256\n${dateTime}\n${scope}\n${digest}`;
}

/** Everything except the signature itself, sorted by encoded name, then by encoded value. */
export function canonicalQuery(query: readonly QueryPair[]): string {
  if (query.length === 0) return '';
  const encoded: [string, string][] = [];
  for (const [name, value] of query) {
    if (name !== 'X-Amz-Signature') encoded.push([uriEncode(name), uriEncode(value)]);
  }
  encoded.sort((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]));
  return encoded.map(([name, value]) => `${name}=${value}`).join('&');
}

/** Encoded text is ASCII, so the order of UTF-16 units is the order of bytes. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Looks headers up by lower-case name, all values of a repeated one joined. Absent ones are empty. */
function headerValues(request: SignableRequest): (name: string) => string {
  const { headers, rawHeaders } = request;
  if (Object.keys(headers).length * 2 === rawHeaders.length) {
    return (name) => {
      const value = headers[name];
      if (typeof value === 'string') return fold(value);
      return Array.isArray(value) ? value.map(fold).join(',') : '';
    };
  }
  const all = new Map<string, string>();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase();
    const value = fold(rawHeaders[i + 1] ?? '');
    const earlier = all.get(name);
    all.set(name, earlier === undefined ? value : `${earlier},${value}`);
  }
  return (name) => all.get(name) ?? '';
}

const needsFolding = /^[ \t]|[ \t]$|[ \t]{2}|\t/;

function fold(value: string): string {
  return needsFolding.test(value) ? value.trim().replace(/[ \t]+/g, ' ') : value;
}
