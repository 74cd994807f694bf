import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ANY_PAYLOAD_BYTES_MAX,
  fragmentAreaBytesMax,
  fullPayloadBytes,
  padme,
  stripePlaintextBytesMax,
  stripeShape,
} from '../../src/stripes/shape.ts';

/** The algorithm as the PURBs paper prints it, on big integers. */
function paperPadme(length: bigint): bigint {
  let exponent = 0n;
  while (1n << (exponent + 1n) <= length) exponent++;
  let sizeBits = 0n;
  while (1n << (sizeBits + 1n) <= exponent) sizeBits++;
  const lastBits = exponent - (sizeBits + 1n);
  const mask = (1n << lastBits) - 1n;
  return (length + mask) & ~mask;
}

describe('Padmé', () => {
  test('is what the paper says', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 2 ** 30 }), (length) => {
        expect(padme(length)).toBe(Number(paperPadme(BigInt(length))));
      }),
    );
    expect([0, 1, 2, 9, 1_000_000].map(padme)).toEqual([0, 1, 2, 10, 1_015_808]);
  });

  test('adds at most 12 % and never shortens', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 30 }), (length) => {
        const padded = padme(length);
        expect(padded).toBeGreaterThanOrEqual(length);
        expect(padded).toBeLessThanOrEqual(length * 1.12);
        expect(padme(padded)).toBe(padded);
      }),
    );
  });
});

describe('the shape of a stripe', () => {
  test('a full 4 + 2 stripe has 256 chunks, 64 to a fragment', () => {
    expect(stripePlaintextBytesMax(4)).toBe(4 * 1024 * 1024);
    expect(fullPayloadBytes(4)).toBe(256 * 16_400);
    expect(stripeShape(fullPayloadBytes(4), 4)).toEqual({
      stripeLengthBytes: 4_198_400,
      fragmentLengthBytes: 1_049_600,
    });
  });

  test.each([1, 2, 3, 4, 10, 16, 85, 100, 128, 129, 254, 255])(
    'at k = %i a full stripe is whole chunks in every fragment',
    (k) => {
      const { fragmentLengthBytes, stripeLengthBytes } = stripeShape(fullPayloadBytes(k), k);
      expect(fragmentLengthBytes % 16_400).toBe(0);
      expect(k * fragmentLengthBytes).toBe(stripeLengthBytes);
      expect((stripePlaintextBytesMax(k) / 16_384) * 16_400).toBe(stripeLengthBytes);
    },
  );

  test('any other payload is padded, cut in k and rounded up to 64 bytes', () => {
    expect(stripeShape(16, 4)).toEqual({ stripeLengthBytes: 16, fragmentLengthBytes: 64 });
    expect(stripeShape(1_000_000, 4)).toEqual({ stripeLengthBytes: 1_015_808, fragmentLengthBytes: 253_952 });
    expect(stripeShape(1_000_000, 3)).toEqual({ stripeLengthBytes: 1_015_808, fragmentLengthBytes: 338_624 });
    expect(() => stripeShape(0, 4)).toThrow();
  });

  test('the fragment area has room for every payload and every narrower code, and a fragment fits a node', () => {
    const geometry = fc.tuple(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 0, max: 16 }));
    fc.assert(
      fc.property(geometry, fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(), ([k, m], part, pick) => {
        const payloadBytes = 16 + Math.floor(part * (ANY_PAYLOAD_BYTES_MAX - 16));
        const narrower = 1 + (pick % k);
        const { fragmentLengthBytes, stripeLengthBytes } = stripeShape(payloadBytes, narrower);
        expect((narrower + m) * fragmentLengthBytes).toBeLessThanOrEqual(fragmentAreaBytesMax(k, m));
        expect(narrower * fragmentLengthBytes).toBeGreaterThanOrEqual(stripeLengthBytes);
        expect(fragmentLengthBytes + 80).toBeLessThanOrEqual(8 * 1024 * 1024);
      }),
    );
  });
});
