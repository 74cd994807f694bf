/** Puts the operations of this layer together (types.ts says what each promises), and offers upkeep to the scheduler. */
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { Committer } from '../commitlog/commit.ts';
import type { EpochKeyring } from '../crypto/keyring.ts';
import { DeletedRangeTracker } from '../metadata/compaction.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import type { StripeStore } from '../stripes/types.ts';
import { Background } from './background.ts';
import { Buckets } from './buckets.ts';
import { type BucketUsage, bucketUsage } from './bucketusage.ts';
import { completeUpload } from './complete.ts';
import { ContentKeys } from './contentkeys.ts';
import type { ObjectsContext } from './context.ts';
import { copyObject } from './copy.ts';
import { deleteObject } from './delete.ts';
import { Garbage, type GarbageResult } from './garbage.ts';
import { getObject, headObject } from './get.ts';
import { Ingest } from './ingest.ts';
import { KeyLocks } from './keylocks.ts';
import { listObjects } from './listing.ts';
import { objectParts } from './objectparts.ts';
import { Packer } from './packer.ts';
import { PartIndexes } from './partindex.ts';
import { putObject } from './put.ts';
import { Readers } from './readers.ts';
import { SpaceKeeper } from './release.ts';
import { relocateStripe } from './relocate.ts';
import { type CompactionBudget, type CompactionResult, compactSharedStripes } from './spacecompaction.ts';
import { UnsettledStripes } from './stripehold.ts';
import { getTags, putTags } from './tags.ts';
import type { EtagKind, ObjectService } from './types.ts';
import { listUploads } from './uploadlisting.ts';
import { uploadPart, uploadPartCopy } from './uploadpart.ts';
import { abortIdleUploads, abortUpload, createUpload, describeUpload, listParts } from './uploads.ts';
import { VersionReader } from './versionreader.ts';

export interface ObjectServiceParts {
  readonly engine: MetadataEngine;
  readonly committer: Committer;
  readonly stripes: StripeStore;
  readonly keyring: EpochKeyring;
  readonly clock: Clock;
  readonly random: Random;
  /** What a bucket gets whose creator does not say; MD5 when absent. */
  readonly newBucketEtags?: EtagKind;
  /** Told of failures of work that no client waits for. */
  readonly onBackgroundError?: (error: unknown) => void;
}

/** What healing's scheduler calls, each bounded by its argument and each repeatable at any time. */
export interface ObjectUpkeep {
  /** Finishes large deletes, also those that a crash interrupted. At most `stepsMax` commits. */
  collectGarbage(stepsMax: number): Promise<GarbageResult>;
  /** Stripes without live bytes that are no tombs yet. Walks all live counters. */
  findEmptyStripes(): AsyncGenerator<Buffer, void, void>;
  /** The same, turned into tombs. Returns how many. */
  buryEmptyStripes(): Promise<number>;
  compactSharedStripes(budget: CompactionBudget): Promise<CompactionResult>;
  /** Moves what lives in a stripe to one of the width that is written now. False when nothing was moved. */
  relocateStripe(stripeId: Buffer): Promise<boolean>;
  /** Uploads without activity for seven days before `nowMs`, or `idleMsMax`. Returns how many were aborted. */
  abortIdleUploads(nowMs: number, idleMsMax?: number): Promise<number>;
  /** Epochs of buckets that are gone. Returns how many. */
  sweepEpochs(): Promise<number>;
  /** Resolves when no background work is left. */
  idle(): Promise<void>;
  /** Before the engine is closed: the same, and no further compaction of deleted keys begins. */
  close(): Promise<void>;
}

/** What an operator asks of buckets beside S3. */
export interface BucketAdministration {
  /** By name. */
  usage(): Promise<readonly BucketUsage[]>;
  /**
   * Counts for what is written from now on.
   * @throws NoSuchBucket
   */
  setEtags(name: string, etags: EtagKind): Promise<void>;
}

export interface Objects {
  readonly service: ObjectService;
  readonly buckets: BucketAdministration;
  readonly upkeep: ObjectUpkeep;
}

