/**
 * The one way in which the current version of a key changes: look at what a commit would find, check conditions, plan the
 * release of what goes, add what comes, commit; again from the start when somebody else was faster. A release that a reader
 * stands in the way of, or that is too large for one commit, waits as garbage.
 */
import { HoldfastError, hasCode } from '../base/errors.ts';
import type { CurrentEpoch } from '../crypto/keyring.ts';
import { keys } from '../metadata/keys.ts';
import {
  decodeRecord,
  encodeRecord,
  type GarbageRecord,
  RECORD_FORMAT,
  type VersionRecord,
} from '../metadata/records.ts';
import { Change } from './change.ts';
import { checkWriteConditions, isConditional } from './conditions.ts';
import type { FoundBucket, ObjectsContext } from './context.ts';
import { bucketBytesKey, bucketObjectsKey, totalBytesKey, totalObjectsKey } from './counters.ts';
import type { WriteConditions } from './types.ts';

/** Losing this often in a row takes writers in other processes, or a content that is copied without pause. */
const ATTEMPTS_MAX = 50;

export interface SwapTarget {
  readonly bucket: string;
  /** UTF-8. */
  readonly name: Buffer;
  readonly conditions: WriteConditions | undefined;
  /** An earlier check of this request saw the key. */
  readonly existedBefore?: boolean;
  /** The bucket that the request began with: a new one of the same name is another. */
  readonly bucketId?: Buffer;
  /** The data stays: only the record is replaced. */
  readonly keepsData?: boolean;
  /** What comes points to this content: if the current version does too, its reference is handed on. */
  readonly keepsContent?: Buffer | undefined;
}

export class Swap {
  readonly bucket: FoundBucket;
  readonly name: Buffer;
  readonly objectKey: Buffer;
  readonly change: Change;
  readonly current: VersionRecord | undefined;
  /** Epochs that the commit makes durable. */
  readonly epochs: CurrentEpoch[] = [];
  #cancelled = false;
  #deletes = false;

  constructor(bucket: FoundBucket, name: Buffer, change: Change, current: VersionRecord | undefined) {
    this.bucket = bucket;
    this.name = name;
    this.objectKey = keys.object(bucket.record.bucketId, name);
    this.change = change;
    this.current = current;
  }

  putVersion(version: VersionRecord): void {
    this.change.put(this.objectKey, encodeRecord(version));
    this.#count(1, version.sizeBytes);
  }

  /** The key is gone after this commit. */
  deleteVersion(): void {
    this.change.delete(this.objectKey);
    this.#deletes = true;
  }

  get isDeletion(): boolean {
    return this.#deletes;
  }

  /** The current version is gone after this commit, whatever comes instead. */
  countRemoval(version: VersionRecord): void {
    this.#count(-1, -version.sizeBytes);
  }

  /** Nothing is to be committed after all. */
  cancel(): void {
    this.#cancelled = true;
  }

  get isCancelled(): boolean {
    return this.#cancelled;
  }

  #count(objects: number, bytes: number): void {
    const { bucketId } = this.bucket.record;
    this.change.add(totalObjectsKey, objects);
    this.change.add(bucketObjectsKey(bucketId), objects);
    this.change.add(totalBytesKey, bytes);
    this.change.add(bucketBytesKey(bucketId), bytes);
  }
}

/**
 * `build` adds what comes and returns the answer; it is called again for every attempt. A change that stays empty is not
 * committed.
 * @throws NoSuchBucket, the conditions' errors, and what `build` throws
 */
export async function swapVersion<T>(
  context: ObjectsContext,
  target: SwapTarget,
  build: (swap: Swap) => Promise<T> | T,
): Promise<T> {
  const first = await findBucket(context, target.bucket, target.bucketId);
  const { bucketId } = first.record;
  const objectKey = keys.object(bucketId, target.name);
  const unlock = await context.locks.acquire(objectKey);
  try {
    let existed = target.existedBefore ?? false;
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const bucket = attempt === 1 ? first : await findBucket(context, target.bucket, bucketId);
      try {
        const planned = await planSwap(context, bucket, target, existed);
        existed ||= planned.swap.current !== undefined;
        const result = await build(planned.swap);
        if (planned.swap.isCancelled) return result;
        // Somebody began to read what was to be released at once: plan again, and it will wait.
        if (planned.releasesNow && isHeld(context, planned.swap)) continue;
        await commitSwap(context, planned);
        return result;
      } catch (error) {
        if (!hasCode(error, 'CommitConflict')) throw error;
      }
    }
    throw new HoldfastError(isConditional(target.conditions) ? 'ConditionalRequestConflict' : 'SlowDown', {
      detail: 'Too many writers of this key. Try again.',
    });
  } finally {
    unlock();
  }
}

