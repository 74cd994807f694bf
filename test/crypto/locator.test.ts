import { randomBytes } from 'node:crypto';
import { blake3 } from '@noble/hashes/blake3.js';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FRAGMENT_NAME_BYTES } from '../../src/coding/trailer.ts';
import {
  createLocator,
  decodePosition,
  encodePosition,
  type Position,
  positionKinds,
  stripeIdOf,
} from '../../src/crypto/locator.ts';
import { flipped, hex, readVectors } from './support.ts';

const vectors = readVectors<{
  locator1: string;
  locator2: string;
  names: (Omit<Position, 'kind'> & { kind: keyof typeof positionKinds; position: string; name: string })[];
}>('locator-names.json');

const keys = { locator1: hex(vectors.locator1), locator2: hex(vectors.locator2) };
const locator = await createLocator(keys);

const u32 = fc.oneof(fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
const positions: fc.Arbitrary<Position> = fc.record({
  kind: fc.constantFrom(...Object.values(positionKinds)),
  index: fc.integer({ min: 0, max: 255 }),
  logId: fc.integer({ min: 0, max: 65_535 }),
  term: u32,
  start: u32,
  counter: u32,
});

test.each(vectors.names)('name of $kind $index/$logId/$term/$start/$counter', (vector) => {
  const { position: bytes, name, ...fields } = vector;
  const position: Position = { ...fields, kind: positionKinds[fields.kind] };
  expect(encodePosition(position).toString('hex')).toBe(bytes);
  expect(locator.nameOf(position).toString('hex')).toBe(name);
  expect(locator.invert(hex(name))).toEqual(position);

  const tag = blake3(hex(bytes), { key: keys.locator1 }).subarray(0, 16);
  const mask = blake3(tag, { key: keys.locator2 }).subarray(0, 16);
  const onceMore = Buffer.concat([tag, hex(bytes).map((byte, i) => byte ^ (mask[i] ?? 0))]);
  expect(onceMore.toString('hex')).toBe(name);
});

test('every position comes back from its bytes and from its name', () => {
  fc.assert(
    fc.property(positions, (position) => {
      expect(decodePosition(encodePosition(position))).toEqual(position);
      const name = locator.nameOf(position);
      expect(name.length).toBe(FRAGMENT_NAME_BYTES);
      expect(locator.invert(name)).toEqual(position);
      expect(locator.fragmentName(stripeIdOf(position), position.index).equals(name)).toBe(true);
    }),
  );
});

test('a name with any bit flipped, of another length or of another grid does not invert', async () => {
  const position: Position = { kind: positionKinds.data, index: 1, logId: 2, term: 3, start: 4, counter: 5 };
  const name = locator.nameOf(position);
  for (let at = 0; at < FRAGMENT_NAME_BYTES; at++) expect(locator.invert(flipped(name, at))).toBeUndefined();
  for (const length of [0, 31, 33]) expect(locator.invert(Buffer.alloc(length))).toBeUndefined();
  for (let i = 0; i < 200; i++) expect(locator.invert(randomBytes(FRAGMENT_NAME_BYTES))).toBeUndefined();
  const swapped = await createLocator({ locator1: keys.locator2, locator2: keys.locator1 });
  const foreign = await createLocator({ locator1: randomBytes(32), locator2: randomBytes(32) });
  expect(swapped.invert(name)).toBeUndefined();
  expect(foreign.invert(name)).toBeUndefined();
});

test('names of siblings have nothing in common', () => {
  const stripe = stripeIdOf({ kind: positionKinds.data, index: 9, logId: 0, term: 1, start: 1, counter: 1 });
  const halves = new Set<string>();
  for (let index = 0; index < 255; index++) {
    const name = locator.fragmentName(stripe, index).toString('hex');
    halves.add(name.slice(0, 32)).add(name.slice(32));
  }
  expect(halves.size).toBe(2 * 255);
});

test('a name of an unknown kind is left alone, and fields outside of their width are refused', () => {
  const position: Position = { kind: positionKinds.data, index: 0, logId: 0, term: 0, start: 0, counter: 0 };
  const unknown = encodePosition(position);
  for (const kind of [0, 6, 255]) {
    unknown[0] = kind;
    expect(decodePosition(unknown)).toBeUndefined();
    expect(locator.invert(locator.fragmentName(unknown, 0))).toBeUndefined();
  }
  expect(() => encodePosition({ ...position, index: 256 })).toThrow(RangeError);
  expect(() => encodePosition({ ...position, counter: 2 ** 32 })).toThrow(RangeError);
  expect(() => encodePosition({ ...position, kind: 6 as Position['kind'] })).toThrow('no known kind');
  expect(() => locator.fragmentName(encodePosition({ ...position, index: 1 }), 1)).toThrow('index 0');
});
