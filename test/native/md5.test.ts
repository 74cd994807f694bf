/** The native MD5, at every level that this processor runs and with every kernel of it. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type NativeMd5State, native } from '../../src/base/native.ts';
import { requireAddon } from './levels.ts';
import { randomMd5 } from './random-md5.ts';
import { Random } from './random-source.ts';
import { mustRefuse, noBytes } from './wrong-arguments.ts';

const LENGTH_MAX = 2100;
const RANDOM_CALLS = 3000;
const { addon: found, reason } = native();
const random = new Random(11);
const arena = random.fill(new Uint8Array(1 << 16));
const expectedOf = (bytes: Uint8Array) => createHash('md5').update(bytes).digest();

// RFC 1321, appendix A.5.
const suite = [
  ['', 'd41d8cd98f00b204e9800998ecf8427e'],
  ['a', '0cc175b9c0f1b6a831c399e269772661'],
  ['abc', '900150983cd24fb0d6963f7d28e17f72'],
  ['message digest', 'f96b697d7cb7938d525a2f31aaf161d0'],
  ['abcdefghijklmnopqrstuvwxyz', 'c3fcd3d76192e4007dfb496cca67e13b'],
  ['ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', 'd174ab98d277d9f5a5611c2c9f419d9f'],
  ['1234567890'.repeat(8), '57edf4a22be3c955ac49da2e2107b67a'],
] as const;

describe.skipIf(!found)(`native MD5${found ? '' : ` (${reason})`}`, () => {
  const levels = found?.levels() ?? [];
  const before = found?.level();
  afterAll(() => {
    if (before !== undefined) found?.selectLevel(before);
  });

  describe.each(levels)('at level %s', (level) => {
    const addon = requireAddon();
    beforeAll(() => addon.selectLevel(level));

    test.each(suite)('the suite of RFC 1321: %j', (text, expected) => {
      expect(addon.md5(Buffer.from(text)).toString('hex')).toBe(expected);
    });

    test(`of every length to ${LENGTH_MAX}, at any alignment`, () => {
      for (let length = 0; length <= LENGTH_MAX; length++) {
        const start = random.below(64);
        const bytes = arena.subarray(start, start + length);
        if (!addon.md5(bytes).equals(expectedOf(bytes))) expect.fail(`MD5 of ${length} at ${start}`);
      }
    });

    test('every kernel, with one stream to sixteen, pending bytes in some, and lengths that differ', () => {
      for (const kernel of [undefined, ...addon.md5Kernels()]) {
        addon.md5SelectKernel(kernel);
        for (let count = 1; count <= 16; count++) {
          const firsts = Array.from({ length: count }, () => arena.subarray(0, random.below(130)));
          const seconds = firsts.map(() => arena.subarray(random.below(100), 100 + random.below(3000)));
          const states = firsts.map(() => addon.md5Create());
          addon.md5UpdateMany(states, firsts);
          addon.md5UpdateMany(states, seconds);
          const digests = states.map((state) => addon.md5Digest(state).toString('hex'));
          const expected = firsts.map((first, i) => expectedOf(Buffer.concat([first, seconds[i]!])));
          expect(digests, `kernel ${kernel}, ${count} streams`).toEqual(
            expected.map((digest) => digest.toString('hex')),
          );
        }
      }
      addon.md5SelectKernel();
    });

    test('in shared memory', () => {
      const shared = new Uint8Array(new SharedArrayBuffer(arena.length));
      shared.set(arena);
      const states = [addon.md5Create(), addon.md5Create(), addon.md5Create()];
      addon.md5UpdateMany(states, [shared, shared.subarray(1), shared.subarray(2)]);
      for (const [i, state] of states.entries()) {
        expect(addon.md5Digest(state)).toEqual(expectedOf(arena.subarray(i)));
      }
      expect(addon.md5(shared)).toEqual(expectedOf(arena));
    });
  });

  test('a length in bits that 32 bits do not hold', () => {
    const addon = requireAddon();
    const piece = new Uint8Array(1 << 26);
    const [state, other] = [addon.md5Create(), addon.md5Create()];
    const hash = createHash('md5');
    for (let i = 0; i < 9; i++) {
      addon.md5UpdateMany([state, other], [piece, arena]);
      hash.update(piece);
    }
    expect(addon.md5Digest(state)).toEqual(hash.digest());
  });

  test('wrong states are refused', () => {
    const addon = requireAddon();
    const state = addon.md5Create();
    for (const other of [
      ...noBytes,
      arena,
      addon,
      Object.create(state as object),
      new Proxy(state as object, {}),
    ]) {
      mustRefuse(TypeError, () => addon.md5Update(other as NativeMd5State, arena));
      mustRefuse(TypeError, () => addon.md5Digest(other as NativeMd5State));
      mustRefuse(TypeError, () => addon.md5UpdateMany([state, other as NativeMd5State], [arena, arena]));
    }
    expect(addon.md5Digest(state).toString('hex')).toBe(suite[0][1]);
    mustRefuse(RangeError, () => addon.md5Digest(state));
    mustRefuse(RangeError, () => addon.md5Update(state, arena));
  });

  test(`${RANDOM_CALLS} random calls agree with node`, () => {
    randomMd5(RANDOM_CALLS, Date.now() % 2 ** 31);
  });
});
