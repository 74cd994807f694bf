/**
 * Presigned URLs of Signature Version 2: `AWSAccessKeyId`, `Expires` and `Signature` in the query. Nobody would choose them today, but
 * `aws s3 presign` (version 1 of the CLI) and boto3 make them by default for us-east-1. The header form of version 2 is not accepted:
 * every client signs those requests with version 4. Source: "Signing and authenticating REST requests" of the S3 user guide, section "Query
 * string request authentication alternative" (docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html).
 *
 * Version 2 signs method, Content-MD5, Content-Type, the time of expiry, the x-amz-* headers, the path and some query parameters; not the
 * host and not the body. A parameter that it does not sign is refused here, so that a URL grants nothing but what was signed.
 */
import { createHmac } from 'node:crypto';
import { HoldfastError } from '../base/errors.ts';
import type { SignableRequest } from './canonical.ts';
import type { QueryPair } from './target.ts';

export interface PresignedClaimV2 {
  readonly accessKeyId: string;
  /** HMAC-SHA1: 20 bytes when it is well formed. */
  readonly signature: Buffer;
  /** Seconds since 1970, as they were written, for these digits are signed. */
  readonly expires: string;
}

/** Parameters that belong to presigning, never to an operation. Presigners repeat two signed headers in the query. */
export const presigningParametersV2: ReadonlySet<string> = new Set([
  'AWSAccessKeyId',
  'Expires',
  'Signature',
  'content-md5',
  'content-type',
]);

/** Parameters that are part of the signed resource. */
const signedParameters: ReadonlySet<string> = new Set([
  'acl',
  'cors',
  'delete',
  'lifecycle',
  'location',
  'logging',
  'notification',
  'partNumber',
  'policy',
  'requestPayment',
  'response-cache-control',
  'response-content-disposition',
  'response-content-encoding',
  'response-content-language',
  'response-content-type',
  'response-expires',
  'restore',
  'tagging',
  'torrent',
  'uploadId',
  'uploads',
  'versionId',
  'versioning',
  'versions',
  'website',
]);

export function parsePresignedV2(query: readonly QueryPair[]): PresignedClaimV2 {
  const found = new Map<string, string>();
  for (const [name, value] of query) {
    if (presigningParametersV2.has(name)) {
      if (found.has(name)) throw denied(`The query parameter ${name} is repeated`);
      found.set(name, value);
    } else if (!signedParameters.has(name) && !name.toLowerCase().startsWith('x-amz-')) {
      throw new HoldfastError('AccessDenied', {
        detail: 'There were query parameters present in the request which Signature Version 2 does not sign',
        fields: { ParametersNotSigned: name },
      });
    }
  }
  const [accessKeyId, expires, signature] = ['AWSAccessKeyId', 'Expires', 'Signature'].map((name) =>
    found.get(name),
  );
  if (!accessKeyId || !expires || !signature) {
    throw denied('Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters');
  }
  if (!/^[0-9]{1,12}$/.test(expires)) throw denied('Invalid date (Expires should be seconds since epoch)');
  return { accessKeyId, expires, signature: Buffer.from(signature, 'base64') };
}

/** It has no list of them: S3's own are always signed, others cannot be. The host it does not know, so that is not missed. */
export function signedHeadersV2(headers: SignableRequest['headers']): readonly string[] {
  return ['host', ...Object.keys(headers).filter((name) => name.startsWith('x-amz-'))];
}

export function stringToSignV2(request: SignableRequest, expires: string): string {
  const { headers, method } = request;
  const md5 = headers['content-md5'] ?? '';
  const type = headers['content-type'] ?? '';
  return `${method}\n${md5}\n${type}\n${expires}\n${amzHeaders(request)}${resource(request)}`;
}

export function signatureV2(secretAccessKey: string, toSign: string): Buffer {
  return createHmac('sha1', secretAccessKey).update(toSign).digest();
}

/** Those of the query count like headers: presigners put them there. The same one in both places counts once. */
function amzHeaders({ query, rawHeaders }: SignableRequest): string {
  const all = new Map<string, Set<string>>();
  const add = (name: string, value: string) => {
    if (!name.startsWith('x-amz-')) return;
    const values = all.get(name) ?? new Set();
    all.set(name, values.add(value.trim()));
  };
  for (const [name, value] of query) add(name.toLowerCase(), value);
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const value = Buffer.from(rawHeaders[i + 1] ?? '', 'latin1').toString();
    add((rawHeaders[i] ?? '').toLowerCase(), value);
  }
  const names = [...all.keys()].sort();
  return names.map((name) => `${name}:${[...(all.get(name) ?? [])].join(',')}\n`).join('');
}

function resource({ query, resource }: SignableRequest): string {
  const signed = query.filter(([name]) => signedParameters.has(name));
  if (signed.length === 0) return resource;
  signed.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `${resource}?${signed.map(([name, value]) => (value === '' ? name : `${name}=${value}`)).join('&')}`;
}

function denied(detail: string): HoldfastError {
  return new HoldfastError('AccessDenied', { detail });
}
