/** Put, get, head and delete of simple objects of every size class. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CHUNK_PLAINTEXT_BYTES } from '../../src/crypto/chunked.ts';
import { checkInvariants } from './invariants.ts';
import { bodyOf, createWorld, getBytes, pattern, plain, putRequest, readBody, type World } from './world.ts';

const KIB = 1024;
const STRIPE = 8 * CHUNK_PLAINTEXT_BYTES;
const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest('hex');
const failure = (code: string) => expect.objectContaining({ code });

let world: World;
beforeEach(async () => {
  world = await createWorld();
  await world.service.createBucket('bucket', 'us-east-1');
});
afterEach(async () => {
  await checkInvariants(world);
  await world.close();
});

describe('a body comes back byte for byte', () => {
  const sizes = [
    0,
    1,
    CHUNK_PLAINTEXT_BYTES - 1,
    CHUNK_PLAINTEXT_BYTES,
    CHUNK_PLAINTEXT_BYTES + 1,
    32 * KIB - 1,
    32 * KIB,
    32 * KIB + 1,
    STRIPE - 1,
    STRIPE,
    STRIPE + 1,
    3 * STRIPE,
    5 * STRIPE + 12_345,
    1024 * KIB,
    1024 * KIB + 1,
    20 * STRIPE + 7,
  ];
  it.each(sizes)('of %i bytes', async (size) => {
    const bytes = pattern(size, size);
    const { etag, sizeBytes } = await world.service.putObject(putRequest('bucket', 'key', bytes));
    expect({ etag, sizeBytes }).toEqual({ etag: md5(bytes), sizeBytes: size });
    expect((await getBytes(world.service, 'bucket', 'key')).equals(bytes)).toBe(true);
    const head = await world.service.headObject({ bucket: 'bucket', key: 'key' });
    expect(head.info).toMatchObject({ key: 'key', sizeBytes: size, etag });
    expect(head.range).toEqual({ firstByte: 0, lengthBytes: size, partial: false });
  });

  it.each(sizes)('of %i bytes whose length nobody announced', async (size) => {
    const bytes = pattern(size, size);
    const options = { lengthBytes: undefined, pieceBytes: 50_000 };
    const { etag } = await world.service.putObject(putRequest('bucket', 'key', bytes, options));
    expect(etag).toBe(md5(bytes));
    expect((await getBytes(world.service, 'bucket', 'key')).equals(bytes)).toBe(true);
  });

  it('after a restart', async () => {
    const bytes = pattern(3 * STRIPE + 5);
    await world.service.putObject(putRequest('bucket', 'large', bytes));
    await world.service.putObject(putRequest('bucket', 'small', bytes.subarray(0, 99)));
    world = await world.restart();
    expect((await getBytes(world.service, 'bucket', 'large')).equals(bytes)).toBe(true);
    expect((await getBytes(world.service, 'bucket', 'small')).equals(bytes.subarray(0, 99))).toBe(true);
  });
});

it('an exact multiple of a stripe takes no stripe for its empty last chunk', async () => {
  await world.service.putObject(putRequest('bucket', 'key', pattern(2 * STRIPE)));
  expect(world.stripes.writes).toBe(2);
});

it('attributes are kept as they came', async () => {
  const attributes = {
    headers: { contentType: 'text/plain', cacheControl: 'no-store' },
    metadata: { colour: 'blå' },
    tags: [['a', '1']] as const,
    storageClass: 'STANDARD_IA',
  };
  await world.service.putObject({ ...putRequest('bucket', 'ключ', pattern(9)), ...attributes });
  const { info } = await world.service.headObject({ bucket: 'bucket', key: 'ключ' });
  expect(info).toMatchObject(attributes);
  expect(await world.service.getTags('bucket', 'ключ')).toEqual([['a', '1']]);
  await world.service.putTags('bucket', 'ключ', [['b', '2']]);
  const after = await world.service.headObject({ bucket: 'bucket', key: 'ключ' });
  expect(after.info).toEqual({ ...info, tags: [['b', '2']] });
  expect((await getBytes(world.service, 'bucket', 'ключ')).equals(pattern(9))).toBe(true);
  await expect(world.service.putTags('bucket', 'none', [])).rejects.toEqual(failure('NoSuchKey'));
});

describe('refusals', () => {
  it('name what is not there', async () => {
    const { service } = world;
    await expect(service.getObject({ bucket: 'nobody', key: 'k' })).rejects.toEqual(failure('NoSuchBucket'));
    await expect(service.putObject(putRequest('nobody', 'k', pattern(5)))).rejects.toEqual(
      failure('NoSuchBucket'),
    );
    await expect(service.headObject({ bucket: 'bucket', key: 'k' })).rejects.toEqual(failure('NoSuchKey'));
    await expect(service.getTags('bucket', 'k')).rejects.toEqual(failure('NoSuchKey'));
    await expect(service.deleteObject('nobody', 'k')).rejects.toEqual(failure('NoSuchBucket'));
    const long = 'ø'.repeat(513);
    await expect(service.putObject(putRequest('bucket', long, pattern(5)))).rejects.toEqual(
      failure('KeyTooLongError'),
    );
  });

  it.each([10, 40_000, 300_000, 2_000_000])('of a body of %i bytes leave the old version', async (size) => {
    const { service } = world;
    await service.putObject(putRequest('bucket', 'k', Buffer.from('old')));
    const refuse = () => {
      throw new Error('digest mismatch');
    };
    const bytes = pattern(size);
    await expect(service.putObject(putRequest('bucket', 'k', bytes, { verify: refuse }))).rejects.toThrow(
      'digest',
    );
    const broken = putRequest('bucket', 'k', bytes, { failsAtBytes: size / 2, pieceBytes: 5 });
    await expect(service.putObject(broken)).rejects.toThrow('went away');
    const short = putRequest('bucket', 'k', bytes, { lengthBytes: size + 1 });
    await expect(service.putObject(short)).rejects.toEqual(failure('IncompleteBody'));
    expect((await getBytes(service, 'bucket', 'k')).toString()).toBe('old');
  });

  it.each([10, 40_000, 2_000_000])(
    'by the nodes of a body of %i bytes leave the old version',
    async (size) => {
      const { service, stripes } = world;
      await service.putObject(putRequest('bucket', 'k', Buffer.from('old')));
      let calls = 0;
      stripes.beforeWrite = () => {
        calls += 1;
        if (calls === Math.ceil(size / STRIPE / 2)) throw new Error('nodes are full');
      };
      await expect(service.putObject(putRequest('bucket', 'k', pattern(size)))).rejects.toThrow(
        'nodes are full',
      );
      expect((await getBytes(service, 'bucket', 'k')).toString()).toBe('old');
    },
  );

  it('of what is larger than one PUT may be', async () => {
    const { service } = world;
    const huge = putRequest('bucket', 'k', pattern(5), { lengthBytes: 5 * 1024 ** 3 + 1 });
    await expect(service.putObject(huge)).rejects.toEqual(failure('EntityTooLarge'));
  });
});

it('a client that goes away while its upload waits for memory frees what it held', async () => {
  const { service, stripes } = world;
  const buffers = await Promise.all(Array.from({ length: stripes.pool.capacity }, () => stripes.acquire()));
  const away = new AbortController();
  const put = service.putObject(putRequest('bucket', 'k', pattern(2_000_000), { signal: away.signal }));
  setTimeout(() => away.abort(new Error('gone')), 20);
  await expect(put).rejects.toThrow('gone');
  for (const buffer of buffers) buffer.release();
  await expect(service.headObject({ bucket: 'bucket', key: 'k' })).rejects.toEqual(failure('NoSuchKey'));
});

it('deleting gives the space back and is idempotent', async () => {
  const { service, stripes } = world;
  await service.putObject(putRequest('bucket', 'small', pattern(100)));
  await service.putObject(putRequest('bucket', 'large', pattern(700_000)));
  await service.putObject(putRequest('bucket', 'empty', pattern(0)));
  for (const key of ['small', 'large', 'empty', 'small', 'never']) await service.deleteObject('bucket', key);
  await checkInvariants(world);
  await world.sweepTombs();
  expect(stripes.payloads.size).toBe(0);
  await service.deleteBucket('bucket');
});

it('overwriting releases what was there', async () => {
  const { service, stripes } = world;
  for (const size of [100, 700_000, 0, 40_000, 100])
    await service.putObject(putRequest('bucket', 'k', pattern(size, size)));
  await checkInvariants(world);
  await world.sweepTombs();
  expect(stripes.payloads.size).toBe(1);
  expect((await getBytes(service, 'bucket', 'k')).equals(pattern(100, 100))).toBe(true);
});

it('concurrent small bodies share stripes', async () => {
  const { service, stripes } = world;
  const bodies = Array.from({ length: 60 }, (_, i) => pattern(50 + i * 31, i));
  await Promise.all(bodies.map((bytes, i) => service.putObject(putRequest('bucket', `k${i}`, bytes))));
  expect(stripes.writes).toBeLessThan(10);
  for (const [i, bytes] of bodies.entries()) {
    expect((await getBytes(service, 'bucket', `k${i}`)).equals(bytes)).toBe(true);
  }
});

it('small bodies beyond one stripe spread over several', async () => {
  const { service, stripes } = world;
  const put = (i: number) => service.putObject(putRequest('bucket', `k${i}`, pattern(30_000, i)));
  await Promise.all(Array.from({ length: 20 }, (_, i) => put(i)));
  expect(stripes.writes).toBeGreaterThanOrEqual(5);
  expect((await getBytes(service, 'bucket', 'k19')).equals(pattern(30_000, 19))).toBe(true);
});

it('bodies of a packed stripe that are refused at their commit leave the others', async () => {
  const { service } = world;
  const conditions = { ifNoneMatch: '*' } as const;
  const puts = Array.from({ length: 10 }, (_, i) =>
    service.putObject(
      putRequest('bucket', i < 5 ? 'same' : `k${i}`, pattern(100, i), i < 5 ? { conditions } : {}),
    ),
  );
  const results = await Promise.allSettled(puts);
  const refused = results.filter(({ status }) => status === 'rejected');
  expect(refused.length).toBe(4);
  for (const result of refused) expect(result).toMatchObject({ reason: { code: 'PreconditionFailed' } });
  expect((await getBytes(service, 'bucket', 'k9')).equals(pattern(100, 9))).toBe(true);
});

it('a hundred writers of one key all succeed', async () => {
  const { service } = world;
  const puts = Array.from({ length: 100 }, (_, i) =>
    service.putObject(putRequest('bucket', 'k', pattern(100, i))),
  );
  await Promise.all(puts);
  expect((await getBytes(service, 'bucket', 'k')).length).toBe(100);
});

it('checksums are stored as verify returns them', async () => {
  const checksum = { algorithm: 'CRC32', value: 'AAAAAA==', type: 'FULL_OBJECT' } as const;
  const request = putRequest('bucket', 'k', pattern(70_000), {
    algorithms: ['crc32', 'sha256'],
    verify: (digests) => {
      expect(digests.sha256?.equals(createHash('sha256').update(pattern(70_000)).digest())).toBe(true);
      return checksum;
    },
  });
  expect((await world.service.putObject(request)).checksum).toEqual(checksum);
  expect((await world.service.headObject({ bucket: 'bucket', key: 'k' })).info.checksum).toEqual(checksum);
});

it('a stream given up half-way frees everything', async () => {
  const { service } = world;
  await service.putObject({ ...putRequest('bucket', 'k', pattern(900_000)), ...plain });
  const body = await service.getObject({ bucket: 'bucket', key: 'k' });
  for await (const piece of body.stream(new AbortController().signal)) {
    expect(piece.length).toBeGreaterThan(0);
    break;
  }
  const away = new AbortController();
  const stream = (await service.getObject({ bucket: 'bucket', key: 'k' })).stream(away.signal);
  await stream.next();
  away.abort(new Error('gone'));
  await expect(readBody(stream)).rejects.toThrow('gone');
  await new Promise((resolve) => setTimeout(resolve, 20));
});

it('an upload that is much larger than the pool goes through a few buffers', async () => {
  const { service, stripes } = world;
  let most = 0;
  stripes.beforeWrite = () => {
    most = Math.max(most, stripes.pool.capacity - stripes.pool.available);
  };
  const bytes = pattern(40 * STRIPE);
  await service.putObject({
    ...putRequest('bucket', 'k', bytes),
    body: bodyOf(bytes, { pieceBytes: 65_536 }),
  });
  expect(most).toBeLessThanOrEqual(3);
  expect((await getBytes(service, 'bucket', 'k')).equals(bytes)).toBe(true);
  expect(stripes.openPiecesMax).toBeLessThanOrEqual(4);
});
