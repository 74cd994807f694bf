/**
 * UploadPart and UploadPartCopy. Every part is a content of its own under its own key. A part that is uploaded again replaces
 * the earlier one, whose content is released in the same commit.
 */
import { HoldfastError, hasCode } from '../base/errors.ts';
import { keys } from '../metadata/keys.ts';
import { decodeRecord, encodeRecord, type PartRecord, RECORD_FORMAT } from '../metadata/records.ts';
import { Change } from './change.ts';
import { putContent } from './contents.ts';
import type { ObjectsContext } from './context.ts';
import { bodyOfVersion, holdSource } from './copy.ts';
import { etagKindOf } from './etags.ts';
import type { AcceptedBody, StoredBody } from './ingest.ts';
import { SINGLE_BODY_BYTES_MAX } from './put.ts';
import { type ByteRange, formatRange, resolveRange } from './ranges.ts';
import { putGarbage } from './swap.ts';
import type {
  CopyResult,
  CopySource,
  IncomingBody,
  PutResult,
  RangeRequest,
  UploadPointer,
} from './types.ts';
import { type FoundUpload, findUpload, noSuchUpload, PART_NUMBER_MAX } from './uploads.ts';

const ATTEMPTS_MAX = 50;

export function requirePartNumber(partNumber: number): void {
  if (Number.isInteger(partNumber) && partNumber >= 1 && partNumber <= PART_NUMBER_MAX) return;
  throw new HoldfastError('InvalidArgument', {
    detail: `Part number must be an integer between 1 and ${PART_NUMBER_MAX}, inclusive`,
    fields: { ArgumentName: 'partNumber', ArgumentValue: String(partNumber) },
  });
}

export async function uploadPart(
  context: ObjectsContext,
  pointer: UploadPointer,
  partNumber: number,
  body: IncomingBody,
): Promise<PutResult> {
  requirePartNumber(partNumber);
  const upload = await findUpload(context, pointer);
  const { sizeBytes, etag, checksum } = await storePart(context, pointer, upload, partNumber, body);
  return { sizeBytes, etag, checksum };
}

export async function uploadPartCopy(
  context: ObjectsContext,
  pointer: UploadPointer,
  partNumber: number,
  source: CopySource,
  range?: RangeRequest,
): Promise<CopyResult> {
  requirePartNumber(partNumber);
  const upload = await findUpload(context, pointer);
  const held = await holdSource(context, source);
  try {
    const bytes = copiedRange(range, held.found.version.sizeBytes);
    const body = await bodyOfVersion(context, held.found, bytes, upload.record.checksumAlgorithm);
    const { etag, modifiedMs, checksum } = await storePart(context, pointer, upload, partNumber, body);
    return { etag, modifiedMs, checksum };
  } finally {
    held.end();
  }
}

/** A range of a copy must lie inside the source as it is; nothing is cut. */
function copiedRange(range: RangeRequest | undefined, sizeBytes: number): ByteRange {
  const whole = { firstByte: 0, lengthBytes: sizeBytes };
  const asked = range === undefined ? whole : insideRange(range, sizeBytes);
  if (asked.lengthBytes > SINGLE_BODY_BYTES_MAX) {
    throw new HoldfastError('InvalidRequest', {
      detail: `The specified copy source is larger than the maximum allowable size for a copy source: ${SINGLE_BODY_BYTES_MAX}`,
    });
  }
  return asked;
}

function insideRange(range: RangeRequest, sizeBytes: number): ByteRange {
  const isInside = 'lastByte' in range && range.lastByte !== undefined && range.lastByte < sizeBytes;
  if (isInside) return resolveRange(range, sizeBytes);
  throw new HoldfastError('InvalidArgument', {
    detail: `Range specified is not valid for source object of size: ${sizeBytes}`,
    fields: { ArgumentName: 'x-amz-copy-source-range', ArgumentValue: formatRange(range) },
  });
}

type PartFacts = PutResult & { readonly modifiedMs: number };

async function storePart(
  context: ObjectsContext,
  pointer: UploadPointer,
  upload: FoundUpload,
  partNumber: number,
  body: IncomingBody,
): Promise<PartFacts> {
  const accepted = await context.ingest.accept(body, {
    bucketId: upload.bucket.record.bucketId,
    etags: etagKindOf(upload.bucket.record),
    sizeBytesMax: SINGLE_BODY_BYTES_MAX,
    emptyNeedsContent: true,
  });
  const unlock = await context.locks.acquire(keys.part(upload.uploadId, partNumber));
  let committed = false;
  try {
    const facts = await commitPart(context, pointer, upload, partNumber, accepted);
    committed = true;
    return facts;
  } finally {
    unlock();
    accepted.written.then(
      (stored) => stored.hold.end(committed),
      () => {},
    );
  }
}

async function commitPart(
  context: ObjectsContext,
  pointer: UploadPointer,
  upload: FoundUpload,
  partNumber: number,
  accepted: AcceptedBody,
): Promise<PartFacts> {
  accepted.written.catch(() => {});
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    try {
      const { change, leavesGarbage } = await planPart(context, pointer, upload, partNumber);
      const stored = await accepted.written;
      const attached = stored.hold.attach(change, context.committer);
      if (attached !== undefined) await attached;
      const part = putPart(context, change, upload, partNumber, stored);
      const epochs = stored.content === undefined ? [] : [stored.content.key.current];
      context.contentKeys.putEpochs(change, epochs);
      const emptied = await change.commit(context.committer);
      context.contentKeys.epochsDurable(epochs);
      if (emptied.length > 0) context.background.run(() => context.space.bury(emptied));
      if (leavesGarbage) context.garbage.kick();
      const { sizeBytes, etag, modifiedMs, checksum } = part;
      return { sizeBytes, etag, modifiedMs, checksum };
    } catch (error) {
      if (!hasCode(error, 'CommitConflict')) throw error;
    }
  }
  throw new HoldfastError('SlowDown', { detail: 'Too many writers of this part. Try again.' });
}

/** The upload must still be there; an earlier part of this number goes. */
async function planPart(
  context: ObjectsContext,
  pointer: UploadPointer,
  upload: FoundUpload,
  partNumber: number,
): Promise<{ readonly change: Change; readonly leavesGarbage: boolean }> {
  const present = await context.committer.peek(upload.key);
  if (present === undefined) throw noSuchUpload(pointer);
  const change = new Change();
  change.expect(upload.key, present);
  const key = keys.part(upload.uploadId, partNumber);
  const bytes = await context.committer.peek(key);
  change.expect(key, bytes);
  if (bytes === undefined) return { change, leavesGarbage: false };
  const release = context.space.plan(change);
  const { contentId } = decodeRecord<PartRecord>(bytes);
  if (await release.content(contentId)) {
    await release.finish();
    return { change, leavesGarbage: false };
  }
  putGarbage(context, change, 'content', contentId);
  return { change, leavesGarbage: true };
}

function putPart(
  context: ObjectsContext,
  change: Change,
  upload: FoundUpload,
  partNumber: number,
  { content, sizeBytes, etag, checksum }: StoredBody,
): PartRecord {
  if (content === undefined) throw new HoldfastError('InternalError', { detail: 'a part has a content' });
  putContent(change, content);
  const part: PartRecord = {
    v: RECORD_FORMAT,
    contentId: content.key.contentId,
    sizeBytes,
    etag,
    modifiedMs: context.clock.nowMs(),
    ...(checksum !== undefined && { checksum }),
  };
  change.put(keys.part(upload.uploadId, partNumber), encodeRecord(part));
  return part;
}
