/**
 * What a CompleteMultipartUpload request must satisfy, and what follows from it: pure checks on the parts named and those stored
 * (docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html).
 */
import { HoldfastError } from '../base/errors.ts';
import { MIB, TIB } from '../base/units.ts';
import type { StoredChecksum, UploadRecord } from '../metadata/records.ts';
import { combineChecksums } from './checksums.ts';
import { multipartEtag } from './etags.ts';
import type { CompletedPart, CompleteRequest } from './types.ts';
import { checksumTypeOf, PART_NUMBER_MAX, type StoredPart } from './uploads.ts';

export const PART_BYTES_MIN = 5 * MIB;
export const OBJECT_BYTES_MAX = 5 * TIB;

/** @throws MalformedXML, InvalidPartOrder */
export function requirePartOrder(parts: readonly CompletedPart[]): void {
  if (parts.length === 0 || parts.length > PART_NUMBER_MAX) throw new HoldfastError('MalformedXML');
  let previous = 0;
  for (const { partNumber } of parts) {
    if (partNumber <= previous) throw new HoldfastError('InvalidPartOrder');
    previous = partNumber;
  }
}

function bareEtag(etag: string): string {
  return etag.replace(/^"(.*)"$/, '$1');
}

/** The ETag that an object of these parts has, whether it exists or not. */
export function etagOfRequest(parts: readonly CompletedPart[]): string {
  return multipartEtag(parts.map(({ etag }) => bareEtag(etag)));
}

/**
 * The stored parts that the request names, in its order.
 * @throws InvalidPart for one that is missing or other than named, EntityTooSmall, EntityTooLarge, InvalidRequest
 */
export function selectParts(
  request: CompleteRequest,
  stored: ReadonlyMap<number, StoredPart>,
): readonly StoredPart[] {
  const selected = request.parts.map((named) => {
    const part = stored.get(named.partNumber);
    if (part === undefined || part.record.etag !== bareEtag(named.etag) || !checksumFits(named, part)) {
      throw new HoldfastError('InvalidPart', {
        fields: {
          UploadId: request.uploadId,
          PartNumber: String(named.partNumber),
          ETag: bareEtag(named.etag),
        },
      });
    }
    return part;
  });
  requireSizes(request, selected);
  return selected;
}

function checksumFits(named: CompletedPart, { record }: StoredPart): boolean {
  const { checksum } = record;
  if (checksum === undefined) return Object.keys(named.checksums).length === 0;
  const claimed = named.checksums[checksum.algorithm];
  const others = Object.keys(named.checksums).filter((algorithm) => algorithm !== checksum.algorithm);
  return others.length === 0 && (claimed === undefined || claimed === checksum.value);
}

function requireSizes(request: CompleteRequest, parts: readonly StoredPart[]): void {
  for (const { partNumber, record } of parts.slice(0, -1)) {
    if (record.sizeBytes >= PART_BYTES_MIN) continue;
    throw new HoldfastError('EntityTooSmall', {
      fields: {
        ProposedSize: String(record.sizeBytes),
        MinSizeAllowed: String(PART_BYTES_MIN),
        PartNumber: String(partNumber),
        ETag: record.etag,
      },
    });
  }
  const sizeBytes = totalSize(parts);
  if (sizeBytes > OBJECT_BYTES_MAX) {
    throw new HoldfastError('EntityTooLarge', {
      fields: { ProposedSize: String(sizeBytes), MaxSizeAllowed: String(OBJECT_BYTES_MAX) },
    });
  }
  if (request.sizeBytes !== undefined && request.sizeBytes !== sizeBytes) {
    throw new HoldfastError('InvalidRequest', {
      detail: `The provided 'x-amz-mp-object-size' header value ${request.sizeBytes} does not match what was computed: ${sizeBytes}`,
    });
  }
}

export function totalSize(parts: readonly StoredPart[]): number {
  return parts.reduce((sum, { record }) => sum + record.sizeBytes, 0);
}

/**
 * The object's checksum; undefined when the upload named no algorithm, or a part came without one.
 * @throws BadDigest when the client claims another, InvalidRequest when what it claims cannot be checked
 */
export function objectChecksum(
  request: CompleteRequest,
  upload: UploadRecord,
  parts: readonly StoredPart[],
): StoredChecksum | undefined {
  const computed = computeChecksum(upload, parts);
  if (request.checksumType !== undefined && request.checksumType !== checksumTypeOf(upload)) {
    throw new HoldfastError('InvalidRequest', {
      detail: `The upload was created with checksum type ${checksumTypeOf(upload) ?? 'null'}, not ${request.checksumType}.`,
    });
  }
  const claimed = request.checksum;
  if (claimed === undefined) return computed;
  if (computed?.algorithm !== claimed.algorithm) {
    throw new HoldfastError('InvalidRequest', {
      detail: `The ${claimed.algorithm} checksum of the object cannot be verified: the upload and its parts were not given that checksum.`,
    });
  }
  const bare = (value: string) => value.replace(/-\d+$/, '');
  if (bare(claimed.value) !== bare(computed.value)) {
    throw new HoldfastError('BadDigest', {
      detail: `The ${claimed.algorithm} you specified did not match the calculated checksum.`,
    });
  }
  return computed;
}

function computeChecksum(upload: UploadRecord, parts: readonly StoredPart[]): StoredChecksum | undefined {
  const algorithm = upload.checksumAlgorithm;
  const type = checksumTypeOf(upload);
  if (algorithm === undefined || type === undefined) return undefined;
  const checksums = parts.flatMap(({ record: { checksum, sizeBytes } }) =>
    checksum?.algorithm === algorithm ? [{ value: checksum.value, sizeBytes }] : [],
  );
  return checksums.length === parts.length ? combineChecksums(algorithm, type, checksums) : undefined;
}
