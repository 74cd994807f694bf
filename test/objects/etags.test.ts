/** Buckets with opaque ETags: what is computed, what comes out, and what a change of the setting leaves alone. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { digestAlgorithms } from '../../src/coding/digests.ts';
import { keys } from '../../src/metadata/keys.ts';
import { type BucketRecord, decodeRecord } from '../../src/metadata/records.ts';
import { checksumOf } from '../../src/objects/checksums.ts';
import { PART_BYTES_MIN } from '../../src/objects/completion.ts';
import { digestsFor, isMd5Etag, multipartEtag, opaqueEtag } from '../../src/objects/etags.ts';
import { SMALL_BODY_BYTES_MAX } from '../../src/objects/ingest.ts';
import type { CopyRequest, EtagKind, IncomingBody } from '../../src/objects/types.ts';
import { Prng } from '../simulation/prng.ts';
import { checkInvariants } from './invariants.ts';
import { bodyOf, createWorld, getBytes, pattern, plain, putRequest, type World } from './world.ts';

const failure = (code: string) => expect.objectContaining({ code });
const md5Of = (bytes: Uint8Array) => createHash('md5').update(bytes).digest('hex');
const opaque = /^[0-9a-f]{32}-0$/;
/** Empty, inline, gathered, in stripes. */
const sizes = [0, 100, 100_000, 2_000_000];

describe('an opaque ETag', () => {
  it('is 16 random bytes in hexadecimal, and the count of parts that no upload has', () => {
    const random = new Prng(1);
    const etags = Array.from({ length: 100 }, () => opaqueEtag(random));
    for (const etag of etags) expect(etag).toMatch(opaque);
    expect(new Set(etags).size).toBe(100);
    expect(opaqueEtag(new Prng(5))).toBe(opaqueEtag(new Prng(5)));
  });

  it('is told from an MD5', () => {
    const md5 = md5Of(Buffer.from('x'));
    const others = [opaqueEtag(new Prng(1)), `${md5}-2`, '', md5.slice(1), md5.toUpperCase()];
    expect([md5, ...others].map(isMd5Etag)).toEqual([true, false, false, false, false, false]);
  });

  it('adds its 16 bytes to the ETag of a multipart object, as an MD5 does', () => {
    const etags = [opaqueEtag(new Prng(1)), md5Of(Buffer.from('x')), opaqueEtag(new Prng(2))];
    const raw = Buffer.concat(etags.map((etag) => Buffer.from(etag.slice(0, 32), 'hex')));
    expect(raw.length).toBe(48);
    expect(multipartEtag(etags)).toBe(`${md5Of(raw)}-3`);
  });

  it('needs no digest; an MD5 does, once', () => {
    expect(digestsFor('opaque', [])).toEqual([]);
    expect(digestsFor('opaque', ['crc32', 'md5'])).toEqual(['crc32', 'md5']);
    expect(digestsFor('md5', ['crc32'])).toEqual(['md5', 'crc32']);
    expect(digestsFor('md5', ['md5'])).toEqual(['md5']);
  });
});

let world: World;
beforeEach(async () => {
  world = await createWorld({ chunksPerStripe: 64 });
  await world.service.createBucket('opaque', 'us-east-1', 'opaque');
  await world.service.createBucket('md5', 'us-east-1', 'md5');
});
afterEach(async () => {
  await checkInvariants(world);
  await world.close();
});

const etagIn = async (bucket: string, key: string) =>
  (await world.service.headObject({ bucket, key })).info.etag;
const put = (bucket: string, key: string, bytes: Uint8Array) =>
  world.service.putObject(putRequest(bucket, key, bytes));
const copy = (from: string, to: string, more: Partial<CopyRequest> = {}) => {
  const [bucket = '', key = ''] = to.split('/');
  const [sourceBucket = '', sourceKey = ''] = from.split('/');
  const source = { bucket: sourceBucket, key: sourceKey };
  return world.service.copyObject({ source, bucket, key, ...more });
};
const recordOf = async (bucket: string) => {
  const bytes = await world.engine.get(keys.bucket(bucket));
  return bytes && decodeRecord<BucketRecord>(bytes);
};

