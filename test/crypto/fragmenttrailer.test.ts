import { blake3 } from '@noble/hashes/blake3.js';
import { expect, test } from 'vitest';
import { createKeyedBlake3, blake3 as ourBlake3 } from '../../src/coding/blake3.ts';
import { parseTrailer, TRAILER_BODY_BYTES, TRAILER_BYTES } from '../../src/coding/trailer.ts';
import { sealTrailer, verifyTrailer } from '../../src/crypto/fragmenttrailer.ts';
import { flipped, hex, readVectors } from './support.ts';

interface TrailerVector {
  codec: number;
  k: number;
  m: number;
  index: number;
  keyGeneration: number;
  bytes: string;
  stripeLength: number;
  name: string;
  trailer: string;
}

const vectors = readVectors<{ fragmentMac: string; trailers: TrailerVector[] }>('fragment-trailers.json');
const mac = await createKeyedBlake3(hex(vectors.fragmentMac));

function fieldsOf(vector: TrailerVector) {
  const { codec, k, m, index, keyGeneration } = vector;
  const bytes = hex(vector.bytes);
  const stripeLengthBytes = vector.stripeLength;
  const root = ourBlake3(bytes);
  return { codec, k, m, index, keyGeneration, fragmentLengthBytes: bytes.length, stripeLengthBytes, root };
}

test.each(vectors.trailers)('trailer of fragment $index of $k + $m', (vector) => {
  const name = hex(vector.name);
  const target = Buffer.alloc(TRAILER_BYTES + 8, 0xee);
  sealTrailer(mac, name, fieldsOf(vector), target);
  expect(target.subarray(0, TRAILER_BYTES).toString('hex')).toBe(vector.trailer);
  expect(target.subarray(TRAILER_BYTES).every((byte) => byte === 0xee)).toBe(true);

  const body = hex(vector.trailer).subarray(0, TRAILER_BODY_BYTES);
  const onceMore = blake3(Buffer.concat([name, body]), { key: hex(vectors.fragmentMac) });
  expect(Buffer.from(onceMore).toString('hex')).toBe(vector.trailer.slice(2 * TRAILER_BODY_BYTES));
  expect(body.subarray(16).toString('hex')).toBe(Buffer.from(blake3(hex(vector.bytes))).toString('hex'));

  const { mac: _, ...parsed } = parseTrailer(hex(vector.trailer)) ?? expect.fail('not a trailer');
  expect(parsed).toEqual(fieldsOf(vector));
  expect(verifyTrailer(mac, name, hex(vector.trailer))).toMatchObject({ index: vector.index });
});

const [first, second] = vectors.trailers as [TrailerVector, TrailerVector];

test('a trailer with any byte altered, cut, or extended does not verify', () => {
  const trailer = hex(first.trailer);
  for (let at = 0; at < TRAILER_BYTES; at++) {
    expect(verifyTrailer(mac, hex(first.name), flipped(trailer, at)), `byte ${at}`).toBeUndefined();
  }
  expect(verifyTrailer(mac, hex(first.name), trailer.subarray(1))).toBeUndefined();
  expect(verifyTrailer(mac, hex(first.name), Buffer.concat([trailer, Buffer.of(0)]))).toBeUndefined();
});

test('a trailer is good for its own name and grid only', async () => {
  expect(verifyTrailer(mac, hex(second.name), hex(first.trailer))).toBeUndefined();
  expect(verifyTrailer(mac, hex(first.name).subarray(1), hex(first.trailer))).toBeUndefined();
  const foreign = await createKeyedBlake3(Buffer.alloc(32, 1));
  expect(verifyTrailer(foreign, hex(first.name), hex(first.trailer))).toBeUndefined();
});

test('trailers may lie in shared memory', () => {
  const target = new Uint8Array(new SharedArrayBuffer(TRAILER_BYTES));
  sealTrailer(mac, hex(first.name), fieldsOf(first), target);
  expect(Buffer.from(target).toString('hex')).toBe(first.trailer);
  expect(verifyTrailer(mac, hex(first.name), target)).toBeDefined();
});

test('stripes that cannot be are neither written nor read', () => {
  const good = fieldsOf(first);
  const target = Buffer.alloc(TRAILER_BYTES);
  for (const wrong of [{ k: 0 }, { k: 254, m: 2 }, { index: 6 }, { stripeLengthBytes: 257 }]) {
    expect(() => sealTrailer(mac, hex(first.name), { ...good, ...wrong }, target)).toThrow(
      'impossible stripe',
    );
  }
  const layout = { format: 0, k: 2, index: 4, flags: 5 };
  for (const [field, value] of [
    ['format', 2],
    ['format', 0],
    ['k', 0],
    ['k', 255],
    ['index', 6],
    ['flags', 1],
  ] as const) {
    const altered = hex(first.trailer);
    altered[layout[field]] = value;
    expect(parseTrailer(altered), `${field} ${value}`).toBeUndefined();
  }
});
