/**
 * From a name to its current version, as readers see it: what is durable. Who goes on to read the data holds the version, so
 * that an overwrite or delete in between does not take it away (readers.ts).
 */
import { HoldfastError } from '../base/errors.ts';
import { keys } from '../metadata/keys.ts';
import { decodeRecord, type VersionRecord } from '../metadata/records.ts';
import type { ObjectsContext } from './context.ts';
import { encodeKey } from './names.ts';

export interface FoundVersion {
  readonly key: string;
  /** UTF-8 of the key. */
  readonly name: Buffer;
  readonly bucketId: Buffer;
  readonly objectKey: Buffer;
  /** The record's bytes, for preconditions. */
  readonly bytes: Buffer;
  readonly version: VersionRecord;
}

/** @throws NoSuchBucket, NoSuchKey, KeyTooLongError */
export async function findVersion(
  context: ObjectsContext,
  bucket: string,
  key: string,
): Promise<FoundVersion> {
  const place = await findPlace(context, bucket, key);
  return readVersion(place, await context.engine.get(place.objectKey));
}

type Place = Omit<FoundVersion, 'bytes' | 'version'>;

async function findPlace(context: ObjectsContext, bucket: string, key: string): Promise<Place> {
  const name = encodeKey(key);
  const { bucketId } = (await context.buckets.find(bucket)).record;
  return { key, name, bucketId, objectKey: keys.object(bucketId, name) };
}

function readVersion(place: Place, bytes: Buffer | undefined): FoundVersion {
  if (bytes === undefined) throw new HoldfastError('NoSuchKey', { fields: { Key: place.key } });
  return { ...place, bytes, version: decodeRecord<VersionRecord>(bytes) };
}

export interface HeldVersion {
  readonly found: FoundVersion;
  /** Ends the hold. It lapses by itself after a minute unless `started` was called. */
  readonly end: () => void;
  readonly started: () => void;
}

/** The version together with a hold on its data. */
export async function holdVersion(
  context: ObjectsContext,
  bucket: string,
  key: string,
): Promise<HeldVersion> {
  const place = await findPlace(context, bucket, key);
  const endKey = await context.readers.holdKey(place.objectKey);
  try {
    const found = readVersion(place, await context.engine.get(place.objectKey));
    return { found, ...context.readers.holdUntilStarted(dataId(found.version)) };
  } finally {
    endKey();
  }
}

/** What a version's data is held and released under: its content, or its part list. */
function dataId(version: VersionRecord): Buffer {
  return version.contentId ?? version.versionId;
}
