/**
 * What a request says about the digest of its body: Content-MD5 (RFC 1864), x-amz-checksum-* in a header or announced
 * as a trailer, x-amz-sdk-checksum-algorithm, and the SHA-256 in x-amz-content-sha256
 * (docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html). Parsed before the body is read,
 * compared after its last byte. At most one checksum; values are base64 of exactly the algorithm's length.
 */

import { timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { defined } from '../base/assert.ts';
import { HoldfastError } from '../base/errors.ts';
import { digestNow } from '../coding/digest.ts';
import type { BodyDigests, DigestAlgorithm } from '../coding/digests.ts';
import type { ChecksumAlgorithm, StoredChecksum } from '../metadata/records.ts';
import type { PayloadForm } from './payload.ts';

interface ChecksumKind {
  readonly algorithm: ChecksumAlgorithm;
  readonly digest: DigestAlgorithm;
  readonly lengthBytes: number;
}

const HEADER_PREFIX = 'x-amz-checksum-';

/** By header name. */
export const checksumKinds: ReadonlyMap<string, ChecksumKind> = new Map(
  (
    [
      ['CRC32', 'crc32', 4],
      ['CRC32C', 'crc32c', 4],
      ['CRC64NVME', 'crc64nvme', 8],
      ['SHA1', 'sha1', 20],
      ['SHA256', 'sha256', 32],
    ] as const
  ).map(([algorithm, digest, lengthBytes]) => [
    `${HEADER_PREFIX}${digest}`,
    { algorithm, digest, lengthBytes },
  ]),
);

/** Base64 of the checksums of no bytes at all, by header name. */
const emptyChecksums: ReadonlyMap<string, string> = new Map(
  [...checksumKinds].map(([name, { digest }]) => [
    name,
    defined(digestNow([digest], Buffer.alloc(0))[digest]).toString('base64'),
  ]),
);

/**
 * The AWS SDK for JavaScript (from 3.729) presigns an upload with the checksum of an empty body, because it does not
 * know the body yet. S3 does not hold the upload to it, and neither may we; any other value in a URL is a true claim.
 */
export function isPresignPlaceholder(header: string, value: string): boolean {
  return header === 'x-amz-sdk-checksum-algorithm' || emptyChecksums.get(header) === value;
}

export interface BodyClaims {
  readonly contentMd5: Buffer | undefined;
  /** Raw digest of the whole body, signed with the request. */
  readonly contentSha256: Buffer | undefined;
  readonly checksum: ChecksumKind | undefined;
  /** Base64; undefined when it comes in the trailer. */
  readonly checksumValue: string | undefined;
  /** Lower-case trailer names that must follow the body. */
  readonly announcedTrailers: readonly string[];
  /** What must be computed to verify all of these. */
  readonly algorithms: readonly DigestAlgorithm[];
}

/** @throws InvalidDigest, InvalidRequest */
export function readClaims(headers: IncomingHttpHeaders, form: PayloadForm, ownChecksum = true): BodyClaims {
  const announcedTrailers = readTrailerNames(headers, form);
  const found = ownChecksum ? findChecksum(headers, announcedTrailers) : undefined;
  const contentMd5 = readMd5(headers['content-md5']);
  const algorithms: DigestAlgorithm[] = [];
  if (contentMd5) algorithms.push('md5');
  if (found) algorithms.push(found.kind.digest);
  if (form.sha256 !== undefined && found?.kind.digest !== 'sha256') algorithms.push('sha256');
  return {
    contentMd5,
    contentSha256: form.sha256 === undefined ? undefined : Buffer.from(form.sha256, 'hex'),
    checksum: found?.kind,
    checksumValue: found?.value,
    announcedTrailers,
    algorithms,
  };
}

/**
 * Compares; returns what is to be stored with the object. `trailers` is complete by now; a checksum announced there may
 * be absent only for an empty body without framing.
 * @throws BadDigest, XAmzContentSHA256Mismatch, InvalidRequest
 */
export function verifyClaims(
  claims: BodyClaims,
  digests: BodyDigests,
  trailers: ReadonlyMap<string, string>,
): StoredChecksum | undefined {
  const { contentSha256, contentMd5, checksum } = claims;
  if (contentSha256 && !timingSafeEqual(contentSha256, defined(digests.sha256, 'sha256'))) {
    throw new HoldfastError('XAmzContentSHA256Mismatch', {
      fields: {
        ClientComputedContentSHA256: contentSha256.toString('hex'),
        S3ComputedContentSHA256: defined(digests.sha256).toString('hex'),
      },
    });
  }
  if (contentMd5 && !timingSafeEqual(contentMd5, defined(digests.md5, 'md5'))) {
    throw new HoldfastError('BadDigest', {
      detail: 'The Content-MD5 you specified did not match what we received.',
      fields: {
        ExpectedDigest: contentMd5.toString('base64'),
        CalculatedDigest: defined(digests.md5).toString('base64'),
      },
    });
  }
  if (!checksum) return undefined;
  const computed = defined(digests[checksum.digest], checksum.digest);
  const claimed = claims.checksumValue ?? trailers.get(`${HEADER_PREFIX}${checksum.digest}`);
  if (claimed !== undefined && !timingSafeEqual(decodeValue(checksum, claimed), computed)) {
    throw new HoldfastError('BadDigest', {
      detail: `The ${checksum.algorithm} you specified did not match the calculated checksum.`,
    });
  }
  return { algorithm: checksum.algorithm, value: computed.toString('base64'), type: 'FULL_OBJECT' };
}

function readMd5(header: string | string[] | undefined): Buffer | undefined {
  if (header === undefined) return undefined;
  const md5 = typeof header === 'string' ? fromBase64(header) : undefined;
  if (md5?.length !== 16) throw new HoldfastError('InvalidDigest');
  return md5;
}

function readTrailerNames(headers: IncomingHttpHeaders, form: PayloadForm): readonly string[] {
  const header = headers['x-amz-trailer'];
  if (header === undefined) return [];
  if (!form.trailer) {
    throw new HoldfastError('InvalidRequest', {
      detail: `x-amz-trailer needs an x-amz-content-sha256 that ends in -TRAILER, not ${form.name}.`,
    });
  }
  const names = String(header)
    .split(',')
    .map((name) => name.trim().toLowerCase());
  for (const name of names) {
    if (!checksumKinds.has(name)) {
      throw new HoldfastError('InvalidRequest', {
        detail: 'The value specified in the x-amz-trailer header is not supported',
      });
    }
  }
  return names;
}

function findChecksum(
  headers: IncomingHttpHeaders,
  trailers: readonly string[],
): { kind: ChecksumKind; value: string | undefined } | undefined {
  let found: { kind: ChecksumKind; value: string | undefined } | undefined;
  for (const [name, kind] of checksumKinds) {
    const header = headers[name];
    if (header === undefined && !trailers.includes(name)) continue;
    if (found || (header !== undefined && trailers.length > 0) || trailers.length > 1) {
      throw new HoldfastError('InvalidRequest', {
        detail: 'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
      });
    }
    const value = header === undefined ? undefined : String(header);
    if (value !== undefined) decodeValue(kind, value);
    found = { kind, value };
  }
  checkAlgorithmName(headers['x-amz-sdk-checksum-algorithm'], found?.kind);
  return found;
}

function checkAlgorithmName(header: string | string[] | undefined, kind: ChecksumKind | undefined): void {
  if (header === undefined || String(header).toUpperCase() === kind?.algorithm) return;
  throw new HoldfastError('InvalidRequest', {
    detail: kind
      ? 'Value for x-amz-sdk-checksum-algorithm header is invalid.'
      : 'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
  });
}

function decodeValue(kind: ChecksumKind, value: string): Buffer {
  const bytes = fromBase64(value);
  if (bytes?.length === kind.lengthBytes) return bytes;
  throw new HoldfastError('InvalidRequest', {
    detail: `Value for ${HEADER_PREFIX}${kind.digest} header is invalid.`,
  });
}

const base64 = /^[A-Za-z0-9+/]+={0,2}$/;

function fromBase64(text: string): Buffer | undefined {
  return base64.test(text) && text.length % 4 === 0 ? Buffer.from(text, 'base64') : undefined;
}
