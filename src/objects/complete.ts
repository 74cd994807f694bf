/**
 * CompleteMultipartUpload. The version appears, the upload and its named parts disappear in one commit, on condition that each of
 * them is as it was checked; parts that were not named are garbage. A part list of more than one page is written before, in
 * commits of its own, beside a garbage record that removes it if the last commit never happens.
 *
 * Completing again is answered the same as long as the version that it made is the current one: the version's record
 * names the upload.
 */
import { HoldfastError, hasCode } from '../base/errors.ts';
import type { VersionContent } from '../crypto/content.ts';
import { keys } from '../metadata/keys.ts';
import {
  type ContentRecord,
  decodeRecord,
  encodeRecord,
  type PartListPage,
  RECORD_FORMAT,
  type StoredChecksum,
  type VersionRecord,
} from '../metadata/records.ts';
import { Change } from './change.ts';
import { etagOfRequest, objectChecksum, requirePartOrder, selectParts, totalSize } from './completion.ts';
import type { SealedVersion } from './contentkeys.ts';
import type { ObjectsContext } from './context.ts';
import { bucketUploadsKey } from './counters.ts';
import { AUTHENTICATOR_PAGE } from './garbage.ts';
import { encodeKey, parseUploadId } from './names.ts';
import { PARTS_PER_PAGE_MAX } from './partindex.ts';
import { checkBeforeBody } from './put.ts';
import { putGarbage, type Swap, swapVersion } from './swap.ts';
import type { CompleteRequest, PutResult } from './types.ts';
import { type FoundUpload, findUpload, partsOf, type StoredPart } from './uploads.ts';

/** Times that parts may change between their check and the commit. */
const ATTEMPTS_MAX = 10;
/** Content records read at once; one of a 5-GiB part has up to 25 KB. */
const CONTENTS_PER_READ = 64;
/** 250 KB each. */
const PAGES_PER_COMMIT = 2;

interface Plan {
  readonly upload: FoundUpload;
  readonly parts: readonly StoredPart[];
  readonly sealed: SealedVersion;
  readonly checksum: StoredChecksum | undefined;
  readonly etag: string;
}

export async function completeUpload(context: ObjectsContext, request: CompleteRequest): Promise<PutResult> {
  requirePartOrder(request.parts);
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const upload = await findUpload(context, request).catch((error: unknown) => {
      if (hasCode(error, 'NoSuchUpload')) return undefined;
      throw error;
    });
    if (upload === undefined) return await completedBefore(context, request);
    const plan = await planCompletion(context, request, upload).catch(async (error: unknown) => {
      // Completed by another request since the upload was found: then its parts are gone as well.
      const now = await context.committer.peek(upload.key);
      if (now?.equals(upload.bytes)) throw error;
      return undefined;
    });
    const version = plan && (await commitCompletion(context, request, plan));
    if (version !== undefined) {
      return { etag: version.etag, checksum: version.checksum, sizeBytes: version.sizeBytes };
    }
  }
  throw new HoldfastError('OperationAborted', { detail: 'Parts of this upload keep changing. Try again.' });
}

/** @throws NoSuchUpload unless the current version is what this request made before */
async function completedBefore(context: ObjectsContext, request: CompleteRequest): Promise<PutResult> {
  const uploadId = parseUploadId(request.uploadId);
  const { bucketId } = (await context.buckets.find(request.bucket)).record;
  const bytes = await context.engine.get(keys.object(bucketId, encodeKey(request.key)));
  if (bytes !== undefined && uploadId !== undefined) {
    const { uploadId: made, etag, checksum, sizeBytes } = decodeRecord<VersionRecord>(bytes);
    if (made?.equals(uploadId) && etag === etagOfRequest(request.parts)) return { etag, checksum, sizeBytes };
  }
  throw new HoldfastError('NoSuchUpload', { fields: { UploadId: request.uploadId } });
}

/** Undefined when a part was replaced while the plan was made. */
async function planCompletion(
  context: ObjectsContext,
  request: CompleteRequest,
  upload: FoundUpload,
): Promise<Plan | undefined> {
  await checkBeforeBody(context, upload.bucket, upload.name, request.conditions);
  const wanted = new Set(request.parts.map(({ partNumber }) => partNumber));
  const stored = new Map<number, StoredPart>();
  for await (const part of partsOf(context.engine, upload.uploadId, 0)) {
    if (wanted.has(part.partNumber)) stored.set(part.partNumber, part);
  }
  const parts = selectParts(request, stored);
  const checksum = objectChecksum(request, upload.record, parts);
  const contents = await readWraps(context, parts);
  if (contents === undefined) return undefined;
  const sealed = context.contentKeys.sealVersion(upload.bucket.record.bucketId, upload.name, contents);
  return { upload, parts, sealed, checksum, etag: etagOfRequest(request.parts) };
}

