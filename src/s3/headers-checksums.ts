/**
 * The x-amz-checksum family outside of body framing: which algorithm a request names, and how a stored
 * checksum is shown in headers and documents. Comparing values with bodies is the framing's part
 * (`IncomingBody.verify`).
 * Source: docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
 */
import type { IncomingHttpHeaders } from 'node:http';
import { HoldfastError } from '../base/errors.ts';
import type { DigestAlgorithm } from '../coding/digests.ts';
import type { ChecksumAlgorithm, StoredChecksum } from '../metadata/records.ts';
import { header, invalidArgument } from './headers-values.ts';

export const CHECKSUM_ALGORITHMS = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const;

/** Headers by which a request carries the checksum of its own body. */
export const BODY_CHECKSUM_HEADERS = [
  'content-md5',
  'x-amz-sdk-checksum-algorithm',
  'x-amz-trailer',
  ...CHECKSUM_ALGORITHMS.map((algorithm) => `x-amz-checksum-${algorithm.toLowerCase()}`),
] as const;

const DIGEST_BYTES: Readonly<Record<ChecksumAlgorithm, number>> = {
  CRC32: 4,
  CRC32C: 4,
  CRC64NVME: 8,
  SHA1: 20,
  SHA256: 32,
};

export function digestOf(algorithm: ChecksumAlgorithm): DigestAlgorithm {
  return algorithm.toLowerCase() as DigestAlgorithm;
}

/** `ChecksumCRC32` and so on, as documents call it. */
export function checksumElement(algorithm: ChecksumAlgorithm): `Checksum${ChecksumAlgorithm}` {
  return `Checksum${algorithm}`;
}

/** @throws InvalidRequest for an algorithm that is not one of the five */
export function parseChecksumAlgorithm(value: string | undefined): ChecksumAlgorithm | undefined {
  if (value === undefined) return undefined;
  const algorithm = CHECKSUM_ALGORITHMS.find((known) => known === value.trim().toUpperCase());
  if (algorithm) return algorithm;
  throw new HoldfastError('InvalidRequest', {
    detail: `Checksum algorithm provided is unsupported. Please try again with any of the valid types: [${CHECKSUM_ALGORITHMS.join(', ')}]`,
  });
}

/** @throws InvalidRequest */
export function parseChecksumType(value: string | undefined): StoredChecksum['type'] | undefined {
  const type = value?.trim().toUpperCase();
  if (type === undefined || type === 'FULL_OBJECT' || type === 'COMPOSITE') return type;
  throw new HoldfastError('InvalidRequest', {
    detail: 'Value for x-amz-checksum-type header is invalid.',
  });
}

/** The algorithm of the checksum that comes with this body, in a header or announced as a trailer. */
export function bodyChecksumAlgorithm(headers: IncomingHttpHeaders): ChecksumAlgorithm | undefined {
  const trailer = header(headers, 'x-amz-trailer')?.toLowerCase() ?? '';
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const name = `x-amz-checksum-${algorithm.toLowerCase()}`;
    if (headers[name] !== undefined || trailer.split(',').some((part) => part.trim() === name)) {
      return algorithm;
    }
  }
  return undefined;
}

/**
 * The value that a client claims for a whole multipart object (`-N` allowed at its end).
 * @throws InvalidRequest when it is not base64 of the right length, or when there are two
 */
export function claimedChecksum(
  headers: IncomingHttpHeaders,
): { readonly algorithm: ChecksumAlgorithm; readonly value: string } | undefined {
  const claims = CHECKSUM_ALGORITHMS.flatMap((algorithm) => {
    const value = header(headers, `x-amz-checksum-${algorithm.toLowerCase()}`);
    return value === undefined ? [] : [{ algorithm, value: value.trim() }];
  });
  if (claims.length > 1) {
    throw new HoldfastError('InvalidRequest', {
      detail: 'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    });
  }
  const claim = claims[0];
  if (claim && !isChecksumValue(claim.algorithm, claim.value)) {
    throw new HoldfastError('InvalidRequest', {
      detail: `Value for x-amz-checksum-${claim.algorithm.toLowerCase()} header is invalid.`,
    });
  }
  return claim;
}

export function isChecksumValue(algorithm: ChecksumAlgorithm, value: string): boolean {
  const digest = value.replace(/-\d{1,5}$/, '');
  const bytes = Buffer.from(digest, 'base64');
  return bytes.length === DIGEST_BYTES[algorithm] && bytes.toString('base64') === digest;
}

/** What CreateMultipartUpload may combine; the type defaults as AWS's does. @throws InvalidRequest */
export function uploadChecksum(headers: IncomingHttpHeaders): {
  readonly checksumAlgorithm?: ChecksumAlgorithm;
  readonly checksumType?: StoredChecksum['type'];
} {
  const checksumAlgorithm = parseChecksumAlgorithm(header(headers, 'x-amz-checksum-algorithm'));
  const type = parseChecksumType(header(headers, 'x-amz-checksum-type'));
  if (!checksumAlgorithm) {
    if (type === undefined) return {};
    throw new HoldfastError('InvalidRequest', {
      detail: 'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.',
    });
  }
  const wholeOnly = checksumAlgorithm === 'CRC64NVME';
  const compositeOnly = checksumAlgorithm === 'SHA1' || checksumAlgorithm === 'SHA256';
  const checksumType = type ?? (wholeOnly ? 'FULL_OBJECT' : 'COMPOSITE');
  if ((wholeOnly && checksumType === 'COMPOSITE') || (compositeOnly && checksumType === 'FULL_OBJECT')) {
    throw new HoldfastError('InvalidRequest', {
      detail: `The ${checksumType} checksum type cannot be used with the ${checksumAlgorithm.toLowerCase()} checksum algorithm.`,
    });
  }
  return { checksumAlgorithm, checksumType };
}

/** Response headers of a stored checksum. */
export function checksumHeaders(checksum: StoredChecksum | undefined): Record<string, string> {
  if (!checksum) return {};
  return {
    [`x-amz-checksum-${checksum.algorithm.toLowerCase()}`]: checksum.value,
    'x-amz-checksum-type': checksum.type,
  };
}

/** Elements of a stored checksum; of a part only the value is shown. */
export function checksumElements(
  checksum: StoredChecksum | undefined,
  withType = true,
): Record<string, string> {
  if (!checksum) return {};
  return {
    [checksumElement(checksum.algorithm)]: checksum.value,
    ...(withType && { ChecksumType: checksum.type }),
  };
}

/** `x-amz-checksum-mode: ENABLED`, the only value there is. @throws InvalidArgument */
export function checksumModeEnabled(headers: IncomingHttpHeaders): boolean {
  const mode = header(headers, 'x-amz-checksum-mode');
  if (mode === undefined) return false;
  if (mode.trim().toUpperCase() === 'ENABLED') return true;
  throw invalidArgument('x-amz-checksum-mode', mode, 'The only value of x-amz-checksum-mode is ENABLED.');
}