export function createObjects(parts: ObjectServiceParts): Objects {
  const unsettled = new UnsettledStripes();
  const buckets = new Buckets(parts);
  const context = createContext(parts, buckets, unsettled);
  const { background, deletedKeys } = context;
  return {
    service: createService(context, buckets),
    buckets: {
      usage: () => bucketUsage(parts.engine, buckets),
      setEtags: (name, etags) => buckets.setEtags(name, etags),
    },
    upkeep: {
      collectGarbage: (stepsMax) => context.garbage.collect(stepsMax),
      findEmptyStripes: () => context.space.findEmptyStripes(),
      buryEmptyStripes: () => context.space.buryEmptyStripes(),
      compactSharedStripes: (budget) => compactSharedStripes(context, unsettled, budget),
      relocateStripe: (stripeId) => relocateStripe(context, unsettled, stripeId),
      abortIdleUploads: (nowMs, idleMsMax) => abortIdleUploads(context, nowMs, idleMsMax),
      sweepEpochs: () => buckets.sweepEpochs(),
      idle: async () => {
        await background.idle();
        await deletedKeys.idle();
      },
      close: async () => {
        await deletedKeys.close();
        await background.idle();
      },
    },
  };
}

function createContext(
  parts: ObjectServiceParts,
  buckets: Buckets,
  unsettled: UnsettledStripes,
): ObjectsContext {
  const { engine, committer, stripes, keyring, clock, random } = parts;
  const onError = parts.onBackgroundError ?? (() => {});
  const background = new Background(onError);
  const readers = new Readers(clock);
  const space = new SpaceKeeper(engine, committer, clock, unsettled);
  const contentKeys = new ContentKeys(keyring, engine, random);
  const buryIfEmpty = (stripeId: Buffer) => background.run(() => space.bury([stripeId]));
  return {
    engine,
    committer,
    stripes,
    clock,
    random,
    buckets,
    contentKeys,
    ingest: new Ingest(stripes, contentKeys, new Packer(stripes, unsettled, buryIfEmpty), clock, random),
    space,
    readers,
    locks: new KeyLocks(),
    garbage: new Garbage(engine, committer, space, readers, background),
    background,
    deletedKeys: new DeletedRangeTracker(engine, onError),
    partIndexes: new PartIndexes(engine, contentKeys),
    versions: new VersionReader(engine, stripes, contentKeys),
  };
}

function createService(context: ObjectsContext, buckets: Buckets): ObjectService {
  const { engine } = context;
  const bucketIdOf = async (name: string) => (await buckets.find(name)).record.bucketId;
  return {
    createBucket: (name, region, etags) => buckets.create(name, region, etags),
    headBucket: (name) => buckets.head(name),
    deleteBucket: (name) => buckets.delete(name),
    listBuckets: () => buckets.list(),

    putObject: (request) => putObject(context, request),
    headObject: (request) => headObject(context, request),
    getObject: (request) => getObject(context, request),
    deleteObject: (bucket, key, conditions) => deleteObject(context, bucket, key, conditions),
    copyObject: (request) => copyObject(context, request),
    listObjects: async (request) => listObjects(engine, await bucketIdOf(request.bucket), request),
    objectParts: (bucket, key, after, max) => objectParts(context, bucket, key, after, max),

    getTags: (bucket, key) => getTags(context, bucket, key),
    putTags: (bucket, key, tags) => putTags(context, bucket, key, tags),

    createUpload: (request) => createUpload(context, request),
    uploadPart: (pointer, partNumber, body) => uploadPart(context, pointer, partNumber, body),
    uploadPartCopy: (pointer, partNumber, source, range) =>
      uploadPartCopy(context, pointer, partNumber, source, range),
    describeUpload: (pointer) => describeUpload(context, pointer),
    completeUpload: (request) => completeUpload(context, request),
    abortUpload: (pointer) => abortUpload(context, pointer),
    listParts: (pointer, after, max) => listParts(context, pointer, after, max),
    listUploads: async (request) => listUploads(engine, await bucketIdOf(request.bucket), request),
  };
}
