/**
 * Multipart uploads: create, describe, abort, list parts (S3 API reference: CreateMultipartUpload, AbortMultipartUpload,
 * ListParts), and the end of those that nobody touches any more. Parts lie under the upload's id; what an upload leaves behind
 * is garbage that is released in steps.
 */
import { HoldfastError, hasCode } from '../base/errors.ts';
import { DAY_MS } from '../base/units.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys, prefixes, prefixRange } from '../metadata/keys.ts';
import {
  decodeRecord,
  encodeRecord,
  type PartRecord,
  RECORD_FORMAT,
  type UploadRecord,
} from '../metadata/records.ts';
import { Change } from './change.ts';
import { type ChecksumType, defaultChecksumType, requirePossibleType } from './checksums.ts';
import type { FoundBucket, ObjectsContext } from './context.ts';
import { bucketUploadsKey } from './counters.ts';
import { encodeKey, formatUploadId, parseUploadId } from './names.ts';
import { putGarbage } from './swap.ts';
import type { ListPartsResult, PartInfo, UploadPointer, UploadRequest } from './types.ts';

export const PART_NUMBER_MAX = 10_000;
/** design/commits.md: uploads without activity for so long are aborted. */
export const UPLOAD_IDLE_MS_MAX = 7 * DAY_MS;
const TIME_BYTES = 6;
const RANDOM_BYTES = 10;
const ATTEMPTS_MAX = 20;
const SCAN_PAGE = 256;

export interface FoundUpload {
  readonly bucket: FoundBucket;
  readonly name: Buffer;
  readonly uploadId: Buffer;
  readonly key: Buffer;
  readonly bytes: Buffer;
  readonly record: UploadRecord;
}

/** The time comes first, so that the uploads of one key are listed in the order they began. */
function newUploadId(context: ObjectsContext): Buffer {
  const time = Buffer.alloc(TIME_BYTES);
  time.writeUIntBE(context.clock.nowMs(), 0, TIME_BYTES);
  return Buffer.concat([time, context.random.bytes(RANDOM_BYTES)]);
}

export async function createUpload(context: ObjectsContext, request: UploadRequest): Promise<string> {
  const name = encodeKey(request.key);
  const { checksumAlgorithm } = request;
  const checksumType = checksumAlgorithm && (request.checksumType ?? defaultChecksumType(checksumAlgorithm));
  if (checksumAlgorithm !== undefined && checksumType !== undefined) {
    requirePossibleType(checksumAlgorithm, checksumType);
  }
  const { headers, metadata, tags, storageClass } = request;
  const record: UploadRecord = {
    v: RECORD_FORMAT,
    headers,
    metadata,
    tags,
    storageClass,
    initiatedMs: context.clock.nowMs(),
    ...(checksumAlgorithm && { checksumAlgorithm }),
    ...(checksumType && { checksumType }),
  };
  const uploadId = newUploadId(context);
  for (let attempt = 1; ; attempt++) {
    const bucket = await context.buckets.find(request.bucket);
    const change = new Change();
    change.require(bucket.precondition);
    change.put(keys.upload(bucket.record.bucketId, name, uploadId), encodeRecord(record));
    change.add(bucketUploadsKey(bucket.record.bucketId), 1);
    try {
      await change.commit(context.committer);
      return formatUploadId(uploadId);
    } catch (error) {
      if (!hasCode(error, 'CommitConflict') || attempt >= ATTEMPTS_MAX) throw error;
    }
  }
}

export function noSuchUpload(pointer: UploadPointer): HoldfastError {
  return new HoldfastError('NoSuchUpload', { fields: { UploadId: pointer.uploadId } });
}

/** `read`: the engine's get for answers, the committer's peek for commits. @throws NoSuchUpload, NoSuchBucket */
export async function findUpload(
  context: ObjectsContext,
  pointer: UploadPointer,
  read: (key: Uint8Array) => Promise<Buffer | undefined> = (key) => context.engine.get(key),
): Promise<FoundUpload> {
  const bucket = await context.buckets.find(pointer.bucket);
  const name = encodeKey(pointer.key);
  const uploadId = parseUploadId(pointer.uploadId);
  if (uploadId === undefined) throw noSuchUpload(pointer);
  const key = keys.upload(bucket.record.bucketId, name, uploadId);
  const bytes = await read(key);
  if (bytes === undefined) throw noSuchUpload(pointer);
  return { bucket, name, uploadId, key, bytes, record: decodeRecord<UploadRecord>(bytes) };
}

export async function describeUpload(
  context: ObjectsContext,
  pointer: UploadPointer,
): Promise<Pick<ListPartsResult, 'checksumAlgorithm' | 'checksumType'>> {
  const { record } = await findUpload(context, pointer);
  return { checksumAlgorithm: record.checksumAlgorithm, checksumType: record.checksumType };
}

