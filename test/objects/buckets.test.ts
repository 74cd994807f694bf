/** Buckets over the simulated metadata and the real committer. */
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { SlotCommitter } from '../../src/commitlog/committer.ts';
import { engineSlotWriter } from '../../src/commitlog/slot.ts';
import { keys } from '../../src/metadata/keys.ts';
import { type BucketRecord, decodeRecord } from '../../src/metadata/records.ts';
import { checkBucketName } from '../../src/objects/bucketnames.ts';
import { Buckets } from '../../src/objects/buckets.ts';
import { SimulatedMetadata } from '../simulation/metadata.ts';
import { Prng } from '../simulation/prng.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const value = Buffer.from('record');

function start(seed = 1, engine = new SimulatedMetadata(seed, { duringBatch: turn })) {
  const committer = new SlotCommitter({
    engine,
    writer: engineSlotWriter(engine),
    clock: systemClock,
    token: { term: 1, start: seed },
  });
  return {
    engine,
    committer,
    buckets: new Buckets({ engine, committer, clock: systemClock, random: new Prng(seed) }),
  };
}

describe('bucket names', () => {
  it.each(['abc', 'my-bucket', 'a.b.c', '123', 'example.com', 'a'.repeat(63), '1.2.3', '1.2.3.4.5', 'xn-a'])(
    'takes %s',
    (name) => expect(() => checkBucketName(name)).not.toThrow(),
  );

  it.each([
    '',
    'ab',
    'a'.repeat(64),
    'Upper',
    'under_score',
    '-a-b',
    'a-b-',
    '.abc',
    'abc.',
    'a..b',
    '192.168.5.4',
    'xn--bucket',
    'sthree-x',
    'amzn-s3-demo-bucket',
    'a-s3alias',
    'a--ol-s3',
    'bucket.mrap',
    'a--use1-az4--x-s3',
    'a--table-s3',
    'b/c',
    'bücket',
    'abc\n',
  ])('refuses %j', (name) => {
    expect(() => checkBucketName(name)).toThrowError(expect.objectContaining({ code: 'InvalidBucketName' }));
  });
});

describe('buckets', () => {
  it('are created, found, listed by name and deleted', async () => {
    const { buckets, engine } = start();
    for (const name of ['zoo', 'abc', 'm.m']) await buckets.create(name, 'eu-west-1');
    expect(await buckets.head('abc')).toMatchObject({ name: 'abc', region: 'eu-west-1' });
    expect((await buckets.list()).map(({ name }) => name)).toEqual(['abc', 'm.m', 'zoo']);
    await buckets.delete('m.m');
    await expect(buckets.head('m.m')).rejects.toMatchObject({ code: 'NoSuchBucket' });
    await expect(buckets.delete('m.m')).rejects.toMatchObject({ code: 'NoSuchBucket' });
    expect((await buckets.list()).map(({ name }) => name)).toEqual(['abc', 'zoo']);
    expect(engine.openCursors).toBe(0);
  });

  it('exist once, whoever comes at the same time', async () => {
    const { buckets } = start();
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => buckets.create('abc', 'r')));
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBe(1);
    await expect(buckets.create('abc', 'r')).rejects.toMatchObject({ code: 'BucketAlreadyOwnedByYou' });
  });

  it('are not deleted while objects or uploads are in them', async () => {
    const { buckets, committer } = start();
    await buckets.create('abc', 'r');
    const { record } = await buckets.find('abc');
    const object = keys.object(record.bucketId, Buffer.from('k'));
    const upload = keys.upload(record.bucketId, Buffer.from('k'), Buffer.alloc(16));
    for (const key of [object, upload]) {
      const { precondition } = await buckets.find('abc');
      await committer.commit([{ type: 'put', key, value }], [precondition]);
      await expect(buckets.delete('abc')).rejects.toMatchObject({ code: 'BucketNotEmpty' });
      expect((await buckets.find('abc')).precondition).toEqual(precondition);
      await committer.commit([{ type: 'del', key }]);
    }
    await buckets.delete('abc');
  });

  it('are other buckets when created again: what was under way for the old one is refused', async () => {
    const { buckets, committer } = start();
    await buckets.create('abc', 'r');
    const old = await buckets.find('abc');
    await buckets.delete('abc');
    await buckets.create('abc', 'r');
    const key = keys.object(old.record.bucketId, Buffer.from('k'));
    await expect(committer.commit([{ type: 'put', key, value }], [old.precondition])).rejects.toMatchObject({
      code: 'CommitConflict',
    });
  });

  it('take their epochs along, at once or at the next sweep', async () => {
    const { buckets, engine, committer } = start();
    const ids: Buffer[] = [];
    for (const name of ['abc', 'def', 'ghi']) {
      await buckets.create(name, 'r');
      const { bucketId } = (await buckets.find(name)).record;
      ids.push(bucketId);
      for (let i = 0; i < 700; i++) {
        const epochId = Buffer.alloc(16);
        epochId.writeUInt32BE(i);
        committer.commit([{ type: 'put', key: keys.epoch(bucketId, epochId), value }]).catch(() => undefined);
      }
    }
    await committer.commit([]);
    await buckets.delete('abc');
    expect(await buckets.sweepEpochs()).toBe(0);
    await committer.commit([{ type: 'del', key: keys.bucket('def') }]);
    expect(await buckets.sweepEpochs()).toBe(700);
    expect(await buckets.sweepEpochs()).toBe(0);
    const cursor = engine.cursor({ from: Buffer.from('e'), to: Buffer.from('f') });
    const left = await cursor.next(5000);
    await cursor.close();
    expect(new Set(left.map(([key]) => key.subarray(1, 17).toString('hex')))).toEqual(
      new Set([ids[2]?.toString('hex')]),
    );
    expect(left.length).toBe(700);
  });

  it('stay usable when the deletion is cut off behind its first step', async () => {
    const { buckets, engine, committer } = start();
    await buckets.create('abc', 'r');
    const { record } = await buckets.find('abc');
    let commits = 0;
    const commit = committer.commit.bind(committer);
    committer.commit = (...args) => (++commits > 1 ? new Promise(() => undefined) : commit(...args));
    void buckets.delete('abc');
    while (commits < 2) await turn();
    const again = start(2, engine.powerCut());
    const found = await again.buckets.find('abc');
    expect(found.record.bucketId).toEqual(record.bucketId);
    expect(found.record.deletions).toBe(1);
    const key = keys.object(record.bucketId, Buffer.from('k'));
    await again.committer.commit([{ type: 'put', key, value }], [found.precondition]);
    await expect(again.buckets.delete('abc')).rejects.toMatchObject({ code: 'BucketNotEmpty' });
    await again.committer.commit([{ type: 'del', key }]);
    await again.buckets.delete('abc');
  });
});

