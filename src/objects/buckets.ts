/**
 * Buckets: create, look up, list, change their settings, delete.
 *
 * Why a deletion never takes an object along. Every commit that puts something into a bucket has the precondition that
 * the bucket's record is byte for byte the one it found (`bucketPrecondition`). A deletion
 *   1. rewrites the record with one more in `deletions`, and waits until that is durable. Slots become durable in order, so
 *      whatever was committed under the old record is visible in the engine by then; whatever comes later under the old
 *      record is refused;
 *   2. looks whether the bucket is empty, in the engine, where therefore nothing is missing;
 *   3. removes the record, on the precondition that it is still the one of step 1.
 * From before step 1 until it is over, `find` hands out no record of this bucket but waits, so no commit can carry the
 * record of step 1 as its precondition. When the bucket turns out not to be empty, or the process dies in between, the
 * record of step 1 just stays: it is a record like any other, and writers that began under the old one look it up again.
 * This needs one process that deletes buckets, as there is one committer.
 *
 * A change of a setting rewrites the record as well. It takes turns with deletions, so none of their steps meets a record
 * that is not its own, and `find` waits for it too: a writer that it sends back to look again would find the old record
 * until the new one is durable, and use up its attempts.
 */
import { mapKey } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { HoldfastError, hasCode } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import type { CommitOperation, Committer, Precondition } from '../commitlog/commit.ts';
import { ID_BYTES } from '../crypto/context.ts';
import { decodeCounter } from '../metadata/counter.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys, prefixes, prefixRange } from '../metadata/keys.ts';
import { type BucketRecord, decodeRecord, encodeRecord, RECORD_FORMAT } from '../metadata/records.ts';
import { checkBucketName } from './bucketnames.ts';
import type { BucketLookup, FoundBucket } from './context.ts';
import { bucketBytesKey, bucketObjectsKey, bucketUploadsKey } from './counters.ts';
import { etagKindOf } from './etags.ts';
import { Lru } from './lru.ts';
import type { BucketInfo, EtagKind } from './types.ts';

/** Listing them is one answer; AWS's default quota is the same. */
export const BUCKETS_MAX = 10_000;
/** Records kept in memory, about 300 bytes each. */
const CACHED_BUCKETS_MAX = 10_000;
const LIST_STEP = 1000;
/** Epoch records removed in one commit. */
const EPOCHS_STEP = 500;
const BUCKETS_COUNTER = keys.counter('buckets');

export interface BucketsOptions {
  readonly engine: MetadataEngine;
  readonly committer: Committer;
  readonly clock: Clock;
  readonly random: Random;
  /** What a bucket gets whose creator does not say; MD5 when absent. */
  readonly newBucketEtags?: EtagKind;
}

/** Holds as long as the bucket is there and nobody has begun to delete it since its record was read as `bytes`. */
export function bucketPrecondition(name: string, bytes: Uint8Array): Precondition {
  return { key: keys.bucket(name), expect: bytes };
}

export class Buckets implements BucketLookup {
  readonly #options: BucketsOptions;
  readonly #cache = new Lru<FoundBucket>(CACHED_BUCKETS_MAX);
  /** Counts changes, so that a read that began before one is not cached after it. */
  #changes = 0;
  /** Deletions and changes of settings under way, one of a bucket at a time; they resolve whatever comes out. */
  readonly #rewrites = new Map<string, Promise<void>>();

  constructor(options: BucketsOptions) {
    this.#options = options;
  }

