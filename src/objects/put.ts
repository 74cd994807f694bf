/** PutObject (docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html). */
import { GIB } from '../base/units.ts';
import { keys } from '../metadata/keys.ts';
import {
  type ContentRecord,
  decodeRecord,
  type ObjectAttributes,
  RECORD_FORMAT,
  type VersionRecord,
} from '../metadata/records.ts';
import { checkWriteConditions, isConditional } from './conditions.ts';
import { putContent } from './contents.ts';
import type { FoundBucket, ObjectsContext } from './context.ts';
import { etagKindOf } from './etags.ts';
import type { AcceptedBody, StoredBody } from './ingest.ts';
import { encodeKey } from './names.ts';
import { type Swap, type SwapTarget, swapVersion } from './swap.ts';
import type { PutRequest, PutResult, WriteConditions } from './types.ts';

/** AWS's bound for one PUT, one part and one copy. */
export const SINGLE_BODY_BYTES_MAX = 5 * GIB;

export async function putObject(context: ObjectsContext, request: PutRequest): Promise<PutResult> {
  const name = encodeKey(request.key);
  const bucket = await context.buckets.find(request.bucket);
  const { bucketId } = bucket.record;
  const etags = etagKindOf(bucket.record);
  const existedBefore = await checkBeforeBody(context, bucket, name, request.conditions);
  const accepted = await context.ingest.accept(request.body, {
    bucketId,
    etags,
    sizeBytesMax: SINGLE_BODY_BYTES_MAX,
    emptyNeedsContent: false,
  });
  const target = { bucket: request.bucket, bucketId, name, conditions: request.conditions, existedBefore };
  const { version } = await commitBody(context, target, accepted, () => request);
  return { etag: version.etag, checksum: version.checksum, sizeBytes: version.sizeBytes };
}

/** A request whose condition fails already is answered before its body is read. Returns whether the key is there. */
export async function checkBeforeBody(
  context: ObjectsContext,
  bucket: FoundBucket,
  name: Buffer,
  conditions: WriteConditions | undefined,
): Promise<boolean> {
  if (!isConditional(conditions)) return false;
  const bytes = await context.engine.get(keys.object(bucket.record.bucketId, name));
  const current = bytes === undefined ? undefined : decodeRecord<VersionRecord>(bytes);
  checkWriteConditions(conditions, current, false);
  return current !== undefined;
}

/**
 * Makes a stored body the current version. For a small body the plan is made while its stripe is being written, so that
 * all commits of one packed stripe go off in the same instant.
 */
export async function commitBody(
  context: ObjectsContext,
  target: SwapTarget,
  accepted: AcceptedBody,
  attributes: () => ObjectAttributes,
): Promise<{ readonly version: VersionRecord }> {
  // The plan may fail first; a failure of the write is then of no interest.
  accepted.written.catch(() => {});
  let committed = false;
  try {
    const version = await swapVersion(context, target, async (swap) => {
      const body = await accepted.written;
      const attached = body.hold.attach(swap.change, context.committer);
      if (attached !== undefined) await attached;
      return putBody(context, swap, body, attributes());
    });
    committed = true;
    return { version };
  } finally {
    accepted.written.then(
      (body) => body.hold.end(committed),
      () => {},
    );
  }
}

function putBody(
  context: ObjectsContext,
  swap: Swap,
  body: StoredBody,
  attributes: ObjectAttributes,
): VersionRecord {
  const { content, checksum } = body;
  if (content !== undefined) {
    putContent(swap.change, content);
    swap.epochs.push(content.key.current);
  }
  const version = simpleVersion(context, swap, attributes, {
    sizeBytes: body.sizeBytes,
    etag: body.etag,
    checksum,
    content: content && { contentId: content.key.contentId, wrap: content.key.wrap },
  });
  swap.putVersion(version);
  return version;
}

/** The record of a simple version, with the proof of what it consists of. */
export function simpleVersion(
  context: ObjectsContext,
  swap: Swap,
  attributes: ObjectAttributes,
  facts: {
    readonly sizeBytes: number;
    readonly etag: string;
    readonly checksum: VersionRecord['checksum'] | undefined;
    readonly content: ({ readonly contentId: Buffer } & Pick<ContentRecord, 'wrap'>) | undefined;
  },
): VersionRecord {
  const { sizeBytes, etag, checksum, content } = facts;
  const contents = content === undefined ? [] : [content];
  const sealed = context.contentKeys.sealVersion(swap.bucket.record.bucketId, swap.name, contents);
  swap.epochs.push(sealed.current);
  const { headers, metadata, tags, storageClass } = attributes;
  return {
    v: RECORD_FORMAT,
    versionId: sealed.versionId,
    modifiedMs: context.clock.nowMs(),
    sizeBytes,
    etag,
    ...(checksum !== undefined && { checksum }),
    ...(content !== undefined && { contentId: content.contentId }),
    epochId: sealed.epochId,
    authenticator: sealed.authenticator,
    headers,
    metadata,
    tags,
    storageClass,
  };
}
