/**
 * CopyObject (docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html). Inside a bucket a simple object's copy shares the
 * content: one more reference and a new proof, no bytes are moved. Across buckets, and from multipart objects, the bytes are
 * read and sealed again under a key of the target; the copy of a multipart object is a simple one.
 *
 * A copy's ETag is of the kind that the target's bucket has chosen (etags.ts):
 *
 *   target    source's ETag   the copy's ETag
 *   MD5       MD5             the same: the content is shared inside a bucket; across buckets it comes out the same
 *   MD5       of parts        the MD5 of the bytes, as at AWS; they are read
 *   MD5       opaque          the MD5 of the bytes; they are read even inside a bucket, whose setting has changed since then
 *   opaque    any             a new opaque one, also where the content is shared, and no MD5 is computed
 */
import { HoldfastError } from '../base/errors.ts';
import { keys } from '../metadata/keys.ts';
import {
  type ChecksumAlgorithm,
  encodeRecord,
  type ObjectAttributes,
  type VersionRecord,
} from '../metadata/records.ts';
import { checksumOf, digestName } from './checksums.ts';
import { checkReadConditions } from './conditions.ts';
import { peekContent } from './contents.ts';
import type { ObjectsContext } from './context.ts';
import { etagKindOf, isMd5Etag, opaqueEtag } from './etags.ts';
import { encodeKey } from './names.ts';
import { checkBeforeBody, commitBody, SINGLE_BODY_BYTES_MAX, simpleVersion } from './put.ts';
import type { ByteRange } from './ranges.ts';
import { type FoundVersion, type HeldVersion, holdVersion } from './resolve.ts';
import { type SwapTarget, swapVersion } from './swap.ts';
import type { CopyRequest, CopyResult, CopySource, EtagKind, IncomingBody } from './types.ts';

/** A source that changes under every attempt to share its content is copied by its bytes. */
const SHARE_ATTEMPTS_MAX = 3;

export async function copyObject(context: ObjectsContext, request: CopyRequest): Promise<CopyResult> {
  const name = encodeKey(request.key);
  const { record } = await context.buckets.find(request.bucket);
  const etags = etagKindOf(record);
  for (let attempt = 1; ; attempt++) {
    const held = await holdSource(context, request.source);
    try {
      refuseIdleCopy(request, held.found);
      const target = {
        bucket: request.bucket,
        bucketId: record.bucketId,
        name,
        conditions: request.conditions,
      };
      if (attempt <= SHARE_ATTEMPTS_MAX && canShare(request, held.found, record.bucketId, etags)) {
        const etag = etags === 'opaque' ? opaqueEtag(context.random) : held.found.version.etag;
        const version = await shareContent(context, request, target, held.found, etag);
        if (version !== undefined) return describeCopy(version);
      } else {
        return describeCopy(await copyBytes(context, request, target, held, etags));
      }
    } finally {
      held.end();
    }
  }
}

/** @throws NoSuchKey, NoSuchBucket, PreconditionFailed */
export async function holdSource(context: ObjectsContext, source: CopySource): Promise<HeldVersion> {
  const held = await holdVersion(context, source.bucket, source.key);
  try {
    checkReadConditions(source.conditions, held.found.version, 'PreconditionFailed');
    held.started();
    return held;
  } catch (error) {
    held.end();
    throw error;
  }
}

