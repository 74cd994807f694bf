/** Clients that send slowly, or stop, hold no stripe buffers: others go on writing. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CHUNK_PLAINTEXT_BYTES } from '../../src/crypto/chunked.ts';
import type { IncomingBody } from '../../src/objects/types.ts';
import { SimulatedClock } from '../simulation/clock.ts';
import { checkInvariants } from './invariants.ts';
import { bodyOf, createWorld, getBytes, pattern, putRequest, type World } from './world.ts';

const MIB = 1024 * 1024;
const clock = new SimulatedClock();
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const settle = async () => {
  for (let i = 0; i < 20; i++) await turn();
};

let world: World;
beforeEach(async () => {
  world = await createWorld({ clock, chunksPerStripe: 256, openChunksMax: 64, buffers: 4 });
  await world.service.createBucket('bucket', 'us-east-1');
});
afterEach(async () => {
  await checkInvariants(world);
  await world.close();
});

/** A body that stops for a while at each of `stops`, byte offsets that are multiples of 16 KiB. */
function pausing(bytes: Buffer, stops: readonly number[], known: boolean) {
  const waiting: (() => void)[] = [];
  const body: IncomingBody = {
    ...bodyOf(bytes, known ? {} : { lengthBytes: undefined }),
    async *[Symbol.asyncIterator]() {
      for (let at = 0; at < bytes.length; at += CHUNK_PLAINTEXT_BYTES) {
        if (stops.includes(at)) await new Promise<void>((resolve) => waiting.push(resolve));
        yield bytes.subarray(at, at + CHUNK_PLAINTEXT_BYTES);
      }
      if (stops.includes(bytes.length)) await new Promise<void>((resolve) => waiting.push(resolve));
    },
  };
  return { body, go: () => waiting.shift()?.() };
}

it.each([
  [true, 0],
  [false, 0],
  [true, 100],
  [false, 100],
])(
  'an upload that stops anywhere leaves the buffers to others (length known: %s, tail of %i)',
  async (known, tail) => {
    const { service, stripes } = world;
    const size = 10 * MIB + 12 * CHUNK_PLAINTEXT_BYTES + tail;
    const bytes = pattern(size, 1);
    // In the head, inside a stripe, at the end of a stripe, behind the last byte.
    const stops = [MIB / 2, 3 * MIB, 4 * MIB, 7 * MIB + CHUNK_PLAINTEXT_BYTES, size];
    for (const stop of stops) {
      const slow = Array.from({ length: 5 }, () => pausing(bytes, [stop], known));
      const puts = slow.map(({ body }, i) =>
        service.putObject({ ...putRequest('bucket', `slow${i}`, bytes), body }),
      );
      for (let i = 0; i < 6; i++) {
        await settle();
        await clock.advance(600);
      }
      expect(stripes.pool.available, `buffers free while all stop at ${stop}`).toBe(stripes.pool.capacity);
      await service.putObject(putRequest('bucket', 'small', pattern(100, stop)));
      await service.putObject(putRequest('bucket', 'large', pattern(5 * MIB, stop), { pieceBytes: 65_536 }));
      for (const { go } of slow) go();
      await Promise.all(puts);
      expect((await getBytes(service, 'bucket', 'slow4')).equals(bytes), `slow at ${stop}`).toBe(true);
      expect((await getBytes(service, 'bucket', 'large')).equals(pattern(5 * MIB, stop))).toBe(true);
    }
  },
);

it('a client that is always slow gets shorter stripes, and its bytes back', async () => {
  const { service, stripes } = world;
  const bytes = pattern(5 * MIB + 77, 2);
  const stops = Array.from({ length: 20 }, (_, i) => i * 16 * CHUNK_PLAINTEXT_BYTES);
  const { body, go } = pausing(bytes, stops, true);
  let done = false;
  const put = service.putObject({ ...putRequest('bucket', 'k', bytes), body }).finally(() => {
    done = true;
  });
  while (!done) {
    await settle();
    await clock.advance(300);
    go();
  }
  await put;
  expect(stripes.writes).toBe(6);
  expect((await getBytes(service, 'bucket', 'k')).equals(bytes)).toBe(true);
});
