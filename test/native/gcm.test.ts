import { describe, expect, test } from 'vitest';
import { native } from '../../src/base/native.ts';
import { randomGcm } from './random-gcm.ts';

const { addon, reason } = native();

describe.skipIf(addon === undefined)(`native AES-256-GCM (${reason ?? 'addon'})`, () => {
  /** McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 and 14: no data, and one block of zeros. */
  test.each([
    [0, '530f8afbc74536b9a963b4f1c4cb738b'],
    [16, 'cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919'],
  ])('published vector of %i bytes', (bytes, expected) => {
    const sealed = new Uint8Array(bytes + 16);
    addon!.sealChunksNow(new Uint8Array(44), new Uint8Array(bytes), sealed, 0, true);
    expect(Buffer.from(sealed).toString('hex')).toBe(expected);
    expect(addon!.openChunksNow(new Uint8Array(44), sealed, new Uint8Array(bytes), 0, true)).toBe(bytes);
  });

  test('a bad chunk is named and leaves no plaintext', () => {
    const [keys, plaintext] = [new Uint8Array(44).fill(7), new Uint8Array(3 * 16_384).fill(9)];
    const sealed = new Uint8Array(3 * 16_400 + 16);
    addon!.sealChunksNow(keys, plaintext, sealed, 0, true);
    sealed[16_400 + 5]! ^= 1;
    const opened = new Uint8Array(plaintext.length).fill(1);
    expect(addon!.openChunksNow(keys, sealed, opened, 0, true)).toBe(-2);
    expect(opened.subarray(16_384, 2 * 16_384).every((byte) => byte === 0)).toBe(true);
  });

  test('random calls agree with the portable twin', () => randomGcm(2000, 5));
});