  /**
   * The bucket as it is on stable storage. Waits while it is being deleted or changed.
   * @throws NoSuchBucket
   */
  async find(name: string): Promise<FoundBucket> {
    for (;;) {
      const cached = this.#cache.get(name);
      if (cached) return cached;
      const changes = this.#changes;
      const bytes = await this.#options.engine.get(keys.bucket(name));
      const rewrite = this.#rewrites.get(name);
      if (rewrite) {
        await rewrite;
        continue;
      }
      if (bytes === undefined) throw new HoldfastError('NoSuchBucket', { fields: { BucketName: name } });
      const found = foundBucket(name, bytes);
      if (changes === this.#changes) this.#cache.set(name, found);
      return found;
    }
  }

  /** @throws InvalidBucketName, BucketAlreadyOwnedByYou, TooManyBuckets */
  async create(name: string, region: string, etags?: EtagKind): Promise<void> {
    checkBucketName(name);
    const { committer, clock, random, newBucketEtags } = this.#options;
    await this.#rewrites.get(name);
    if (decodeCounter(await committer.peek(BUCKETS_COUNTER)) >= BUCKETS_MAX) {
      throw new HoldfastError('TooManyBuckets');
    }
    const record: BucketRecord = {
      v: RECORD_FORMAT,
      bucketId: random.bytes(ID_BYTES),
      createdMs: clock.nowMs(),
      region,
      ...etagsField(etags ?? newBucketEtags ?? 'md5'),
    };
    try {
      await committer.commit(
        [
          { type: 'put', key: keys.bucket(name), value: encodeRecord(record) },
          { type: 'add', key: BUCKETS_COUNTER, delta: 1 },
        ],
        [{ key: keys.bucket(name), expect: undefined }],
      );
    } catch (error) {
      if (!hasCode(error, 'CommitConflict')) throw error;
      throw new HoldfastError('BucketAlreadyOwnedByYou', { fields: { BucketName: name } });
    }
    this.#forget(name);
  }

  /** @throws NoSuchBucket */
  async head(name: string): Promise<BucketInfo> {
    return infoOf(name, (await this.find(name)).record);
  }

  /** By name. */
  async list(): Promise<readonly BucketInfo[]> {
    return (await this.records()).map(({ info }) => info);
  }

  /** By name, with the id under which everything of a bucket is kept. */
  async records(): Promise<readonly { readonly info: BucketInfo; readonly bucketId: Buffer }[]> {
    const buckets: { readonly info: BucketInfo; readonly bucketId: Buffer }[] = [];
    const cursor = this.#options.engine.cursor(rangeOf(prefixes.buckets()));
    try {
      for (;;) {
        const entries = await cursor.next(LIST_STEP);
        if (entries.length === 0) return buckets;
        for (const [key, value] of entries) {
          const record = decodeRecord<BucketRecord>(value);
          buckets.push({ info: infoOf(key.toString('utf8', 1), record), bucketId: record.bucketId });
        }
      }
    } finally {
      await cursor.close();
    }
  }

  /**
   * @throws NoSuchBucket; BucketNotEmpty while objects or uploads are in it, in which case writers are not disturbed
   * unless the first of them came in this very moment.
   */
  async delete(name: string): Promise<void> {
    for (;;) {
      const bucket = await this.find(name);
      await this.#assertEmpty(name, bucket.record.bucketId);
      if (!(await this.#rewrite(name, () => this.#delete(name, bucket)))) continue;
      await this.#dropEpochs(bucket.record.bucketId).catch(leaveToSweep);
      return;
    }
  }

  /**
   * Counts for what is written from now on; what is there keeps its ETags.
   * @throws NoSuchBucket
   */
  async setEtags(name: string, etags: EtagKind): Promise<void> {
    for (;;) {
      const bucket = await this.find(name);
      if (etagKindOf(bucket.record) === etags) return;
      if (await this.#rewrite(name, () => this.#setEtags(name, bucket, etags))) return;
    }
  }

  async #setEtags(name: string, { record, precondition }: FoundBucket, etags: EtagKind): Promise<void> {
    const { etags: _, ...others } = record;
    const value = encodeRecord<BucketRecord>({ ...others, ...etagsField(etags) });
    this.#forget(name);
    await this.#options.committer.commit([{ type: 'put', key: keys.bucket(name), value }], [precondition]);
    this.#forget(name);
  }

  /** In turn with others of this bucket. False when one was faster: then the bucket has to be found again. */
  async #rewrite(name: string, work: () => Promise<void>): Promise<boolean> {
    const other = this.#rewrites.get(name);
    if (other) {
      await other;
      return false;
    }
    const rewrite = work();
    const over = rewrite.catch(() => undefined).finally(() => this.#rewrites.delete(name));
    this.#rewrites.set(name, over);
    try {
      await rewrite;
      return true;
    } catch (error) {
      if (!hasCode(error, 'CommitConflict')) throw error;
      return false;
    }
  }

  async #delete(name: string, { record, precondition }: FoundBucket): Promise<void> {
    const { committer } = this.#options;
    const key = keys.bucket(name);
    const fence = encodeRecord<BucketRecord>({ ...record, deletions: (record.deletions ?? 0) + 1 });
    this.#forget(name);
    await committer.commit([{ type: 'put', key, value: fence }], [precondition]);
    await this.#assertEmpty(name, record.bucketId);
    const operations: CommitOperation[] = [
      { type: 'del', key },
      { type: 'add', key: BUCKETS_COUNTER, delta: -1 },
      { type: 'del', key: bucketObjectsKey(record.bucketId) },
      { type: 'del', key: bucketBytesKey(record.bucketId) },
      { type: 'del', key: bucketUploadsKey(record.bucketId) },
    ];
    await committer.commit(operations, [bucketPrecondition(name, fence)]);
    this.#forget(name);
  }

  async #assertEmpty(name: string, bucketId: Buffer): Promise<void> {
    for (const prefix of [prefixes.objects(bucketId), prefixes.uploads(bucketId)]) {
      const cursor = this.#options.engine.cursor({ ...rangeOf(prefix), limit: 1 });
      const entries = await cursor.next(1).finally(() => cursor.close());
      if (entries.length > 0) throw new HoldfastError('BucketNotEmpty', { fields: { BucketName: name } });
    }
  }

  #forget(name: string): void {
    this.#changes += 1;
    this.#cache.delete(name);
  }