async function readWraps(
  context: ObjectsContext,
  parts: readonly StoredPart[],
): Promise<VersionContent[] | undefined> {
  const contents: VersionContent[] = [];
  for (let at = 0; at < parts.length; at += CONTENTS_PER_READ) {
    const ids = parts.slice(at, at + CONTENTS_PER_READ).map(({ record }) => record.contentId);
    const values = await context.engine.getMany(ids.map((id) => keys.content(id, 0)));
    for (const [i, contentId] of ids.entries()) {
      const bytes = values[i];
      if (bytes === undefined) return undefined;
      contents.push({ contentId, wrap: Buffer.from(decodeRecord<ContentRecord>(bytes).wrap) });
    }
  }
  return contents;
}

/** Undefined when upload or parts changed since they were checked. */
async function commitCompletion(
  context: ObjectsContext,
  request: CompleteRequest,
  plan: Plan,
): Promise<VersionRecord | undefined> {
  const { upload, sealed } = plan;
  const pages = partListPages(plan);
  // Whoever collects garbage meanwhile must not take the staged pages for left over.
  const endHold = context.readers.hold(sealed.versionId);
  try {
    const staged = pages.length > PAGES_PER_COMMIT ? await stagePages(context, sealed, pages) : undefined;
    const target = {
      bucket: request.bucket,
      bucketId: upload.bucket.record.bucketId,
      name: upload.name,
      conditions: request.conditions,
    };
    const version = await swapVersion(context, target, async (swap) => {
      if (!(await isUnchanged(context, plan))) {
        swap.cancel();
        return undefined;
      }
      takeUpload(context, swap, plan);
      if (staged === undefined) putPages(swap.change, sealed, pages);
      else swap.change.delete(staged);
      const version = multipartVersion(context, plan);
      swap.epochs.push(sealed.current);
      swap.putVersion(version);
      return version;
    });
    return version;
  } finally {
    endHold();
    context.garbage.kick();
  }
}

interface NumberedPage {
  readonly number: number;
  readonly page: PartListPage;
}

/** The pages of the part list, and the one that holds the authenticator. */
function partListPages({ parts, sealed }: Plan): readonly NumberedPage[] {
  const pages: NumberedPage[] = [];
  for (let at = 0; at < parts.length; at += PARTS_PER_PAGE_MAX) {
    const entries = parts.slice(at, at + PARTS_PER_PAGE_MAX).map(({ partNumber, record }) => {
      const { contentId, sizeBytes, etag, checksum } = record;
      return { partNumber, contentId, sizeBytes, etag, ...(checksum && { checksum }) };
    });
    pages.push({ number: pages.length, page: { v: RECORD_FORMAT, parts: entries } });
  }
  const { authenticator } = sealed;
  return [...pages, { number: AUTHENTICATOR_PAGE, page: { v: RECORD_FORMAT, parts: [], authenticator } }];
}

function putPages(change: Change, { versionId }: SealedVersion, pages: readonly NumberedPage[]): void {
  for (const { number, page } of pages) change.put(keys.partList(versionId, number), encodeRecord(page));
}

/** Returns the key of the garbage record that would remove the pages. */
async function stagePages(
  context: ObjectsContext,
  sealed: SealedVersion,
  pages: readonly NumberedPage[],
): Promise<Buffer> {
  const first = new Change();
  const garbageKey = putGarbage(context, first, 'partlist', sealed.versionId);
  await first.commit(context.committer);
  for (let at = 0; at < pages.length; at += PAGES_PER_COMMIT) {
    const change = new Change();
    putPages(change, sealed, pages.slice(at, at + PAGES_PER_COMMIT));
    await change.commit(context.committer);
  }
  return garbageKey;
}

async function isUnchanged(context: ObjectsContext, { upload, parts }: Plan): Promise<boolean> {
  const present = await context.committer.peek(upload.key);
  if (!present?.equals(upload.bytes)) return false;
  for (const { partNumber, bytes } of parts) {
    const now = await context.committer.peek(keys.part(upload.uploadId, partNumber));
    if (!now?.equals(bytes)) return false;
  }
  return true;
}

function takeUpload(context: ObjectsContext, { change }: Swap, { upload, parts }: Plan): void {
  change.expect(upload.key, upload.bytes);
  change.delete(upload.key);
  change.add(bucketUploadsKey(upload.bucket.record.bucketId), -1);
  for (const { partNumber, bytes } of parts) {
    const key = keys.part(upload.uploadId, partNumber);
    change.expect(key, bytes);
    change.delete(key);
  }
  // Parts that were not named, one that comes this very moment included.
  putGarbage(context, change, 'upload', upload.uploadId);
}

function multipartVersion(context: ObjectsContext, plan: Plan): VersionRecord {
  const { upload, parts, sealed, checksum, etag } = plan;
  const { headers, metadata, tags, storageClass } = upload.record;
  return {
    v: RECORD_FORMAT,
    versionId: sealed.versionId,
    modifiedMs: context.clock.nowMs(),
    sizeBytes: totalSize(parts),
    etag,
    ...(checksum !== undefined && { checksum }),
    partCount: parts.length,
    uploadId: upload.uploadId,
    epochId: sealed.epochId,
    headers,
    metadata,
    tags,
    storageClass,
  };
}
