/** The native CRCs at every level that this processor runs. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { native } from '../../src/base/native.ts';
import { combineCrcs, combinePortably, crcAlgorithms, createCrc } from '../../src/coding/crc.ts';
import { crc32c, crc32cByTable } from '../../src/node/crc32c.ts';
import { requireAddon } from './levels.ts';
import { nativeCombine, nativeCrc, portableCrc, randomCrc } from './random-crc.ts';
import { Random } from './random-source.ts';
import {
  badCrc32s,
  badCrc64s,
  badLengths,
  mustRefuse,
  noBigInts,
  noBytes,
  noNumbers,
} from './wrong-arguments.ts';

const LENGTH_MAX = 2100;
const RANDOM_CALLS = 3000;
const { addon: found, reason } = native();
const random = new Random(7);
const arena = random.fill(new Uint8Array(LENGTH_MAX + 64));

describe.skipIf(!found)(`native CRCs${found ? '' : ` (${reason})`}`, () => {
  const levels = found?.levels() ?? [];
  const before = found?.level();
  afterAll(() => {
    if (before !== undefined) found?.selectLevel(before);
  });

  describe.each(levels)('at level %s', (level) => {
    const addon = requireAddon();
    beforeAll(() => addon.selectLevel(level));

    // reveng.sourceforge.io/crc-catalogue
    test('the check values of "123456789"', () => {
      const check = Buffer.from('123456789');
      expect(addon.crc32(check).toString(16)).toBe('cbf43926');
      expect(addon.crc32c(check).toString(16)).toBe('e3069283');
      expect(addon.crc64nvme(check).toString(16)).toBe('ae8b14860a799888');
    });

    test('the CRC-32Cs of RFC 3720, appendix B.4', () => {
      const counting = Uint8Array.from({ length: 32 }, (_, i) => i);
      const read = Buffer.alloc(48);
      read.set([0x01, 0xc0], 0);
      read.set([0x14, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 2], 16);
      // The RFC lists CRCs with their bytes in order of transmission, lowest first.
      const listed = (bytes: Uint8Array) => {
        const crc = Buffer.alloc(4);
        crc.writeUInt32LE(addon.crc32c(bytes));
        return crc.toString('hex');
      };
      expect(listed(new Uint8Array(32))).toBe('aa36918a');
      expect(listed(new Uint8Array(32).fill(0xff))).toBe('43aba862');
      expect(listed(counting)).toBe('4e79dd46');
      expect(listed(counting.toReversed())).toBe('5cdb3f11');
      expect(listed(read)).toBe('563a96d9');
    });

    test.each(crcAlgorithms)(`%s of every length to ${LENGTH_MAX}, at any alignment`, (algorithm) => {
      for (let length = 0; length <= LENGTH_MAX; length++) {
        const start = random.below(64);
        const bytes = arena.subarray(start, start + length);
        const expected = portableCrc(algorithm, bytes);
        if (!nativeCrc(addon, algorithm, bytes).equals(expected)) {
          expect.fail(`${algorithm} of ${length} at ${start}`);
        }
      }
    });

    test.each(crcAlgorithms)('%s continued and combined at every split', (algorithm) => {
      const whole = portableCrc(algorithm, arena.subarray(0, 700));
      for (let split = 0; split <= 700; split++) {
        const [a, b] = [arena.subarray(0, split), arena.subarray(split, 700)];
        expect(nativeCrc(addon, algorithm, a, b).equals(whole)).toBe(true);
        const parts = [nativeCrc(addon, algorithm, a), nativeCrc(addon, algorithm, b)] as const;
        expect(nativeCombine(addon, algorithm, ...parts, b.length).equals(whole)).toBe(true);
      }
    });

    test('in shared memory', () => {
      const shared = new Uint8Array(new SharedArrayBuffer(arena.length));
      shared.set(arena);
      for (const algorithm of crcAlgorithms) {
        expect(nativeCrc(addon, algorithm, shared)).toEqual(nativeCrc(addon, algorithm, arena));
      }
    });
  });

  test.each(crcAlgorithms)('%s combined at lengths that no buffer has', (algorithm) => {
    const addon = requireAddon();
    const [a, b] = [nativeCrc(addon, algorithm, arena), nativeCrc(addon, algorithm, arena.subarray(9))];
    for (const length of [2 ** 31, 2 ** 32 + 1, 5 * 2 ** 40 + 12_345, Number.MAX_SAFE_INTEGER]) {
      expect(nativeCombine(addon, algorithm, a, b, length)).toEqual(combinePortably(algorithm, a, b, length));
      expect(combineCrcs(algorithm, a, b, length)).toEqual(combinePortably(algorithm, a, b, length));
    }
  });

  test.each(crcAlgorithms)('%s as the store uses it is that of the portable twin', (algorithm) => {
    const crc = createCrc(algorithm);
    crc.update(arena.subarray(3, 500));
    crc.update(arena.subarray(500));
    expect(crc.value()).toEqual(portableCrc(algorithm, arena.subarray(3)));
  });

  test('the CRC of record headers is that of the table', () => {
    for (let length = 0; length < 300; length++) {
      expect(crc32c(arena, 5, 5 + length, length)).toBe(crc32cByTable(arena, 5, 5 + length, length));
    }
    expect(crc32c(arena)).toBe(crc32cByTable(arena));
  });

  test('wrong types and values are refused', () => {
    const addon = requireAddon();
    for (const view of noBytes as Uint8Array[]) {
      for (const algorithm of crcAlgorithms) mustRefuse(TypeError, () => addon[algorithm](view));
    }
    for (const value of noNumbers as number[]) {
      mustRefuse(TypeError, () => addon.crc32(arena, value));
      mustRefuse(TypeError, () => addon.crc32cCombine(value, 0, 0));
      mustRefuse(TypeError, () => addon.crc64nvmeCombine(0n, 0n, value));
    }
    for (const value of noBigInts as bigint[]) mustRefuse(TypeError, () => addon.crc64nvme(arena, value));
    for (const value of badCrc32s) mustRefuse(RangeError, () => addon.crc32c(arena, value));
    for (const value of badCrc64s) mustRefuse(RangeError, () => addon.crc64nvme(arena, value));
    for (const value of badLengths) mustRefuse(RangeError, () => addon.crc32Combine(0, 0, value));
  });

  test(`${RANDOM_CALLS} random calls agree with the portable twins`, () => {
    randomCrc(RANDOM_CALLS, Date.now() % 2 ** 31);
  });
});
