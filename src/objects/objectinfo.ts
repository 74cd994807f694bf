/** What clients are told about an object, from its version record. */
import type { VersionRecord } from '../metadata/records.ts';
import type { ObjectInfo } from './types.ts';

export function objectInfo(key: string, record: VersionRecord): ObjectInfo {
  return {
    key,
    sizeBytes: record.sizeBytes,
    etag: record.etag,
    modifiedMs: record.modifiedMs,
    checksum: record.checksum,
    partCount: record.partCount,
    headers: record.headers,
    metadata: record.metadata,
    tags: record.tags,
    storageClass: record.storageClass,
  };
}
