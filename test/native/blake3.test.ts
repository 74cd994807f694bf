/** The native BLAKE3, at every level that this processor runs. */
import { readFileSync } from 'node:fs';
import { blake3 as noble } from '@noble/hashes/blake3.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type NativeAddon, native } from '../../src/base/native.ts';
import { createNativeBlake3 } from '../../src/coding/blake3native.ts';
import { patternBytes } from '../conformance/codec.ts';
import { referenceOutboard } from './bao-reference.ts';
import { randomBlake3 } from './random-blake3.ts';
import { Random } from './random-source.ts';

const { addon, reason } = native();
const RANDOM_CALLS = 2000;
const GROUP_BYTES = 16_384;

interface Vectors {
  readonly key: string;
  readonly context: string;
  readonly cases: readonly {
    readonly length: number;
    readonly hash: string;
    readonly keyed: string;
    readonly derived: string;
  }[];
}

const vectors = JSON.parse(
  readFileSync(new URL('../vectors/blake3.json', import.meta.url), 'utf8'),
) as Vectors;

/** The input of the published vectors. */
function vectorInput(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i % 251);
}

/** github.com/oconnor663/bao, tests/test_vectors.json: BLAKE3 of the outboard with its length prefix. */
const baoOutboards: readonly (readonly [number, string])[] = [
  [0, '71e0a99173564931c0b8acc52d2685a8e39c64dc52e3d02390fdac2a12b155cb'],
  [1, '1a0d12016999e47689dae5744d2b8c1903faf7ca2886a658150083100ef2c8ee'],
  [1023, '044eb61340254eec36c5e66bf8fed9275fef9ad1894f8ae55221a98d5e25e255'],
  [1024, 'd27e778a2b838caf6be23c7528e6f1f7beb6bff048f9cf9a8fdb2767c74215b3'],
  [1025, '025f630e00fbdcc023b970c9f1f21016c56c0a34e384e712c66428bf1c7999b9'],
  [2047, 'f281b8a95b6c5eaea8e86732d24c88aa407df10295709e419772d615028b40a0'],
  [2048, '55546b68936932ac03d2a01de41517c287ddd68b79715ef892a636dc38292a90'],
  [2049, 'f2afc0716690e8513d8697e3e75f5c3532d51e0c704416e7fb0bbf7c0abfb57e'],
  [3071, '2dba3a5aa0e356e279760280e147245429d6360581b0eb5c7e0b9c265d915b2c'],
  [3072, '4dd51a45418589b1d12a183f80e3e3ba39b200094287c6e07f489def70a42e48'],
  [3073, 'fa89135a2c00ff1a073321ed79fd17b9fdd53c2d2549236cd8d796232a89dc83'],
  [11264, '651f08a23902499142f6a28fadb99a8cba2bc32fbefe5237fd3a9cb5edec70da'],
  [13312, 'ad01dbb6b7d0fefd1f8e52783d6212856546f382b815a7c370377bc79e0bd41a'],
];

/** The input of those: little-endian words counted from 1. */
function baoInput(length: number): Uint8Array {
  const bytes = Buffer.alloc(Math.ceil(length / 4) * 4);
  for (let i = 0; i < bytes.length / 4; i++) bytes.writeUInt32LE(i + 1, 4 * i);
  return bytes.subarray(0, length);
}

function hashOf(addon: NativeAddon, data: Uint8Array | Uint8Array[], length = 32, key?: Uint8Array): Buffer {
  const output = Buffer.alloc(length);
  if (key) addon.blake3Keyed(key, data, output);
  else addon.blake3Hash(data, output);
  return output;
}