describe('a bucket', () => {
  it('says what its ETags are; MD5 is not written down', async () => {
    expect(await world.service.headBucket('opaque')).toMatchObject({ etags: 'opaque' });
    expect(await world.service.headBucket('md5')).toMatchObject({ etags: 'md5' });
    expect(await recordOf('opaque')).toHaveProperty('etags', 'opaque');
    expect(await recordOf('md5')).not.toHaveProperty('etags');
    const listed = (await world.service.listBuckets()).map(({ name, etags }) => [name, etags]);
    expect(listed).toEqual([
      ['md5', 'md5'],
      ['opaque', 'opaque'],
    ]);
  });

  it.each(['md5', 'opaque'] as const)(
    'is %s where that is the default and nothing else is said',
    async (kind) => {
      const other = await createWorld({ newBucketEtags: kind });
      await other.service.createBucket('silent', 'r');
      await other.service.createBucket('said', 'r', kind === 'md5' ? 'opaque' : 'md5');
      expect((await other.service.headBucket('silent')).etags).toBe(kind);
      expect((await other.service.headBucket('said')).etags).not.toBe(kind);
      await other.close();
    },
  );

  it('is set for what is written afterwards; what is there keeps its ETag, over a restart as well', async () => {
    const bytes = pattern(1000);
    await put('md5', 'before', bytes);
    await world.buckets.setEtags('md5', 'opaque');
    await put('md5', 'after', bytes);
    world = await world.restart();
    expect(await etagIn('md5', 'before')).toBe(md5Of(bytes));
    expect(await etagIn('md5', 'after')).toMatch(opaque);
    await put('md5', 'later', bytes);
    expect(await etagIn('md5', 'later')).toMatch(opaque);
    await world.buckets.setEtags('md5', 'md5');
    await put('md5', 'again', bytes);
    expect(await etagIn('md5', 'again')).toBe(md5Of(bytes));
    expect(await etagIn('md5', 'later')).toMatch(opaque);
    expect(await recordOf('md5')).not.toHaveProperty('etags');
  });

  it('that is not there cannot be set', async () => {
    await expect(world.buckets.setEtags('nobody', 'opaque')).rejects.toEqual(failure('NoSuchBucket'));
  });

  it('can be set while it is written to and deleted, and neither fails for it', async () => {
    const { service, buckets } = world;
    const kinds: EtagKind[] = ['md5', 'opaque'];
    const setter = async () => {
      for (let i = 0; i < 12; i++) await buckets.setEtags('opaque', kinds[i % 2] as EtagKind);
    };
    const writer = async (id: number) => {
      for (let i = 0; i < 20; i++) await put('opaque', `${id}-${i}`, pattern(50, i));
    };
    const deleter = async () => {
      for (let i = 0; i < 20; i++) {
        await expect(service.deleteBucket('opaque')).rejects.toEqual(failure('BucketNotEmpty'));
      }
    };
    await put('opaque', 'first', pattern(10));
    await Promise.all([setter(), setter(), writer(1), writer(2), deleter()]);
    expect((await buckets.usage()).find(({ name }) => name === 'opaque')).toMatchObject({
      objects: 41,
      bytes: 2010,
    });
    await Promise.allSettled([buckets.setEtags('md5', 'opaque'), service.deleteBucket('md5')]);
    await expect(service.headBucket('md5')).rejects.toEqual(failure('NoSuchBucket'));
  });

  it('is listed with what is in it', async () => {
    await put('opaque', 'a', pattern(100));
    await put('opaque', 'b', pattern(50));
    await world.service.deleteObject('opaque', 'b');
    expect(await world.buckets.usage()).toMatchObject([
      { name: 'md5', etags: 'md5', objects: 0, bytes: 0 },
      { name: 'opaque', etags: 'opaque', objects: 1, bytes: 100, createdMs: expect.any(Number) },
    ]);
  });
});

