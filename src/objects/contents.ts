/**
 * Content records: what a version or part points to (design/commits.md, "Content records, shared stripes and space"). This
 * file writes them and reads their extents; release.ts takes them away.
 */
import { assert } from '../base/assert.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Committer } from '../commitlog/commit.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import {
  type ContentPage,
  type ContentRecord,
  decodeExtents,
  decodeRecord,
  EXTENTS_PER_PAGE_MAX,
  type Extent,
  encodeExtents,
  encodeRecord,
  RECORD_FORMAT,
} from '../metadata/records.ts';
import type { Change } from './change.ts';
import type { FreshContentKey } from './contentkeys.ts';

/** A content whose bytes are on the nodes and whose record is still to be committed. */
export interface NewContent {
  readonly key: FreshContentKey;
  /** Plaintext bytes. */
  readonly sizeBytes: number;
  readonly extents: readonly Extent[];
}

export function pageCount(extentCount: number): number {
  return Math.max(1, Math.ceil(extentCount / EXTENTS_PER_PAGE_MAX));
}

/** Record, pages, ref entries and live bytes of a new content with one reference. Stripe records are the hold's business. */
export function putContent(change: Change, content: NewContent): void {
  const { key, sizeBytes, extents } = content;
  const { contentId } = key;
  const record: ContentRecord = {
    v: RECORD_FORMAT,
    suite: key.suite,
    bucketId: key.bucketId,
    epochId: key.epoch.epochId,
    generation: key.generation,
    sizeBytes,
    header: key.header,
    wrap: key.wrap,
    references: 1,
    extentCount: extents.length,
    extents: encodeExtents(extents.slice(0, EXTENTS_PER_PAGE_MAX)),
  };
  change.put(keys.content(contentId, 0), encodeRecord(record));
  for (let page = 1; page < pageCount(extents.length); page++) {
    const first = page * EXTENTS_PER_PAGE_MAX;
    const value: ContentPage = {
      v: RECORD_FORMAT,
      extents: encodeExtents(extents.slice(first, first + EXTENTS_PER_PAGE_MAX)),
    };
    change.put(keys.content(contentId, page), encodeRecord(value));
  }
  for (const { stripeId, offsetBytes, lengthBytes } of extents) {
    change.put(keys.ref(stripeId, offsetBytes), contentId);
    change.addLive(stripeId, lengthBytes);
  }
}

/** A content's first page as a commit would find it, with the bytes for a precondition. */
export async function peekContent(
  committer: Committer,
  contentId: Buffer,
): Promise<{ readonly bytes: Buffer; readonly record: ContentRecord }> {
  const bytes = await committer.peek(keys.content(contentId, 0));
  if (bytes === undefined) {
    // It went between two looks at the metadata: whoever pointed to it has changed as well.
    throw new HoldfastError('CommitConflict', { detail: 'A content was released meanwhile.' });
  }
  return { bytes, record: decodeRecord<ContentRecord>(bytes) };
}

/** Extents of the pages behind the first. At most a few: a content has at most 5 GiB. */
export async function extentsOf(
  read: (key: Uint8Array) => Promise<Buffer | undefined>,
  contentId: Buffer,
  record: ContentRecord,
): Promise<Extent[]> {
  const extents = decodeExtents(record.extents);
  for (let page = 1; page < pageCount(record.extentCount); page++) {
    const bytes = await read(keys.content(contentId, page));
    if (bytes === undefined) {
      throw new HoldfastError('CommitConflict', { detail: 'A content was released meanwhile.' });
    }
    extents.push(...decodeExtents(decodeRecord<ContentPage>(bytes).extents));
  }
  assert(extents.length === record.extentCount, 'a content has the extents that it counts');
  return extents;
}

/** What readers see. undefined when the content is gone. */
export async function readContent(
  engine: MetadataEngine,
  contentId: Buffer,
): Promise<ContentRecord | undefined> {
  const bytes = await engine.get(keys.content(contentId, 0));
  return bytes === undefined ? undefined : decodeRecord<ContentRecord>(bytes);
}