export async function findBucket(
  context: ObjectsContext,
  name: string,
  bucketId: Buffer | undefined,
): Promise<FoundBucket> {
  const found = await context.buckets.find(name);
  if (bucketId !== undefined && !found.record.bucketId.equals(bucketId)) {
    throw new HoldfastError('NoSuchBucket', { fields: { BucketName: name } });
  }
  return found;
}

interface PlannedSwap {
  readonly swap: Swap;
  readonly releasesNow: boolean;
  readonly leavesGarbage: boolean;
}

async function planSwap(
  context: ObjectsContext,
  bucket: FoundBucket,
  target: SwapTarget,
  existedBefore: boolean,
): Promise<PlannedSwap> {
  const objectKey = keys.object(bucket.record.bucketId, target.name);
  const bytes = await context.committer.peek(objectKey);
  const current = bytes === undefined ? undefined : decodeRecord<VersionRecord>(bytes);
  checkWriteConditions(target.conditions, current, existedBefore);
  const change = new Change();
  change.require(bucket.precondition);
  change.expect(objectKey, bytes);
  const swap = new Swap(bucket, target.name, change, current);
  if (current === undefined) return { swap, releasesNow: false, leavesGarbage: false };
  swap.countRemoval(current);
  const handsOn = target.keepsContent !== undefined && current.contentId?.equals(target.keepsContent);
  if (target.keepsData || handsOn) return { swap, releasesNow: false, leavesGarbage: false };
  return { swap, ...(await planRelease(context, swap, current)) };
}

async function planRelease(
  context: ObjectsContext,
  swap: Swap,
  version: VersionRecord,
): Promise<{ readonly releasesNow: boolean; readonly leavesGarbage: boolean }> {
  if (version.partCount !== undefined) {
    putGarbage(context, swap.change, 'version', version.versionId);
    return { releasesNow: false, leavesGarbage: true };
  }
  if (version.contentId === undefined) return { releasesNow: false, leavesGarbage: false };
  if (!isHeld(context, swap)) {
    const release = context.space.plan(swap.change);
    if (await release.content(version.contentId)) {
      await release.finish();
      return { releasesNow: true, leavesGarbage: false };
    }
  }
  putGarbage(context, swap.change, 'content', version.contentId);
  return { releasesNow: false, leavesGarbage: true };
}

export function putGarbage(
  context: ObjectsContext,
  change: Change,
  kind: GarbageRecord['kind'],
  id: Buffer,
): Buffer {
  const key = keys.garbage(context.random.bytes(16));
  const garbage: GarbageRecord = { v: RECORD_FORMAT, kind, id };
  change.put(key, encodeRecord(garbage));
  return key;
}

function isHeld(context: ObjectsContext, swap: Swap): boolean {
  const contentId = swap.current?.contentId;
  return (
    context.readers.isHeld(swap.objectKey) || (contentId !== undefined && context.readers.isHeld(contentId))
  );
}

async function commitSwap(context: ObjectsContext, planned: PlannedSwap): Promise<void> {
  const { swap, releasesNow, leavesGarbage } = planned;
  if (swap.change.isEmpty) return;
  context.contentKeys.putEpochs(swap.change, swap.epochs);
  const ended = releasesNow ? context.readers.beginRelease(swap.objectKey) : undefined;
  let emptied: readonly Buffer[];
  try {
    emptied = await swap.change.commit(context.committer);
  } finally {
    ended?.();
  }
  context.contentKeys.epochsDurable(swap.epochs);
  if (swap.isDeletion) context.deletedKeys.deleted(swap.bucket.record.bucketId, swap.objectKey);
  if (emptied.length > 0) context.background.run(() => context.space.bury(emptied));
  if (leavesGarbage) context.garbage.kick();
}
