import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { systemRandom } from '../../src/base/random.ts';
import { deriveGridKeys } from '../../src/crypto/gridkeys.ts';
import { EPOCH_AGE_MS_MAX, EPOCH_USES_MAX, EpochKeyring } from '../../src/crypto/keyring.ts';
import { SimulatedClock } from '../simulation/clock.ts';
import { authenticationFailure } from './support.ts';

const keys = deriveGridKeys({ gridSecret: randomBytes(32), gridId: randomBytes(16), generation: 1 });
const bucketId = randomBytes(16);

function makeKeyring(limits: { currentEpochsMax?: number; openedEpochsMax?: number } = {}) {
  const clock = new SimulatedClock();
  return { clock, keyring: new EpochKeyring({ keys, clock, random: systemRandom, ...limits }) };
}

test('writers share an epoch and all carry its record until it is durable', () => {
  const { clock, keyring } = makeKeyring();
  const [first, second] = [keyring.current(bucketId), keyring.current(bucketId)];
  expect(second.epoch).toBe(first.epoch);
  expect(second.record).toBe(first.record);
  expect(first.record?.createdMs).toBe(clock.nowMs());
  keyring.markDurable(first.epoch);
  expect(keyring.current(bucketId)).toEqual({ epoch: first.epoch, record: undefined });
});

test('buckets have epochs of their own, and one bucket cannot open that of another', () => {
  const { keyring } = makeKeyring();
  const { epoch, record } = keyring.current(bucketId);
  const other = randomBytes(16);
  expect(keyring.current(other).epoch.epochId.equals(epoch.epochId)).toBe(false);
  expect(keyring.cached(bucketId, epoch.epochId)).toBe(epoch);
  expect(keyring.cached(other, epoch.epochId)).toBeUndefined();
  expect(() => keyring.open(other, epoch.epochId, record!)).toThrow(authenticationFailure);
});

test('an epoch ends after ten minutes, whatever the wall clock says', async () => {
  const { clock, keyring } = makeKeyring();
  const { epoch } = keyring.current(bucketId);
  clock.jumpWall(24 * 3_600_000);
  expect(keyring.current(bucketId).epoch).toBe(epoch);
  await clock.advance(EPOCH_AGE_MS_MAX - 1);
  expect(keyring.current(bucketId).epoch).toBe(epoch);
  await clock.advance(1);
  const next = keyring.current(bucketId);
  expect(next.epoch.epochId.equals(epoch.epochId)).toBe(false);
  expect(next.epoch.key.equals(epoch.key)).toBe(false);
  keyring.markDurable(epoch);
  expect(keyring.current(bucketId).record).toBe(next.record);
  expect(keyring.cached(bucketId, epoch.epochId)).toBe(epoch);
});

test('an epoch ends after 2^20 versions', () => {
  const { keyring } = makeKeyring();
  const { epoch } = keyring.current(bucketId);
  let last = epoch;
  for (let uses = 1; uses < EPOCH_USES_MAX; uses++) last = keyring.current(bucketId).epoch;
  expect(last).toBe(epoch);
  expect(keyring.current(bucketId).epoch).not.toBe(epoch);
});

test('another gateway of the grid opens the epoch from its record', () => {
  const { epoch, record } = makeKeyring().keyring.current(bucketId);
  const { keyring } = makeKeyring();
  expect(keyring.cached(bucketId, epoch.epochId)).toBeUndefined();
  const opened = keyring.open(bucketId, epoch.epochId, record!);
  expect(opened).toEqual(epoch);
  expect(keyring.open(bucketId, epoch.epochId, record!)).toBe(opened);
  expect(keyring.cached(bucketId, epoch.epochId)).toBe(opened);
});

test('memory is bounded, and what was used last stays', () => {
  const { keyring } = makeKeyring({ currentEpochsMax: 2, openedEpochsMax: 3 });
  const buckets = [1, 2, 3].map((fill) => Buffer.alloc(16, fill)) as [Buffer, Buffer, Buffer];
  const [a, b] = [keyring.current(buckets[0]).epoch, keyring.current(buckets[1]).epoch];
  expect(keyring.current(buckets[0]).epoch).toBe(a);
  keyring.current(buckets[2]);
  expect(keyring.current(buckets[0]).epoch).toBe(a);
  keyring.markDurable(b);
  expect(keyring.current(buckets[1]).epoch).not.toBe(b);
  keyring.current(buckets[2]);
  expect(keyring.cached(buckets[0], a.epochId)).toBeUndefined();
});

test('a deleted bucket starts anew', () => {
  const { keyring } = makeKeyring();
  const { epoch } = keyring.current(bucketId);
  keyring.forget(bucketId);
  expect(keyring.current(bucketId).epoch).not.toBe(epoch);
});