/** Writers put and delete objects, deleters delete and recreate the bucket: no acknowledged object without its bucket. */
async function race(seed: number): Promise<{ deleted: number; stored: number }> {
  const prng = new Prng(seed);
  const { buckets, engine, committer } = start(seed);
  await buckets.create('abc', 'r');
  let stored = 0;
  let deleted = 0;
  const pause = async () => {
    for (let i = prng.below(4); i > 0; i--) await turn();
  };
  const writer = async (id: number) => {
    for (let n = 0; n < 25; n++) {
      await pause();
      const found = await buckets.find('abc').catch(() => undefined);
      await pause();
      if (!found) continue;
      const key = keys.object(found.record.bucketId, Buffer.from(`${id}-${n}`));
      const put = await committer
        .commit([{ type: 'put', key, value }], [found.precondition])
        .catch(() => undefined);
      if (!put) continue;
      stored += 1;
      await pause();
      const record = await engine.get(keys.bucket('abc'));
      expect(record && decodeRecord<BucketRecord>(record).bucketId).toEqual(found.record.bucketId);
      await committer.commit([{ type: 'del', key }]);
    }
  };
  let writing = true;
  const deleter = async () => {
    while (writing) {
      await buckets.delete('abc').then(
        () => (deleted += 1),
        (error: unknown) =>
          expect(error).toMatchObject({ code: expect.stringMatching(/BucketNotEmpty|NoSuchBucket/) }),
      );
      await buckets.create('abc', 'r').catch(() => undefined);
      await pause();
    }
  };
  const deleters = [deleter(), deleter()];
  await Promise.all([0, 1].map(writer)).finally(() => (writing = false));
  await Promise.all(deleters);
  expect(engine.openCursors).toBe(0);
  return { deleted, stored };
}

describe('a deletion beside writers', () => {
  it('never takes an acknowledged object along', async () => {
    const base = Date.now() % 2 ** 31;
    const sum = { deleted: 0, stored: 0 };
    for (let i = 0; i < 30; i++) {
      const { deleted, stored } = await race(base + i).catch((error: unknown) => {
        throw new Error(`seed ${base + i}`, { cause: error });
      });
      sum.deleted += deleted;
      sum.stored += stored;
    }
    expect(sum.deleted, 'the race is a race').toBeGreaterThan(50);
    expect(sum.stored).toBeGreaterThan(50);
  });
});
