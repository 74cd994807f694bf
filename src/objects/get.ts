/**
 * GetObject and HeadObject (docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html): one version is resolved, and conditions,
 * range or part number are evaluated against it.
 */
import { HoldfastError } from '../base/errors.ts';
import { checkReadConditions } from './conditions.ts';
import type { ObjectsContext } from './context.ts';
import { objectInfo } from './objectinfo.ts';
import type { PartIndex } from './partindex.ts';
import { type ByteRange, resolveRange } from './ranges.ts';
import { type FoundVersion, findVersion, type HeldVersion, holdVersion } from './resolve.ts';
import type { ObjectBody, ObjectHead, ReadRequest } from './types.ts';

export async function headObject(context: ObjectsContext, request: ReadRequest): Promise<ObjectHead> {
  if (request.partNumber === undefined) {
    return describeRead(context, await findVersion(context, request.bucket, request.key), request);
  }
  const held = await holdVersion(context, request.bucket, request.key);
  try {
    return await describeRead(context, held.found, request);
  } finally {
    held.end();
  }
}

export async function getObject(context: ObjectsContext, request: ReadRequest): Promise<ObjectBody> {
  const held = await holdVersion(context, request.bucket, request.key);
  try {
    const head = await describeRead(context, held.found, request);
    const index = await context.partIndexes.of(held.found);
    return {
      ...head,
      stream: (signal) => streamHeld(context, held, index, head.range, signal),
    };
  } catch (error) {
    held.end();
    throw error;
  }
}

async function* streamHeld(
  context: ObjectsContext,
  held: HeldVersion,
  index: PartIndex,
  range: ByteRange,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  held.started();
  try {
    yield* context.versions.read(index, range, signal);
  } finally {
    held.end();
  }
}

async function describeRead(
  context: ObjectsContext,
  found: FoundVersion,
  request: ReadRequest,
): Promise<ObjectHead> {
  const { version } = found;
  checkReadConditions(request.conditions, version, 'NotModified');
  const range = await selectRange(context, found, request);
  return { info: objectInfo(found.key, version), range };
}

async function selectRange(
  context: ObjectsContext,
  found: FoundVersion,
  request: ReadRequest,
): Promise<ObjectHead['range']> {
  const { sizeBytes } = found.version;
  if (request.partNumber !== undefined) {
    if (request.range !== undefined) {
      throw new HoldfastError('InvalidRequest', {
        detail: 'Cannot specify both Range header and partNumber query parameter',
      });
    }
    return partRange(context, found, request.partNumber);
  }
  if (request.range === undefined) return { firstByte: 0, lengthBytes: sizeBytes, partial: false };
  return { ...resolveRange(request.range, sizeBytes), partial: true };
}

/** A simple object is its own part 1. */
async function partRange(
  context: ObjectsContext,
  found: FoundVersion,
  partNumber: number,
): Promise<ObjectHead['range']> {
  const { partCount, sizeBytes } = found.version;
  if (partCount === undefined) {
    if (partNumber !== 1) throw new HoldfastError('InvalidPartNumber');
    return { firstByte: 0, lengthBytes: sizeBytes, partial: true };
  }
  const { numbers, starts } = await context.partIndexes.of(found);
  const i = numbers.indexOf(partNumber);
  if (i < 0) throw new HoldfastError('InvalidPartNumber');
  const firstByte = starts[i] ?? 0;
  return { firstByte, lengthBytes: (starts[i + 1] ?? 0) - firstByte, partial: true };
}
