import { blake3 as noble } from '@noble/hashes/blake3.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  blake3,
  createKeyedBlake3,
  createPortableBlake3,
  createStreamingBlake3,
} from '../../src/coding/blake3.ts';
import { createBlake3Simd } from '../../src/coding/blake3simd.ts';
import { patternBytes } from '../conformance/codec.ts';

/** The input of the published vectors. */
function vectorInput(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i % 251);
}

// github.com/BLAKE3-team/BLAKE3, test_vectors/test_vectors.json: the first 32 bytes of `hash`.
const published: readonly (readonly [number, string])[] = [
  [0, 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262'],
  [1, '2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213'],
  [1023, '10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11'],
  [1024, '42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7'],
  [1025, 'd00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444'],
  [2048, 'e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a'],
  [2049, '5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030'],
  [3072, 'b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2'],
  [3073, '7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3'],
  [4096, '015094013f57a5277b59d8475c0501042c0b642e531b0a1c8f58d2163229e969'],
  [4097, '9b4052b38f1c5fc8b1f9ff7ac7b27cd242487b3d890d15c96a1c25b8aa0fb995'],
  [5120, '9cadc15fed8b5d854562b26a9536d9707cadeda9b143978f319ab34230535833'],
  [5121, '628bd2cb2004694adaab7bbd778a25df25c47b9d4155a55f8fbd79f2fe154cff'],
  [6144, '3e2e5b74e048f3add6d21faab3f83aa44d3b2278afb83b80b3c35164ebeca205'],
  [6145, 'f1323a8631446cc50536a9f705ee5cb619424d46887f3c376c695b70e0f0507f'],
  [7168, '61da957ec2499a95d6b8023e2b0e604ec7f6b50e80a9678b89d2628e99ada77a'],
  [7169, 'a003fc7a51754a9b3c7fae0367ab3d782dccf28855a03d435f8cfe74605e7817'],
];

test.each(published)('the published hash of %i bytes', (length, expected) => {
  expect(blake3(vectorInput(length)).toString('hex')).toBe(expected);
});

test('the portable path and the streaming one agree with it', async () => {
  const [portable, streaming] = [await createPortableBlake3(), await createStreamingBlake3()];
  for (const length of [0, 1, 64, 1024, 4095, 4096, 70_000, 300_000]) {
    const view = patternBytes(length, length);
    streaming.init();
    for (let at = 0; at < length; at += 9999) streaming.update(view.subarray(at, at + 9999));
    expect(portable(view).equals(blake3(view))).toBe(true);
    expect(streaming.digest().equals(blake3(view))).toBe(true);
  }
});

describe.skipIf(!createBlake3Simd())('four lanes at once', () => {
  const simd = createBlake3Simd()!;

  test.each(published.filter(([length]) => length > 1024))(
    'the published hash of %i bytes',
    (length, expected) => {
      expect(simd(vectorInput(length)).toString('hex')).toBe(expected);
    },
  );

  test('agree with @noble/hashes for every count of chunks of a stretch, whole and cut', () => {
    for (let chunks = 2; chunks <= 66; chunks++) {
      for (const cut of [0, 1, 63, 64, 1023]) {
        const view = patternBytes(chunks * 1024 - cut, chunks);
        if (view.length > 1024 && !simd(view).equals(noble(view)))
          expect.fail(`${chunks} chunks less ${cut} bytes`);
      }
    }
  });

  test('agree with hash-wasm for any length of many stretches, in shared memory at any offset', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1025, max: 700_000 }), fc.nat(7), (length, offset) => {
        const view = new Uint8Array(new SharedArrayBuffer(length + offset), offset);
        view.set(patternBytes(length, length));
        return simd(view).equals(blake3(view.subarray(0, 1), view.subarray(1)));
      }),
      { numRuns: 25 },
    );
  });

  test('a hash does not depend on what was hashed before', () => {
    const views = [200_000, 1500, 70_000, 66_000].map((length) => patternBytes(length, length));
    const once = views.map((view) => simd(view).toString('hex'));
    expect(views.toReversed().map((view) => simd(view).toString('hex'))).toEqual(once.toReversed());
  });

  test('a single chunk is not theirs', () => {
    expect(() => simd(new Uint8Array(1024))).toThrow(/tree/);
  });
});

test('the keyed mode is that of @noble/hashes', async () => {
  const key = patternBytes(32, 5);
  const keyed = await createKeyedBlake3(key);
  const view = patternBytes(5000, 6);
  expect(keyed(view.subarray(0, 77), view.subarray(77)).equals(noble(view, { key }))).toBe(true);
});
