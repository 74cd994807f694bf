import { createHmac, hkdfSync } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hkdfExpandSha512, hmacSha512 } from '../../src/crypto/hkdf.ts';
import { expandOnceMore } from './support.ts';

/** RFC 4231 section 4, HMAC-SHA-512; test case 5 is the truncated one. */
const rfc4231 = [
  {
    key: '0b'.repeat(20),
    data: Buffer.from('Hi There').toString('hex'),
    mac: '87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854',
  },
  {
    key: Buffer.from('Jefe').toString('hex'),
    data: Buffer.from('what do ya want for nothing?').toString('hex'),
    mac: '164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737',
  },
  {
    key: 'aa'.repeat(20),
    data: 'dd'.repeat(50),
    mac: 'fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb',
  },
  {
    key: '0102030405060708090a0b0c0d0e0f10111213141516171819',
    data: 'cd'.repeat(50),
    mac: 'b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3dba91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd',
  },
  {
    key: 'aa'.repeat(131),
    data: Buffer.from('Test Using Larger Than Block-Size Key - Hash Key First').toString('hex'),
    mac: '80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598',
  },
  {
    key: 'aa'.repeat(131),
    data: Buffer.from(
      'This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.',
    ).toString('hex'),
    mac: 'e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58',
  },
];

test.each(rfc4231)('HMAC-SHA-512 gives the result of RFC 4231 for key $key', ({ key, data, mac }) => {
  expect(hmacSha512(Buffer.from(key, 'hex'), Buffer.from(data, 'hex')).toString('hex')).toBe(mac);
});

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });

test('HMAC-SHA-512 agrees with node for every length, however the message is cut', () => {
  fc.assert(
    fc.property(bytes(200), fc.array(bytes(700), { maxLength: 4 }), (key, pieces) => {
      const expected = createHmac('sha512', key).update(Buffer.concat(pieces)).digest();
      expect(hmacSha512(key, ...pieces).equals(expected)).toBe(true);
    }),
  );
});

test('HKDF-Expand agrees with an independent implementation for every length', () => {
  const length = fc.oneof(
    fc.constantFrom(1, 63, 64, 65, 76, 128, 129, 255 * 64),
    fc.integer({ min: 1, max: 700 }),
  );
  fc.assert(
    fc.property(bytes(200), fc.array(bytes(600), { maxLength: 3 }), length, (key, pieces, lengthBytes) => {
      const expected = expandOnceMore(key, Buffer.concat(pieces), lengthBytes);
      expect(hkdfExpandSha512(key, lengthBytes, ...pieces).equals(expected)).toBe(true);
    }),
  );
});

test('extract followed by our expand is what node calls HKDF', () => {
  const salt = Buffer.from('000102030405060708090a0b0c', 'hex');
  const info = Buffer.from('f0f1f2f3f4f5f6f7f8f9', 'hex');
  const inputKey = Buffer.alloc(22, 0x0b);
  const expanded = hkdfExpandSha512(hmacSha512(salt, inputKey), 82, info);
  expect(expanded.equals(Buffer.from(hkdfSync('sha512', inputKey, salt, info, 82)))).toBe(true);
});

test('keys and messages may lie in shared memory, and results never lie in the pool', () => {
  const shared = new Uint8Array(new SharedArrayBuffer(96)).fill(7);
  const plain = new Uint8Array(96).fill(7);
  const mac = hmacSha512(shared.subarray(0, 32), shared);
  expect(mac.equals(hmacSha512(plain.subarray(0, 32), plain))).toBe(true);
  expect(mac.buffer.byteLength).toBe(64);
  expect(hkdfExpandSha512(shared, 76, shared).buffer.byteLength).toBe(76);
});

test('a length outside of RFC 5869 is refused', () => {
  expect(() => hkdfExpandSha512(Buffer.alloc(32), 0)).toThrow('out of range');
  expect(() => hkdfExpandSha512(Buffer.alloc(32), 255 * 64 + 1)).toThrow('out of range');
});
