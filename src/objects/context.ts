/** What the operations of this layer share. service.ts puts it together. */
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { Committer, Precondition } from '../commitlog/commit.ts';
import type { DeletedRangeTracker } from '../metadata/compaction.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import type { BucketRecord } from '../metadata/records.ts';
import type { StripeStore } from '../stripes/types.ts';
import type { Background } from './background.ts';
import type { ContentKeys } from './contentkeys.ts';
import type { Garbage } from './garbage.ts';
import type { Ingest } from './ingest.ts';
import type { KeyLocks } from './keylocks.ts';
import type { PartIndexes } from './partindex.ts';
import type { Readers } from './readers.ts';
import type { SpaceKeeper } from './release.ts';
import type { VersionReader } from './versionreader.ts';

export interface FoundBucket {
  readonly record: BucketRecord;
  /** Holds while the bucket is there and is this one. */
  readonly precondition: Precondition;
}

export interface BucketLookup {
  /** @throws NoSuchBucket */
  find(name: string): Promise<FoundBucket>;
}

export interface ObjectsContext {
  readonly engine: MetadataEngine;
  readonly committer: Committer;
  readonly stripes: StripeStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly buckets: BucketLookup;
  readonly contentKeys: ContentKeys;
  readonly ingest: Ingest;
  readonly space: SpaceKeeper;
  readonly readers: Readers;
  readonly locks: KeyLocks;
  readonly garbage: Garbage;
  readonly background: Background;
  /** Told of every object key that is gone, by bucket. */
  readonly deletedKeys: DeletedRangeTracker;
  readonly partIndexes: PartIndexes;
  readonly versions: VersionReader;
}