describe('a body', () => {
  it.each(sizes)(
    'of %i bytes has another opaque ETag each time, and every place says the same',
    async (size) => {
      const bytes = pattern(size);
      const first = await put('opaque', 'k', bytes);
      const second = await put('opaque', 'k', bytes);
      expect(first.etag).toMatch(opaque);
      expect(second.etag).toMatch(opaque);
      expect(second.etag).not.toBe(first.etag);
      expect(await etagIn('opaque', 'k')).toBe(second.etag);
      const listed = await world.service.listObjects({
        ...{ bucket: 'opaque', prefix: '', delimiter: '', after: '', maxKeys: 10 },
      });
      expect(listed.objects.map(({ etag }) => etag)).toEqual([second.etag]);
      expect((await getBytes(world.service, 'opaque', 'k')).equals(bytes)).toBe(true);
    },
  );

  it.each(sizes)('of %i bytes is digested for what is asked for and nothing else', async (size) => {
    const bytes = pattern(size);
    const seen: string[][] = [];
    const asking = (algorithms: IncomingBody['algorithms']) =>
      putRequest('opaque', 'k', bytes, {
        algorithms,
        verify: (digests) => {
          seen.push(Object.keys(digests).sort());
          return undefined;
        },
      });
    for (const algorithms of [[], ['crc32'], ['md5', 'sha256'], digestAlgorithms] as const) {
      await world.service.putObject(asking(algorithms));
    }
    expect(seen).toEqual([[], ['crc32'], ['md5', 'sha256'], [...digestAlgorithms].sort()]);
    const { digested } = world.stripes;
    const inStripes = size > SMALL_BODY_BYTES_MAX;
    expect(digested).toEqual(inStripes ? [[], ['crc32'], ['md5', 'sha256'], digestAlgorithms] : []);
  });

  it.each(sizes)('of %i bytes is refused where a digest that is asked for is wrong', async (size) => {
    const body = putRequest('opaque', 'k', pattern(size), {
      algorithms: ['md5'],
      verify: ({ md5 }) => {
        expect(md5?.toString('hex')).toBe(md5Of(pattern(size)));
        throw new HoldfastError('BadDigest');
      },
    });
    await expect(world.service.putObject(body)).rejects.toEqual(failure('BadDigest'));
    await expect(world.service.headObject({ bucket: 'opaque', key: 'k' })).rejects.toEqual(
      failure('NoSuchKey'),
    );
  });

  it('has its checksum stored beside its opaque ETag', async () => {
    const request = putRequest('opaque', 'k', pattern(1000), {
      algorithms: ['crc32'],
      verify: (digests) => checksumOf('CRC32', digests),
    });
    const { checksum, etag } = await world.service.putObject(request);
    expect(checksum).toMatchObject({ algorithm: 'CRC32', type: 'FULL_OBJECT' });
    expect((await world.service.headObject({ bucket: 'opaque', key: 'k' })).info).toMatchObject({
      checksum,
      etag,
    });
  });

  it('is matched by conditions', async () => {
    const { service } = world;
    const { etag } = await put('opaque', 'k', pattern(10));
    const when = (conditions: object) => service.headObject({ bucket: 'opaque', key: 'k', conditions });
    await when({ ifMatch: [etag] });
    await expect(when({ ifMatch: [md5Of(pattern(10))] })).rejects.toEqual(failure('PreconditionFailed'));
    await expect(when({ ifNoneMatch: [etag] })).rejects.toEqual(failure('NotModified'));
    const again = (ifMatch: string) =>
      service.putObject(putRequest('opaque', 'k', pattern(10), { conditions: { ifMatch } }));
    const next = await again(etag);
    await expect(again(etag)).rejects.toEqual(failure('PreconditionFailed'));
    await again(next.etag);
  });
});

