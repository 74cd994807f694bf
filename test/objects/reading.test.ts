/** GETs while the object is overwritten, deleted, moved or altered. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { MINUTE_MS } from '../../src/base/units.ts';
import { keys, prefixes } from '../../src/metadata/keys.ts';
import { decodeRecord, encodeRecord, type VersionRecord } from '../../src/metadata/records.ts';
import { SimulatedClock } from '../simulation/clock.ts';
import { checkInvariants } from './invariants.ts';
import { createWorld, getBytes, pattern, putRequest, readAll, readBody, type World } from './world.ts';

const failure = (code: string) => expect.objectContaining({ code });
const signal = new AbortController().signal;
const clock = new SimulatedClock();

let world: World;
beforeEach(async () => {
  world = await createWorld({ clock });
  await world.service.createBucket('bucket', 'us-east-1');
});
afterEach(async () => {
  await world.close();
});

it.each([100, 900_000])('a GET that began before an overwrite ends with the old %i bytes', async (size) => {
  const { service, stripes } = world;
  await service.putObject(putRequest('bucket', 'k', pattern(size, 1)));
  const body = await service.getObject({ bucket: 'bucket', key: 'k' });
  const stream = body.stream(signal);
  const first = Buffer.from((await stream.next()).value as Uint8Array);
  await service.putObject(putRequest('bucket', 'k', pattern(size, 2)));
  await service.deleteObject('bucket', 'k');
  await world.upkeep.collectGarbage(1000);
  await world.sweepTombs();
  const rest = await readBody(stream);
  expect(Buffer.concat([first, rest]).equals(pattern(size, 1))).toBe(true);
  await checkInvariants(world);
  await world.sweepTombs();
  expect(stripes.payloads.size).toBe(0);
});

it('a body that nobody reads does not hold the object for ever', async () => {
  const { service, stripes } = world;
  await service.putObject(putRequest('bucket', 'k', pattern(100)));
  await service.getObject({ bucket: 'bucket', key: 'k' });
  await service.deleteObject('bucket', 'k');
  await world.upkeep.idle();
  expect(await world.upkeep.collectGarbage(100)).toMatchObject({ collected: 0, left: 1 });
  await clock.advance(MINUTE_MS);
  await checkInvariants(world);
  await world.sweepTombs();
  expect(stripes.payloads.size).toBe(0);
});

it('what a crash leaves of a deferred release is collected at the next start', async () => {
  const { service } = world;
  await service.putObject(putRequest('bucket', 'k', pattern(100)));
  await service.getObject({ bucket: 'bucket', key: 'k' });
  await service.deleteObject('bucket', 'k');
  world = await world.restart();
  expect(await world.upkeep.collectGarbage(100)).toMatchObject({ collected: 1, left: 0 });
  await checkInvariants(world);
  expect(await readAll(world.engine, prefixes.garbage())).toEqual([]);
});

it('a window whose stripe is gone resolves once more, then gives up', async () => {
  const { service, stripes } = world;
  await service.putObject(putRequest('bucket', 'k', pattern(900_000)));
  let failures = 1;
  stripes.beforeOpen = () => {
    failures -= 1;
    if (failures >= 0) throw new HoldfastError('DataUnavailable');
  };
  expect((await getBytes(service, 'bucket', 'k')).equals(pattern(900_000))).toBe(true);
  failures = 1000;
  await expect(getBytes(service, 'bucket', 'k')).rejects.toEqual(failure('DataUnavailable'));
  stripes.beforeOpen = () => {};
  await checkInvariants(world);
});

it('exchanged metadata is refused', async () => {
  const { service, engine, committer } = world;
  await service.putObject(putRequest('bucket', 'a', pattern(100, 1)));
  await service.putObject(putRequest('bucket', 'b', pattern(100, 2)));
  expect((await getBytes(service, 'bucket', 'a')).equals(pattern(100, 1))).toBe(true);
  const [a, b] = await readAll(engine, Buffer.from('o'));
  if (a === undefined || b === undefined) throw new Error('two objects are stored');
  const get = () => getBytes(service, 'bucket', 'a');
  const put = (value: Buffer) => committer.commit([{ type: 'put', key: a[0], value }]);
  const version = decodeRecord<VersionRecord>(a[1]);
  const other = decodeRecord<VersionRecord>(b[1]);

  await put(b[1]);
  await expect(get(), 'the record of another name').rejects.toEqual(failure('AuthenticationFailed'));
  await put(encodeRecord<VersionRecord>({ ...version, contentId: other.contentId as Buffer }));
  await expect(get(), 'the content of another name').rejects.toEqual(failure('AuthenticationFailed'));
  await put(encodeRecord<VersionRecord>({ ...version, sizeBytes: 99 }));
  await expect(get(), 'another length').rejects.toEqual(failure('AuthenticationFailed'));
  await put(a[1]);
  const contentKey = keys.content(version.contentId as Buffer, 0);
  const contentBytes = (await engine.get(contentKey)) as Buffer;
  const otherContent = (await engine.get(keys.content(other.contentId as Buffer, 0))) as Buffer;
  await committer.commit([{ type: 'put', key: contentKey, value: otherContent }]);
  await expect(get(), 'the record of another content').rejects.toEqual(failure('AuthenticationFailed'));
  await committer.commit([{ type: 'put', key: contentKey, value: contentBytes }]);
  expect((await get()).equals(pattern(100, 1))).toBe(true);
});

it('a payload with a flipped bit never reaches the client', async () => {
  const { service, stripes } = world;
  await service.putObject(putRequest('bucket', 'k', pattern(300_000)));
  for (const payload of stripes.payloads.values()) payload[20_000] = (payload[20_000] ?? 0) ^ 1;
  const body = await service.getObject({ bucket: 'bucket', key: 'k' });
  let received = 0;
  const reading = (async () => {
    for await (const piece of body.stream(signal)) {
      expect(Buffer.from(piece).equals(pattern(300_000).subarray(received, received + piece.length))).toBe(
        true,
      );
      received += piece.length;
    }
  })();
  await expect(reading).rejects.toEqual(failure('AuthenticationFailed'));
});
