/**
 * S3's additional checksums (docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html) of whole
 * bodies, and of multipart objects from those of their parts: composite (a checksum of checksums, with the count behind it) or
 * full-object (CRCs only, because they can be combined).
 */
import { assert } from '../base/assert.ts';
import { HoldfastError } from '../base/errors.ts';
import { combineCrcs } from '../coding/crc.ts';
import { createDigest } from '../coding/digest.ts';
import type { BodyDigests, DigestAlgorithm } from '../coding/digests.ts';
import type { ChecksumAlgorithm, StoredChecksum } from '../metadata/records.ts';

const digestNames = {
  CRC32: 'crc32',
  CRC32C: 'crc32c',
  CRC64NVME: 'crc64nvme',
  SHA1: 'sha1',
  SHA256: 'sha256',
} as const satisfies Record<ChecksumAlgorithm, DigestAlgorithm>;

export type ChecksumType = StoredChecksum['type'];

export function digestName(algorithm: ChecksumAlgorithm): DigestAlgorithm {
  return digestNames[algorithm];
}

/** The checksum of a body that `digests` were computed over. */
export function checksumOf(algorithm: ChecksumAlgorithm, digests: BodyDigests): StoredChecksum {
  const value = digests[digestNames[algorithm]];
  assert(value !== undefined, `${algorithm} was not computed`);
  return { algorithm, value: value.toString('base64'), type: 'FULL_OBJECT' };
}

/** What S3 makes of an upload that named an algorithm only. */
export function defaultChecksumType(algorithm: ChecksumAlgorithm): ChecksumType {
  return algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE';
}

/** @throws InvalidRequest for SHA as full-object and CRC64NVME as composite checksum */
export function requirePossibleType(algorithm: ChecksumAlgorithm, type: ChecksumType): void {
  const isCrc = algorithm.startsWith('CRC');
  const possible = type === 'FULL_OBJECT' ? isCrc : algorithm !== 'CRC64NVME';
  if (possible) return;
  throw new HoldfastError('InvalidRequest', {
    detail: `The ${type} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`,
  });
}

export interface PartChecksum {
  /** Base64. */
  readonly value: string;
  readonly sizeBytes: number;
}

/** `parts` in order, at least one. */
export function combineChecksums(
  algorithm: ChecksumAlgorithm,
  type: ChecksumType,
  parts: readonly PartChecksum[],
): StoredChecksum {
  const value = type === 'COMPOSITE' ? compositeOf(algorithm, parts) : fullObjectOf(algorithm, parts);
  return { algorithm, value, type };
}

function compositeOf(algorithm: ChecksumAlgorithm, parts: readonly PartChecksum[]): string {
  const digest = createDigest(digestNames[algorithm]);
  for (const { value } of parts) digest.update(Buffer.from(value, 'base64'));
  return `${digest.digest().toString('base64')}-${parts.length}`;
}

function fullObjectOf(algorithm: ChecksumAlgorithm, parts: readonly PartChecksum[]): string {
  const name = digestNames[algorithm];
  if (name === 'sha1' || name === 'sha256') throw new HoldfastError('InvalidRequest');
  let combined: Buffer | undefined;
  for (const { value, sizeBytes } of parts) {
    const next = Buffer.from(value, 'base64');
    combined = combined === undefined ? next : combineCrcs(name, combined, next, sizeBytes);
  }
  assert(combined !== undefined, 'an object has parts');
  return combined.toString('base64');
}