  /**
   * Removes the epochs of buckets that are gone, which a crash behind a deletion may have left. For the start, or now and
   * then. Returns how many epochs went.
   */
  async sweepEpochs(): Promise<number> {
    const candidates = await this.#bucketsWithEpochs();
    // Read after the candidates: an epoch is committed on the precondition that its bucket exists, so a bucket that has
    // one and is not there now has been deleted.
    const { engine } = this.#options;
    const cursor = engine.cursor(rangeOf(prefixes.buckets()));
    try {
      for (
        let entries = await cursor.next(LIST_STEP);
        entries.length > 0;
        entries = await cursor.next(LIST_STEP)
      ) {
        for (const [, value] of entries)
          candidates.delete(mapKey(decodeRecord<BucketRecord>(value).bucketId));
      }
    } finally {
      await cursor.close();
    }
    let count = 0;
    for (const bucketId of candidates.values()) count += await this.#dropEpochs(bucketId);
    return count;
  }

  /** One seek for each bucket, whatever the number of its epochs. At most as many as there may be buckets. */
  async #bucketsWithEpochs(): Promise<Map<string, Buffer>> {
    const found = new Map<string, Buffer>();
    const all = prefixRange(Buffer.from('e'));
    const cursor = this.#options.engine.cursor({ from: all.from, ...(all.to ? { to: all.to } : {}) });
    try {
      while (found.size < BUCKETS_MAX * 2) {
        const [entry] = await cursor.next(1);
        if (!entry) break;
        const bucketId = Buffer.from(entry[0].subarray(1, 1 + ID_BYTES));
        found.set(mapKey(bucketId), bucketId);
        const { to } = prefixRange(prefixes.epochs(bucketId));
        if (!to) break;
        cursor.seek(to);
      }
    } finally {
      await cursor.close();
    }
    return found;
  }

  async #dropEpochs(bucketId: Buffer): Promise<number> {
    let count = 0;
    const cursor = this.#options.engine.cursor(rangeOf(prefixes.epochs(bucketId)));
    try {
      for (;;) {
        const entries = await cursor.next(EPOCHS_STEP);
        if (entries.length === 0) return count;
        await this.#options.committer.commit(entries.map(([key]) => ({ type: 'del', key })));
        count += entries.length;
      }
    } finally {
      await cursor.close();
    }
  }
}

/** The bucket is gone and the client gets its answer; the next start sweeps what is left of it. */
function leaveToSweep(error: unknown): void {
  if (!(error instanceof HoldfastError)) throw error;
}

function foundBucket(name: string, bytes: Buffer): FoundBucket {
  return { record: decodeRecord<BucketRecord>(bytes), precondition: bucketPrecondition(name, bytes) };
}

function infoOf(name: string, record: BucketRecord): BucketInfo {
  return { name, createdMs: record.createdMs, region: record.region, etags: etagKindOf(record) };
}

/** As the record has it: MD5 is not written down. */
function etagsField(etags: EtagKind): Pick<BucketRecord, 'etags'> {
  return etags === 'opaque' ? { etags } : {};
}

function rangeOf(prefix: Uint8Array): { from: Uint8Array; to?: Uint8Array } {
  const { from, to } = prefixRange(prefix);
  return to ? { from, to } : { from };
}