function atLevel(addon: NativeAddon): void {
  const key = patternBytes(32, 9);

  test.each(vectors.cases)('the published vectors of $length bytes', ({ length, hash, keyed, derived }) => {
    const input = vectorInput(length);
    const bytes = hash.length / 2;
    expect(hashOf(addon, input, bytes).toString('hex')).toBe(hash);
    expect(hashOf(addon, input).toString('hex')).toBe(hash.slice(0, 64));
    expect(hashOf(addon, input, bytes, Buffer.from(vectors.key)).toString('hex')).toBe(keyed);
    const output = Buffer.alloc(bytes);
    addon.blake3Derive(vectors.context, input, output);
    expect(output.toString('hex')).toBe(derived);
  });

  test('every count of chunks of two stretches, whole and cut', () => {
    const all = patternBytes(520 * 1024, 1);
    for (let chunks = 1; chunks <= 520; chunks += chunks < 70 ? 1 : 13) {
      for (const cut of [0, 1, 960]) {
        const view = all.subarray(0, chunks * 1024 - cut);
        if (!hashOf(addon, view).equals(noble(view))) expect.fail(`${chunks} chunks less ${cut} bytes`);
      }
    }
  });

  test('every alignment, and shared memory', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(70_000));
    shared.set(patternBytes(70_000, 2));
    for (let offset = 0; offset < 65; offset++) {
      const view = shared.subarray(offset, 69_000 - offset);
      expect(hashOf(addon, view).equals(noble(Uint8Array.from(view)))).toBe(true);
    }
  });

  test('any length of output, and none', () => {
    const input = patternBytes(1500, 3);
    const long = noble(input, { dkLen: 1000 });
    for (const length of [0, 1, 63, 64, 65, 128, 1000])
      expect(hashOf(addon, input, length).equals(long.subarray(0, length))).toBe(true);
  });

  test('a message in random pieces, as a list and by a hasher', () => {
    const random = new Random(4);
    for (const length of [0, 1, 16_383, 16_384, 16_385, 32_768, 300_000, 262_144, 524_289, 800_000]) {
      const message = patternBytes(length, length);
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < length; ) {
        const end = Math.min(length, at + random.below(random.pick([100, 20_000, 400_000])));
        pieces.push(message.subarray(at, end));
        at = end;
      }
      const hasher = new addon.Blake3Hasher(key);
      for (const piece of pieces) hasher.update(piece);
      const output = Buffer.alloc(70);
      hasher.digest(output);
      expect(output.equals(noble(message, { key, dkLen: 70 }))).toBe(true);
      if (pieces.length <= 256)
        expect(hashOf(addon, pieces, 70, key).equals(noble(message, { key, dkLen: 70 }))).toBe(true);
    }
  });

  test('a hasher goes on after a digest and begins anew after a reset', () => {
    const [message, output] = [patternBytes(40_000, 5), Buffer.alloc(32)];
    const hasher = new addon.Blake3Hasher();
    hasher.update(message.subarray(0, 17_000)).digest(output);
    expect(output.equals(noble(message.subarray(0, 17_000)))).toBe(true);
    hasher.update(message.subarray(17_000)).digest(output);
    expect(output.equals(noble(message))).toBe(true);
    hasher.reset().update(message.subarray(1)).digest(output);
    expect(output.equals(noble(message.subarray(1)))).toBe(true);
  });

  test('many messages of mixed lengths', () => {
    const all = patternBytes(40_000, 6);
    for (const lengths of [[64], [0], [1024], [1025], [1, 2, 3], [0, 63, 64, 65, 1000, 1024, 5000]]) {
      for (const count of [0, 1, 2, 3, 5, 9, 17, 33, 100]) {
        const list = Array.from({ length: count }, (_, i) =>
          all.subarray(i * 7, i * 7 + lengths[i % lengths.length]!),
        );
        const outputs = Buffer.alloc(32 * count);
        addon.blake3Many(list, outputs, key);
        const expected = Buffer.concat(list.map((message) => noble(message, { key })));
        if (!outputs.equals(expected)) expect.fail(`${count} messages of ${lengths}`);
      }
    }
  });

  test('groups and what is made of them', () => {
    const all = patternBytes(600 * GROUP_BYTES + 5000, 7);
    for (const groups of [1, 2, 3, 7, 8, 9, 16, 17, 33, 255, 256, 257, 512, 600]) {
      for (const restBytes of [0, 1, 1024, 5000]) {
        if (groups === 1 && restBytes === 0) continue;
        const whole = all.subarray(0, groups * GROUP_BYTES);
        const rest = all.subarray(whole.length, whole.length + restBytes);
        const [cvs, output] = [Buffer.alloc(32 * groups), Buffer.alloc(32)];
        addon.blake3Groups(whole, 0, cvs);
        addon.blake3FromGroups(cvs, rest, output);
        expect(output.equals(hashOf(addon, all.subarray(0, whole.length + restBytes)))).toBe(true);
      }
    }
  });

  test('a group by itself is the same as among others', () => {
    const bytes = patternBytes(3 * GROUP_BYTES, 8);
    const [together, alone] = [Buffer.alloc(96), Buffer.alloc(96)];
    for (const firstChunk of [0, 16, 2 ** 32 - 16, 2 ** 32 - 32, 2 ** 42]) {
      addon.blake3Groups(bytes, firstChunk, together, key);
      for (let i = 0; i < 3; i++) {
        const group = bytes.subarray(i * GROUP_BYTES, (i + 1) * GROUP_BYTES);
        addon.blake3Groups(group, firstChunk + 16 * i, alone.subarray(32 * i, 32 * i + 32), key);
      }
      expect(alone.equals(together)).toBe(true);
    }
  });

  test.each(baoOutboards)('the published Bao outboard of %i bytes', (length, expected) => {
    const { outboard, root } = addon.blake3Outboard(baoInput(length), 1024);
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(BigInt(length));
    expect(Buffer.from(noble(Buffer.concat([prefix, outboard]))).toString('hex')).toBe(expected);
    expect(root.equals(noble(baoInput(length)))).toBe(true);
  });

  test.each([1024, GROUP_BYTES])(
    'outboards of leaves of %i bytes by their recursive definition',
    (groupBytes) => {
      const all = patternBytes(140 * groupBytes, groupBytes);
      const counts =
        groupBytes === 1024 ? [1, 2, 3, 5, 16, 17, 63, 64, 65, 100, 128, 129] : [1, 2, 3, 8, 9, 65];
      for (const leaves of counts) {
        for (const cut of [0, 1, groupBytes - 1]) {
          const bytes = all.subarray(0, leaves * groupBytes - cut);
          const expected = referenceOutboard(bytes, groupBytes, key);
          const { outboard, root } = addon.blake3Outboard(bytes, groupBytes, key);
          expect(root.equals(expected.root)).toBe(true);
          expect(outboard.equals(expected.outboard)).toBe(true);
        }
      }
    },
  );

  test.each([1024, GROUP_BYTES])('proofs of leaves of %i bytes', (groupBytes) => {
    for (const length of [0, 1, groupBytes, groupBytes + 1, 5 * groupBytes - 7, 12 * groupBytes]) {
      const bytes = patternBytes(length, length);
      const { outboard, root } = addon.blake3Outboard(bytes, groupBytes);
      for (let leaf = 0; leaf * groupBytes < Math.max(1, length); leaf++) {
        const own = bytes.subarray(leaf * groupBytes, (leaf + 1) * groupBytes);
        const proof = addon.blake3Proof(outboard, length, groupBytes, leaf);
        const verify = (
          changed: {
            root?: Uint8Array;
            leaf?: number;
            length?: number;
            own?: Uint8Array;
            proof?: Uint8Array;
          } = {},
        ) =>
          addon.blake3VerifyProof(
            changed.root ?? root,
            changed.length ?? length,
            groupBytes,
            changed.leaf ?? leaf,
            changed.own ?? own,
            changed.proof ?? proof,
          );
        expect(verify()).toBe(true);
        expect(verify({ leaf: leaf + 1 })).toBe(false);
        expect(verify({ leaf: 2 ** 53 })).toBe(false);
        if ((leaf + 1) * groupBytes >= length) expect(verify({ length: length + groupBytes })).toBe(false);
        expect(verify({ length: 2 ** 53 })).toBe(false);
        expect(verify({ own: own.subarray(1) })).toBe(own.length === 0);
        expect(verify({ proof: Buffer.concat([proof, Buffer.alloc(64)]) })).toBe(false);
        expect(verify({ proof: proof.subarray(1) })).toBe(proof.length === 0);
      }
    }
  });

  test('a proof with any bit flipped is refused', () => {
    const bytes = patternBytes(5 * 1024 + 9, 11);
    const { outboard, root } = addon.blake3Outboard(bytes, 1024);
    for (const leaf of [0, 3, 5]) {
      const own = Buffer.from(bytes.subarray(leaf * 1024, (leaf + 1) * 1024));
      const proof = addon.blake3Proof(outboard, bytes.length, 1024, leaf);
      const verify = () => addon.blake3VerifyProof(root, bytes.length, 1024, leaf, own, proof);
      for (const part of [root, own, proof]) {
        for (let bit = 0; bit < 8 * part.length; bit++) {
          part[bit >> 3]! ^= 1 << (bit & 7);
          if (verify()) expect.fail(`bit ${bit} of leaf ${leaf}`);
          part[bit >> 3]! ^= 1 << (bit & 7);
        }
      }
      expect(verify()).toBe(true);
    }
  });

  test('the hash of src/coding, of one view and of several', () => {
    for (const own of [undefined, key]) {
      const hash = createNativeBlake3(addon, own);
      for (const length of [0, 1, 16, 64, 1023, 1024, 1025, 5000, 70_000]) {
        const view = patternBytes(length, length);
        const expected = noble(view, own && { key: own });
        expect(hash(view).equals(expected)).toBe(true);
        expect(hash(view.subarray(0, 9), view.subarray(9)).equals(expected)).toBe(true);
      }
      const small = Array.from({ length: 300 }, (_, i) => patternBytes(9, i));
      expect(hash(...small).equals(noble(Buffer.concat(small), own && { key: own }))).toBe(true);
    }
  });
}