/** The type of checksum that the object will get. */
export function checksumTypeOf(record: UploadRecord): ChecksumType | undefined {
  return record.checksumType ?? (record.checksumAlgorithm && defaultChecksumType(record.checksumAlgorithm));
}

/** @throws NoSuchUpload */
export async function abortUpload(context: ObjectsContext, pointer: UploadPointer): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const upload = await findUpload(context, pointer, (key) => context.committer.peek(key));
    try {
      await dropUpload(context, upload, upload.bucket.record.bucketId);
      return;
    } catch (error) {
      if (!hasCode(error, 'CommitConflict') || attempt >= ATTEMPTS_MAX) throw error;
    }
  }
}

async function dropUpload(
  context: ObjectsContext,
  upload: Pick<FoundUpload, 'key' | 'bytes' | 'uploadId'>,
  bucketId: Buffer,
): Promise<void> {
  const change = new Change();
  change.expect(upload.key, upload.bytes);
  change.delete(upload.key);
  change.add(bucketUploadsKey(bucketId), -1);
  putGarbage(context, change, 'upload', upload.uploadId);
  await change.commit(context.committer);
  context.garbage.kick();
}

/** Aborts uploads whose last activity, a part or the creation, is more than seven days before `nowMs`. Returns how many. */
export async function abortIdleUploads(
  context: ObjectsContext,
  nowMs: number,
  idleMsMax = UPLOAD_IDLE_MS_MAX,
): Promise<number> {
  let aborted = 0;
  const cursor = context.engine.cursor(prefixRange(prefixes.allUploads()));
  try {
    for (let page = await cursor.next(SCAN_PAGE); page.length > 0; page = await cursor.next(SCAN_PAGE)) {
      for (const [key, bytes] of page) {
        const { initiatedMs } = decodeRecord<UploadRecord>(bytes);
        if (nowMs - initiatedMs <= idleMsMax) continue;
        const uploadId = Buffer.from(key.subarray(key.length - TIME_BYTES - RANDOM_BYTES));
        if (nowMs - (await lastPartMs(context.engine, uploadId)) <= idleMsMax) continue;
        try {
          await dropUpload(context, { key, bytes, uploadId }, Buffer.from(key.subarray(1, 17)));
          aborted += 1;
        } catch (error) {
          // Completed or aborted in this very moment.
          if (!hasCode(error, 'CommitConflict')) throw error;
        }
      }
    }
  } finally {
    await cursor.close();
  }
  return aborted;
}

async function lastPartMs(engine: MetadataEngine, uploadId: Buffer): Promise<number> {
  let lastMs = 0;
  for await (const { record } of partsOf(engine, uploadId, 0)) lastMs = Math.max(lastMs, record.modifiedMs);
  return lastMs;
}

export interface StoredPart {
  readonly partNumber: number;
  readonly bytes: Buffer;
  readonly record: PartRecord;
}

/** Parts with numbers above `afterPartNumber`, ascending. */
export async function* partsOf(
  engine: MetadataEngine,
  uploadId: Buffer,
  afterPartNumber: number,
): AsyncGenerator<StoredPart, void, void> {
  if (afterPartNumber >= PART_NUMBER_MAX) return;
  const range = { ...prefixRange(prefixes.parts(uploadId)), from: keys.part(uploadId, afterPartNumber + 1) };
  const cursor = engine.cursor(range);
  try {
    for (let page = await cursor.next(SCAN_PAGE); page.length > 0; page = await cursor.next(SCAN_PAGE)) {
      for (const [key, bytes] of page) {
        yield {
          partNumber: key.readUInt16BE(key.length - 2),
          bytes,
          record: decodeRecord<PartRecord>(bytes),
        };
      }
    }
  } finally {
    await cursor.close();
  }
}

export async function listParts(
  context: ObjectsContext,
  pointer: UploadPointer,
  afterPartNumber: number,
  maxParts: number,
): Promise<ListPartsResult> {
  const { uploadId, record } = await findUpload(context, pointer);
  const parts: PartInfo[] = [];
  let truncated = false;
  for await (const part of partsOf(context.engine, uploadId, afterPartNumber)) {
    if (parts.length === maxParts) {
      truncated = true;
      break;
    }
    const { sizeBytes, etag, modifiedMs, checksum } = part.record;
    parts.push({ partNumber: part.partNumber, sizeBytes, etag, modifiedMs, checksum });
  }
  return {
    parts,
    truncated,
    nextPartNumberMarker: parts.at(-1)?.partNumber ?? 0,
    storageClass: record.storageClass,
    initiatedMs: record.initiatedMs,
    checksumAlgorithm: record.checksumAlgorithm,
    checksumType: record.checksumType,
  };
}
