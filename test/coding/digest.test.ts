import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { combineCrcs, crcAlgorithms } from '../../src/coding/crc.ts';
import { createBodyDigest, createDigest, digestNow } from '../../src/coding/digest.ts';
import { type DigestAlgorithm, digestAlgorithms } from '../../src/coding/digests.ts';

const check = Buffer.from('123456789');

function digestOf(algorithm: DigestAlgorithm, ...pieces: Uint8Array[]): Buffer {
  const digest = createDigest(algorithm);
  for (const piece of pieces) digest.update(piece);
  return digest.digest();
}

describe('published check values of "123456789"', () => {
  // CRCs: reveng.sourceforge.io/crc-catalogue; hashes: RFC 1321, FIPS 180-4 implementations.
  test.each([
    ['md5', '25f9e794323b453885f5181f1b624d0b'],
    ['sha1', 'f7c3bc1d808e04732adf679965ccc34ca7ae3441'],
    ['sha256', '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225'],
    ['crc32', 'cbf43926'],
    ['crc32c', 'e3069283'],
    ['crc64nvme', 'ae8b14860a799888'],
  ] as const)('%s', (algorithm, expected) => {
    expect(digestOf(algorithm, check).toString('hex')).toBe(expected);
  });

  // RFC 3720, appendix B.4.
  test.each([
    [new Uint8Array(32), '8a9136aa'],
    [new Uint8Array(32).fill(0xff), '62a8ab43'],
    [Uint8Array.from({ length: 32 }, (_, i) => i), '46dd794e'],
  ])('the CRC-32C of RFC 3720 %#', (bytes, expected) => {
    expect(digestOf('crc32c', bytes).toString('hex')).toBe(expected);
  });

  test('of nothing', () => {
    expect(digestOf('md5').toString('hex')).toBe('d41d8cd98f00b204e9800998ecf8427e');
    expect(digestOf('crc32').toString('hex')).toBe('00000000');
    expect(digestOf('crc32c').toString('hex')).toBe('00000000');
    expect(digestOf('crc64nvme').toString('hex')).toBe('0000000000000000');
  });
});

describe.each(digestAlgorithms)('%s', (algorithm) => {
  test('in pieces gives what it gives in one, also interleaved with another and from shared memory', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }), (pieces) => {
        const first = createDigest(algorithm);
        const other = createDigest(algorithm);
        for (const piece of pieces) {
          const shared = new Uint8Array(new SharedArrayBuffer(piece.length));
          shared.set(piece);
          first.update(shared);
          other.update(check);
        }
        return first.digest().equals(digestOf(algorithm, Buffer.concat(pieces)));
      }),
    );
  });
});

describe.each(crcAlgorithms)('CRCs of parts combine to that of the whole: %s', (algorithm) => {
  test('for random parts', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), fc.uint8Array({ maxLength: 2000 }), (a, b) => {
        const combined = combineCrcs(algorithm, digestOf(algorithm, a), digestOf(algorithm, b), b.length);
        return combined.equals(digestOf(algorithm, a, b));
      }),
    );
  });

  test('for parts of megabytes', () => {
    const a = Buffer.alloc(5 * 1024 * 1024, 'part one');
    const b = Buffer.alloc(3 * 1024 * 1024 + 17, 'part two');
    const combined = combineCrcs(algorithm, digestOf(algorithm, a), digestOf(algorithm, b), b.length);
    expect(combined.equals(digestOf(algorithm, a, b))).toBe(true);
  });

  test('in any grouping, at lengths beyond 32 bits', () => {
    const [a, b, c] = ['one', 'two', 'three'].map((text) => digestOf(algorithm, Buffer.from(text)));
    const [lengthB, lengthC] = [5 * 2 ** 40 + 12_345, 2 ** 33 + 1];
    const left = combineCrcs(algorithm, combineCrcs(algorithm, a!, b!, lengthB), c!, lengthC);
    const right = combineCrcs(algorithm, a!, combineCrcs(algorithm, b!, c!, lengthC), lengthB + lengthC);
    expect(left.equals(right)).toBe(true);
  });

  test('a value of the wrong width is refused', () => {
    expect(() => combineCrcs(algorithm, Buffer.alloc(3), Buffer.alloc(3), 1)).toThrow(/bytes/);
  });
});

test('a body digest is what was asked for, nothing else', () => {
  expect(digestNow([], check)).toEqual({});
  expect(Object.keys(digestNow(['crc32'], check))).toEqual(['crc32']);
  const digests = digestNow(['crc32c', 'sha256', 'md5', 'crc32c'], check);
  expect(Object.keys(digests).sort()).toEqual(['crc32c', 'md5', 'sha256']);
  expect(digests.md5?.equals(digestOf('md5', check))).toBe(true);
  expect(digests.crc32c?.equals(digestOf('crc32c', check))).toBe(true);
  const running = createBodyDigest(['sha1']);
  running.update(check.subarray(0, 4));
  running.update(check.subarray(4));
  expect(running.digest().sha1?.equals(digestOf('sha1', check))).toBe(true);
});