describe.skipIf(!addon)(addon ? 'native BLAKE3' : `native BLAKE3: ${reason}`, () => {
  describe.each(addon?.levels() ?? [])('at %s', (level) => {
    const before = addon!.level();
    beforeAll(() => addon!.selectLevel(level));
    afterAll(() => addon!.selectLevel(before));
    atLevel(addon!);
  });

  test('wrong types and lengths are refused', () => {
    const { blake3Hash, blake3Keyed, blake3Derive, blake3Many, blake3Short, Blake3Hasher } = addon!;
    const [bytes, output] = [new Uint8Array(10), new Uint8Array(32)];
    for (const wrong of [undefined, null, 1, 'text', {}, new ArrayBuffer(8), new Uint16Array(4), [1], [[]]]) {
      expect(() => blake3Hash(wrong as never, output)).toThrow(TypeError);
      expect(() => blake3Hash(bytes, wrong as never)).toThrow(TypeError);
      expect(() => blake3Keyed(wrong as never, bytes, output)).toThrow(TypeError);
      expect(() => blake3Many(wrong as never, output)).toThrow(TypeError);
      expect(() => new Blake3Hasher().update(wrong as never)).toThrow(TypeError);
      expect(() => new Blake3Hasher().digest(wrong as never)).toThrow(TypeError);
    }
    expect(() => blake3Keyed(bytes, bytes, output)).toThrow(RangeError);
    expect(() => blake3Derive(bytes as never, bytes, output)).toThrow(TypeError);
    expect(() => blake3Derive('x'.repeat(4097), bytes, output)).toThrow(RangeError);
    expect(() => blake3Many([bytes], bytes)).toThrow(RangeError);
    expect(() => blake3Hash(output, output.subarray(31))).toThrow(/overlaps/);
    expect(() => (Blake3Hasher as unknown as () => void)()).toThrow(TypeError);
    expect(() => Blake3Hasher.prototype.update.call({} as never, bytes)).toThrow(TypeError);
    expect(() => blake3Short(new Uint8Array(100))).toThrow(RangeError);
    expect(() => blake3Short(new Uint8Array(new SharedArrayBuffer(31)))).toThrow(RangeError);
    const short = blake3Short(new Uint8Array(new SharedArrayBuffer(40)));
    for (const length of [9, -1, 0.5, Number.NaN, 2 ** 60]) expect(() => short(length)).toThrow(RangeError);
  });

  test('a list whose getter frees an earlier entry is read in time', () => {
    const list: Uint8Array[] = [new Uint8Array(100_000), new Uint8Array(8)];
    const [first] = list;
    Object.defineProperty(list, 1, {
      get: () => {
        structuredClone(first, { transfer: [first!.buffer as ArrayBuffer] });
        return new Uint8Array(8);
      },
    });
    const output = Buffer.alloc(32);
    addon!.blake3Hash(list, output);
    expect(output.equals(noble(new Uint8Array(8)))).toBe(true);
  });

  test('random calls agree with @noble/hashes', () => {
    randomBlake3(RANDOM_CALLS, Date.now() % 2 ** 31);
  });
});
