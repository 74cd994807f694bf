/** Conditional reads and writes, ranges and part numbers. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkReadConditions, checkWriteConditions } from '../../src/objects/conditions.ts';
import { resolveRange } from '../../src/objects/ranges.ts';
import type { ReadConditions, WriteConditions } from '../../src/objects/types.ts';
import { checkInvariants } from './invariants.ts';
import { createWorld, getBytes, pattern, putRequest, readBody, type World } from './world.ts';

const failure = (code: string) => expect.objectContaining({ code });
const modifiedMs = 1_000_500;
const version = { etag: 'abc', modifiedMs };

function outcome(conditions: ReadConditions): string {
  try {
    checkReadConditions(conditions, version, 'NotModified');
    return 'ok';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe('conditions of reads (RFC 9110 section 13.2.2)', () => {
  it.each<[string, ReadConditions]>([
    ['ok', {}],
    ['ok', { ifMatch: ['x', 'abc'] }],
    ['ok', { ifMatch: ['*'] }],
    ['PreconditionFailed', { ifMatch: ['x'] }],
    ['NotModified', { ifNoneMatch: ['abc'] }],
    ['NotModified', { ifNoneMatch: ['*'] }],
    ['ok', { ifNoneMatch: ['x'] }],
    // The stored time has a fraction that HTTP dates lack.
    ['NotModified', { ifModifiedSinceMs: 1_000_000 }],
    ['ok', { ifModifiedSinceMs: 999_000 }],
    ['ok', { ifUnmodifiedSinceMs: 1_000_000 }],
    ['PreconditionFailed', { ifUnmodifiedSinceMs: 999_000 }],
    // If-Match decides over If-Unmodified-Since, If-None-Match over If-Modified-Since.
    ['ok', { ifMatch: ['abc'], ifUnmodifiedSinceMs: 0 }],
    ['ok', { ifNoneMatch: ['x'], ifModifiedSinceMs: 2_000_000 }],
    ['NotModified', { ifNoneMatch: ['abc'], ifModifiedSinceMs: 0 }],
    ['PreconditionFailed', { ifMatch: ['x'], ifNoneMatch: ['abc'] }],
    ['NotModified', { ifMatch: ['abc'], ifNoneMatch: ['abc'] }],
  ])('%s for %j', (expected, conditions) => expect(outcome(conditions)).toBe(expected));

  it('of a copy source always fail with 412', () => {
    expect(() => checkReadConditions({ ifNoneMatch: ['abc'] }, version, 'PreconditionFailed')).toThrow(
      failure('PreconditionFailed'),
    );
  });
});

describe('conditions of writes', () => {
  it.each<[string | undefined, WriteConditions, boolean, boolean]>([
    [undefined, { ifNoneMatch: '*' }, false, false],
    ['PreconditionFailed', { ifNoneMatch: '*' }, true, true],
    [undefined, { ifMatch: 'abc' }, true, true],
    [undefined, { ifMatch: '*' }, true, true],
    ['PreconditionFailed', { ifMatch: 'x' }, true, true],
    ['NoSuchKey', { ifMatch: 'abc' }, false, false],
    ['ConditionalRequestConflict', { ifMatch: 'abc' }, false, true],
  ])('%s for %j, there %s, there before %s', (code, conditions, exists, before) => {
    const check = () => checkWriteConditions(conditions, exists ? version : undefined, before);
    if (code === undefined) expect(check).not.toThrow();
    else expect(check).toThrow(failure(code));
  });
});

describe('ranges', () => {
  it.each([
    [{ firstByte: 0 }, 10, [0, 10]],
    [{ firstByte: 9 }, 10, [9, 1]],
    [{ firstByte: 2, lastByte: 4 }, 10, [2, 3]],
    [{ firstByte: 2, lastByte: 400 }, 10, [2, 8]],
    [{ suffixBytes: 3 }, 10, [7, 3]],
    [{ suffixBytes: 30 }, 10, [0, 10]],
  ] as const)('%j of %i bytes', (range, size, [firstByte, lengthBytes]) => {
    expect(resolveRange(range, size)).toEqual({ firstByte, lengthBytes });
  });

  it.each([
    [{ firstByte: 10 }, 10],
    [{ firstByte: 0 }, 0],
    [{ suffixBytes: 0 }, 10],
    [{ suffixBytes: 5 }, 0],
  ] as const)('%j of %i bytes is unsatisfiable', (range, size) => {
    expect(() => resolveRange(range, size)).toThrow(
      expect.objectContaining({
        code: 'InvalidRange',
        fields: { ActualObjectSize: String(size), RangeRequested: expect.stringMatching(/^bytes=/) },
      }),
    );
  });
});

describe('reading a stored object', () => {
  const size = 500_000;
  const bytes = pattern(size);
  let world: World;
  beforeAll(async () => {
    world = await createWorld();
    await world.service.createBucket('bucket', 'us-east-1');
    await world.service.putObject(putRequest('bucket', 'k', bytes));
    await world.service.putObject(putRequest('bucket', 'empty', pattern(0)));
  });
  afterAll(async () => {
    await checkInvariants(world);
    await world.close();
  });

  const edges = [
    0,
    1,
    16_383,
    16_384,
    16_385,
    49_152,
    131_071,
    131_072,
    131_073,
    262_144,
    size - 17,
    size - 1,
  ];
  it('gives every range byte for byte', async () => {
    for (const firstByte of edges) {
      for (const lastByte of edges) {
        if (lastByte < firstByte) continue;
        const got = await getBytes(world.service, 'bucket', 'k', { range: { firstByte, lastByte } });
        expect(got.equals(bytes.subarray(firstByte, lastByte + 1)), `${firstByte}-${lastByte}`).toBe(true);
      }
    }
    const suffix = await getBytes(world.service, 'bucket', 'k', { range: { suffixBytes: 20_000 } });
    expect(suffix.equals(bytes.subarray(size - 20_000))).toBe(true);
  });

  it('opens only what a range needs', async () => {
    const before = world.stripes.opens;
    await getBytes(world.service, 'bucket', 'k', { range: { firstByte: 200_000, lastByte: 200_010 } });
    expect(world.stripes.opens - before).toBe(1);
  });

  it('takes a simple object for its own part 1', async () => {
    const { range } = await world.service.headObject({ bucket: 'bucket', key: 'k', partNumber: 1 });
    expect(range).toEqual({ firstByte: 0, lengthBytes: size, partial: true });
    const second = world.service.getObject({ bucket: 'bucket', key: 'k', partNumber: 2 });
    await expect(second).rejects.toEqual(failure('InvalidPartNumber'));
    const both = { bucket: 'bucket', key: 'k', partNumber: 1, range: { firstByte: 0 } };
    await expect(world.service.getObject(both)).rejects.toEqual(failure('InvalidRequest'));
  });

  it('refuses ranges of nothing', async () => {
    const range = { firstByte: size };
    await expect(world.service.getObject({ bucket: 'bucket', key: 'k', range })).rejects.toEqual(
      failure('InvalidRange'),
    );
    await expect(
      world.service.headObject({ bucket: 'bucket', key: 'empty', range: { firstByte: 0 } }),
    ).rejects.toEqual(failure('InvalidRange'));
  });

  it('evaluates conditions', async () => {
    const { etag } = (await world.service.headObject({ bucket: 'bucket', key: 'k' })).info;
    const get = (conditions: ReadConditions) =>
      world.service.getObject({ bucket: 'bucket', key: 'k', conditions });
    await expect(get({ ifNoneMatch: [etag] })).rejects.toEqual(failure('NotModified'));
    await expect(get({ ifMatch: ['x'] })).rejects.toEqual(failure('PreconditionFailed'));
    const { stream } = await get({ ifMatch: [etag] });
    expect((await readBody(stream(new AbortController().signal))).equals(bytes)).toBe(true);
    await expect(
      world.service.headObject({ bucket: 'bucket', key: 'k', conditions: { ifNoneMatch: ['*'] } }),
    ).rejects.toEqual(failure('NotModified'));
  });

  it('deletes and writes conditionally', async () => {
    const { service } = world;
    const { etag } = await service.putObject(putRequest('bucket', 'c', pattern(10)));
    await expect(service.deleteObject('bucket', 'c', { ifMatch: 'x' })).rejects.toEqual(
      failure('PreconditionFailed'),
    );
    await expect(service.deleteObject('bucket', 'none', { ifMatch: 'x' })).rejects.toEqual(
      failure('NoSuchKey'),
    );
    let read = 0;
    const body = { conditions: { ifNoneMatch: '*' } as const, verify: () => void (read += 1) as undefined };
    await expect(service.putObject(putRequest('bucket', 'c', pattern(11), body))).rejects.toEqual(
      failure('PreconditionFailed'),
    );
    expect(read, 'the body was not read').toBe(0);
    await service.putObject(putRequest('bucket', 'c', pattern(12), { conditions: { ifMatch: etag } }));
    await service.deleteObject('bucket', 'c', { ifMatch: '*' });
    await expect(
      service.putObject(putRequest('bucket', 'c', pattern(12), { conditions: { ifMatch: etag } })),
    ).rejects.toEqual(failure('NoSuchKey'));
  });

  it('answers 409 when a conditional write finds its key deleted meanwhile', async () => {
    const { service, stripes } = world;
    const { etag } = await service.putObject(putRequest('bucket', 'd', pattern(10)));
    let deleted: Promise<void> | undefined;
    stripes.beforeWrite = async () => {
      deleted ??= service.deleteObject('bucket', 'd');
      await deleted;
    };
    const request = putRequest('bucket', 'd', pattern(400_000), { conditions: { ifMatch: etag } });
    await expect(service.putObject(request)).rejects.toEqual(failure('ConditionalRequestConflict'));
    stripes.beforeWrite = () => {};
  });
});