function refuseIdleCopy(request: CopyRequest, source: FoundVersion): void {
  if (source.version.sizeBytes > SINGLE_BODY_BYTES_MAX) {
    throw new HoldfastError('InvalidRequest', {
      detail: `The specified copy source is larger than the maximum allowable size for a copy source: ${SINGLE_BODY_BYTES_MAX}`,
    });
  }
  const isSelf = request.bucket === request.source.bucket && request.key === request.source.key;
  const changesNothing =
    request.replaceMetadata === undefined &&
    request.replaceTags === undefined &&
    (request.storageClass ?? source.version.storageClass) === source.version.storageClass &&
    (request.checksumAlgorithm ?? source.version.checksum?.algorithm) === source.version.checksum?.algorithm;
  if (isSelf && changesNothing) {
    throw new HoldfastError('InvalidRequest', {
      detail:
        "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    });
  }
}

function canShare(
  request: CopyRequest,
  source: FoundVersion,
  targetBucketId: Buffer,
  etags: EtagKind,
): boolean {
  const { version, bucketId } = source;
  const { checksumAlgorithm } = request;
  const checksumFits = checksumAlgorithm === undefined || version.checksum?.algorithm === checksumAlgorithm;
  const etagFits = etags === 'opaque' || isMd5Etag(version.etag);
  return bucketId.equals(targetBucketId) && version.partCount === undefined && checksumFits && etagFits;
}

/** S3 gives a copy the default storage class unless told otherwise, and a redirect is never copied. */
function attributesOf(request: CopyRequest, source: VersionRecord): ObjectAttributes {
  const { websiteRedirectLocation: _, ...headers } = source.headers;
  return {
    headers: request.replaceMetadata?.headers ?? headers,
    metadata: request.replaceMetadata?.metadata ?? source.metadata,
    tags: request.replaceTags ?? source.tags,
    storageClass: request.storageClass ?? 'STANDARD',
  };
}

function describeCopy({ etag, modifiedMs, checksum }: VersionRecord): CopyResult {
  return { etag, modifiedMs, checksum };
}

/** Undefined when the source was replaced meanwhile. */
async function shareContent(
  context: ObjectsContext,
  request: CopyRequest,
  target: SwapTarget,
  source: FoundVersion,
  etag: string,
): Promise<VersionRecord | undefined> {
  const { contentId, sizeBytes, checksum } = source.version;
  return swapVersion(context, { ...target, keepsContent: contentId }, async (swap) => {
    const bytes = await context.committer.peek(source.objectKey);
    if (!bytes?.equals(source.bytes)) {
      swap.cancel();
      return undefined;
    }
    if (!swap.objectKey.equals(source.objectKey)) swap.change.expect(source.objectKey, bytes);
    let content: { readonly contentId: Buffer; readonly wrap: Buffer } | undefined;
    if (contentId !== undefined) {
      const peeked = await peekContent(context.committer, contentId);
      content = { contentId, wrap: peeked.record.wrap };
      if (!swap.current?.contentId?.equals(contentId)) {
        const shared = { ...peeked.record, references: peeked.record.references + 1 };
        swap.change.expect(keys.content(contentId, 0), peeked.bytes);
        swap.change.put(keys.content(contentId, 0), encodeRecord(shared));
      }
    }
    const version = simpleVersion(context, swap, attributesOf(request, source.version), {
      sizeBytes,
      etag,
      checksum,
      content,
    });
    swap.putVersion(version);
    return version;
  });
}

async function copyBytes(
  context: ObjectsContext,
  request: CopyRequest,
  target: SwapTarget,
  held: HeldVersion,
  etags: EtagKind,
): Promise<VersionRecord> {
  const { version } = held.found;
  const bucket = await context.buckets.find(request.bucket);
  const existedBefore = await checkBeforeBody(context, bucket, target.name, request.conditions);
  const body = await bodyOfVersion(
    context,
    held.found,
    { firstByte: 0, lengthBytes: version.sizeBytes },
    request.checksumAlgorithm ?? version.checksum?.algorithm,
  );
  const accepted = await context.ingest.accept(body, {
    bucketId: bucket.record.bucketId,
    etags,
    sizeBytesMax: SINGLE_BODY_BYTES_MAX,
    emptyNeedsContent: false,
  });
  const attributes = attributesOf(request, version);
  return (await commitBody(context, { ...target, existedBefore }, accepted, () => attributes)).version;
}

/** A stored version's bytes as a body to store again. The version must be held while it is read. */
export async function bodyOfVersion(
  context: ObjectsContext,
  source: FoundVersion,
  range: ByteRange,
  algorithm: ChecksumAlgorithm | undefined,
): Promise<IncomingBody> {
  const index = await context.partIndexes.of(source);
  const { signal } = new AbortController();
  return {
    lengthBytes: range.lengthBytes,
    algorithms: algorithm === undefined ? [] : [digestName(algorithm)],
    verify: (digests) => (algorithm === undefined ? undefined : checksumOf(algorithm, digests)),
    signal,
    [Symbol.asyncIterator]: () => context.versions.read(index, range, signal),
  };
}
