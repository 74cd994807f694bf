/** The parts of a multipart object for GetObjectAttributes, in pages. A simple object has none. */
import { keys } from '../metadata/keys.ts';
import { decodeRecord, type PartListPage } from '../metadata/records.ts';
import type { ObjectsContext } from './context.ts';
import { type FoundVersion, holdVersion } from './resolve.ts';
import type { PartInfo, PartsPage } from './types.ts';

export async function objectParts(
  context: ObjectsContext,
  bucket: string,
  key: string,
  afterPartNumber: number,
  maxParts: number,
): Promise<PartsPage> {
  const held = await holdVersion(context, bucket, key);
  try {
    return await collectParts(context, held.found, afterPartNumber, maxParts);
  } finally {
    held.end();
  }
}

async function collectParts(
  context: ObjectsContext,
  { version }: FoundVersion,
  afterPartNumber: number,
  maxParts: number,
): Promise<PartsPage> {
  const parts: PartInfo[] = [];
  let truncated = false;
  let seen = 0;
  for (let page = 0; seen < (version.partCount ?? 0) && !truncated; page++) {
    const bytes = await context.engine.get(keys.partList(version.versionId, page));
    if (bytes === undefined) break;
    const entries = decodeRecord<PartListPage>(bytes).parts;
    seen += entries.length;
    for (const { partNumber, sizeBytes, etag, checksum } of entries) {
      if (partNumber <= afterPartNumber) continue;
      truncated = parts.length === maxParts;
      if (truncated) break;
      parts.push({ partNumber, sizeBytes, etag, modifiedMs: version.modifiedMs, checksum });
    }
  }
  return { parts, truncated, nextPartNumberMarker: parts.at(-1)?.partNumber ?? 0 };
}