describe('a multipart upload', () => {
  const bodies = [pattern(PART_BYTES_MIN, 1), pattern(PART_BYTES_MIN, 2), pattern(1000, 3)];

  async function begin(bucket: string) {
    const upload = { bucket, key: 'multi', uploadId: '' };
    upload.uploadId = await world.service.createUpload({ ...upload, ...plain });
    const uploadPart = (i: number) =>
      world.service.uploadPart(upload, i + 1, bodyOf(bodies[i] ?? Buffer.alloc(0), { pieceBytes: 65_536 }));
    const complete = (etags: readonly string[]) => {
      const parts = etags.map((etag, i) => ({ partNumber: i + 1, etag, checksums: {} }));
      return world.service.completeUpload({ ...upload, parts });
    };
    return { upload, uploadPart, complete };
  }
  const wholeOf = (etags: readonly string[]) =>
    `${md5Of(Buffer.concat(etags.map((etag) => Buffer.from(etag.slice(0, 32), 'hex'))))}-${etags.length}`;

  it('has parts with opaque ETags, by which it is completed, once and again', async () => {
    const { upload, uploadPart, complete } = await begin('opaque');
    const etags: string[] = [];
    for (const i of bodies.keys()) etags.push((await uploadPart(i)).etag);
    for (const etag of etags) expect(etag).toMatch(opaque);
    expect(world.stripes.digested.flat()).toEqual([]);
    const { parts } = await world.service.listParts(upload, 0, 10);
    expect(parts.map(({ etag }) => etag)).toEqual(etags);
    const bare = etags.map((etag) => etag.slice(0, 32));
    await expect(complete(bare)).rejects.toEqual(failure('InvalidPart'));
    const done = await complete(etags.map((etag) => `"${etag}"`));
    expect(done.etag).toBe(wholeOf(etags));
    expect((await complete(etags)).etag).toBe(done.etag);
    expect(await etagIn('opaque', 'multi')).toBe(done.etag);
    const page = await world.service.objectParts('opaque', 'multi', 0, 10);
    expect(page.parts.map(({ etag }) => etag)).toEqual(etags);
    const whole = await getBytes(world.service, 'opaque', 'multi');
    expect(whole.equals(Buffer.concat(bodies))).toBe(true);
  });

  it('of a bucket that was set in between has parts of both kinds', async () => {
    const { uploadPart, complete } = await begin('md5');
    const first = await uploadPart(0);
    await world.buckets.setEtags('md5', 'opaque');
    const second = await uploadPart(1);
    expect(first.etag).toBe(md5Of(bodies[0] ?? Buffer.alloc(0)));
    expect(second.etag).toMatch(opaque);
    const etags = [first.etag, second.etag];
    expect((await complete(etags)).etag).toBe(wholeOf(etags));
  });

  it('takes parts by copy, of the kind of its own bucket', async () => {
    await put('md5', 'source', bodies[2] ?? Buffer.alloc(0));
    const { etag: opaqueSource } = await put('opaque', 'source', bodies[2] ?? Buffer.alloc(0));
    for (const [bucket, source] of [
      ['opaque', 'md5'],
      ['md5', 'opaque'],
      ['opaque', 'opaque'],
    ] as const) {
      const { upload, complete } = await begin(bucket);
      const { etag } = await world.service.uploadPartCopy(upload, 1, { bucket: source, key: 'source' });
      if (bucket === 'md5') expect(etag).toBe(md5Of(bodies[2] ?? Buffer.alloc(0)));
      else expect(etag).toMatch(opaque);
      expect(etag).not.toBe(opaqueSource);
      expect((await complete([etag])).etag).toBe(wholeOf([etag]));
    }
  });
});

describe('a copy', () => {
  it.each(sizes)(
    'of %i bytes inside an opaque bucket shares the content and has an ETag of its own',
    async (size) => {
      const { etag } = await put('opaque', 'a', pattern(size));
      const { writes } = world.stripes;
      const copied = await copy('opaque/a', 'opaque/b');
      expect(copied.etag).toMatch(opaque);
      expect(copied.etag).not.toBe(etag);
      expect(await etagIn('opaque', 'b')).toBe(copied.etag);
      expect(await etagIn('opaque', 'a')).toBe(etag);
      expect(world.stripes.writes).toBe(writes);
      expect((await getBytes(world.service, 'opaque', 'b')).equals(pattern(size))).toBe(true);
    },
  );

  it.each(sizes)('of %i bytes follows the bucket that it goes to', async (size) => {
    const bytes = pattern(size);
    await put('md5', 'a', bytes);
    const there = await copy('md5/a', 'opaque/a');
    expect(there.etag).toMatch(opaque);
    if (size > SMALL_BODY_BYTES_MAX) expect(world.stripes.digested).toEqual([['md5'], []]);
    expect((await copy('opaque/a', 'md5/b')).etag).toBe(md5Of(bytes));
  });

  it.each(sizes)(
    'of %i bytes is read for its MD5 where the source was written when the bucket was opaque',
    async (size) => {
      const bytes = pattern(size);
      await put('opaque', 'a', bytes);
      await world.buckets.setEtags('opaque', 'md5');
      const first = await copy('opaque/a', 'opaque/b');
      expect(first.etag).toBe(md5Of(bytes));
      const { writes } = world.stripes;
      expect((await copy('opaque/b', 'opaque/c')).etag).toBe(md5Of(bytes));
      expect(world.stripes.writes).toBe(writes);
      const replaceMetadata = { headers: {}, metadata: { n: 'new' } };
      expect((await copy('opaque/a', 'opaque/a', { replaceMetadata })).etag).toBe(md5Of(bytes));
      expect((await getBytes(world.service, 'opaque', 'a')).equals(bytes)).toBe(true);
    },
  );

  it('of an object with an MD5 shares the content where the bucket is opaque by now', async () => {
    await put('md5', 'a', pattern(500));
    await world.buckets.setEtags('md5', 'opaque');
    const { writes } = world.stripes;
    expect((await copy('md5/a', 'md5/b')).etag).toMatch(opaque);
    expect(world.stripes.writes).toBe(writes);
  });
});
