/** The native Reed–Solomon kernels, at every level that this processor runs. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytesEqual, toHex } from '../../src/base/bytes.ts';
import { type NativeAddon, native } from '../../src/base/native.ts';
import { cauchyCodec, decodeMatrix, parityRow } from '../../src/coding/cauchy.ts';
import { createNativeCauchyCodec } from '../../src/coding/cauchynative.ts';
import { codecById } from '../../src/coding/registry.ts';
import { codecConformance, encoded, patternBytes } from '../conformance/codec.ts';
import { randomGf256 } from './random-gf256.ts';

const { addon, reason } = native();
const RANDOM_CALLS = 3000;

interface Vector {
  readonly k: number;
  readonly m: number;
  readonly lengthBytes: number;
  readonly parity: readonly string[];
}

const vectors = JSON.parse(
  readFileSync(new URL('../vectors/codec1.json', import.meta.url), 'utf8'),
) as Vector[];

const lengths = [0, 1, 63, 64, 65, 127, 128, 129, 1000];

/** Every set of at most m of k + m shards. */
function losses(k: number, m: number): number[][] {
  return Array.from({ length: 1 << (k + m) }, (_, mask) =>
    Array.from({ length: k + m }, (_, i) => i).filter((i) => mask & (1 << i)),
  ).filter((lost) => lost.length <= m);
}

function zeros(count: number, lengthBytes: number): Uint8Array[] {
  return Array.from({ length: count }, () => new Uint8Array(lengthBytes).fill(0xee));
}

function atLevel(addon: NativeAddon): void {
  test.each(vectors)(
    'gives the published bytes of $k + $m, $lengthBytes bytes',
    ({ k, m, lengthBytes, parity }) => {
      const data = Array.from({ length: k }, (_, j) =>
        Uint8Array.from({ length: lengthBytes }, (_, n) => (j * 131 + n * 29 + (n >> 8) * 7 + 11) & 255),
      );
      const shards = parity.map(() => new Uint8Array(lengthBytes));
      new addon.Gf256Coder(k, m).encode(data, shards);
      expect(shards.map(toHex)).toEqual(parity);
    },
  );

  test('every loss of every geometry up to eight shards comes back, at lengths around the vectors', () => {
    for (let k = 1; k <= 8; k++) {
      for (let m = 0; k + m <= 8; m++) {
        const coder = new addon.Gf256Coder(k, m);
        for (const length of lengths) {
          const shards = encoded(cauchyCodec, k, m, length);
          for (const lost of losses(k, m)) {
            const present = shards.map((shard, i) => (lost.includes(i) ? undefined : shard));
            const outputs = zeros(lost.length, length);
            coder.decode(present, Uint8Array.from(lost), outputs);
            if (!outputs.every((output, i) => bytesEqual(output, shards[lost[i]!]!)))
              expect.fail(`${k}+${m}, ${length} bytes, lost ${lost}`);
          }
        }
      }
    }
  });

  test('wide geometries agree with the portable code, on both sides of every split into passes', () => {
    const geometries = [
      [1, 254],
      [254, 1],
      [128, 127],
      [11, 11],
      [16, 4],
      [23, 6],
      [31, 10],
      [9, 21],
      [100, 5],
    ] as const;
    for (const [k, m] of geometries) {
      for (const length of [33, 640, k + m < 64 ? 9000 : 300]) {
        const shards = encoded(cauchyCodec, k, m, length, k);
        const coder = new addon.Gf256Coder(k, m);
        const parity = zeros(m, length);
        coder.encode(shards.slice(0, k), parity);
        expect(parity.every((view, i) => bytesEqual(view, shards[k + i]!))).toBe(true);
        const lost = Array.from({ length: m }, (_, i) => (i * 7) % (k + m)).filter(
          (i, at, all) => all.indexOf(i) === at,
        );
        const outputs = zeros(lost.length, length);
        coder.decode(
          shards.map((shard, i) => (lost.includes(i) ? undefined : shard)),
          Uint8Array.from(lost),
          outputs,
        );
        expect(outputs.every((view, i) => bytesEqual(view, shards[lost[i]!]!))).toBe(true);
      }
    }
  });

  test('areas in shared memory, at any alignment, are coded as lists are', () => {
    const [k, m, length] = [5, 3, 1021];
    const shards = encoded(cauchyCodec, k, m, length);
    for (const shift of [0, 1, 7, 63]) {
      const memory = new Uint8Array(new SharedArrayBuffer(8 * length + 64)).fill(0x77);
      const data = memory.subarray(shift, shift + k * length);
      const parity = memory.subarray(shift + k * length, shift + 8 * length);
      for (let j = 0; j < k; j++) data.set(shards[j]!, j * length);
      new addon.Gf256Coder(k, m).encodeArea(data, parity, length);
      expect(
        shards.slice(k).every((shard, i) => bytesEqual(parity.subarray(i * length, (i + 1) * length), shard)),
      ).toBe(true);
      expect(memory.subarray(0, shift).every((byte) => byte === 0x77)).toBe(true);
      expect(memory.subarray(shift + 8 * length).every((byte) => byte === 0x77)).toBe(true);
    }
  });

  test('gf256Combine takes any matrix', () => {
    const [k, m, length] = [6, 3, 517];
    const shards = encoded(cauchyCodec, k, m, length);
    const rows = decodeMatrix(k, [0, 2, 3, 5, 6, 8], [1, 4, 7]);
    const outputs = zeros(3, length);
    addon.gf256Combine(
      Uint8Array.from(rows.flatMap((row) => [...row])),
      3,
      k,
      [0, 2, 3, 5, 6, 8].map((i) => shards[i]!),
      outputs,
    );
    expect([1, 4, 7].every((index, i) => bytesEqual(outputs[i]!, shards[index]!))).toBe(true);
    const zero = zeros(1, length);
    addon.gf256Combine(new Uint8Array(k), 1, k, shards.slice(0, k), zero);
    expect(zero[0]!.every((byte) => byte === 0)).toBe(true);
  });
}

describe.skipIf(!addon)(`native Reed–Solomon${addon ? '' : ` (skipped: ${reason})`}`, () => {
  const before = addon?.level();

  for (const level of addon?.levels() ?? []) {
    describe(`at level ${level}`, () => {
      beforeAll(() => addon!.selectLevel(level));
      afterAll(() => addon!.selectLevel(before!));
      atLevel(addon!);
      codecConformance(createNativeCauchyCodec(addon!), { randomRuns: 30 });
    });
  }
});

describe.skipIf(!addon)('the native Reed–Solomon functions', () => {
  test('are what codec 1 uses here', () => {
    expect(codecById(1).name).toContain('native');
  });

  test('agree with the portable code over random calls', () => {
    randomGf256(RANDOM_CALLS, Date.now() % 2 ** 31);
  });

  test('keep working after a change of level', () => {
    const [level, levels] = [addon!.level(), addon!.levels()];
    const shards = encoded(cauchyCodec, 4, 2, 333);
    const coder = new addon!.Gf256Coder(4, 2);
    for (const other of [...levels, ...levels]) {
      addon!.selectLevel(other);
      const parity = zeros(2, 333);
      coder.encode(shards.slice(0, 4), parity);
      expect(parity.every((view, i) => bytesEqual(view, shards[4 + i]!))).toBe(true);
    }
    addon!.selectLevel(level);
  });

  test('refuse outputs that overlap a source, another output or a present shard', () => {
    const memory = new Uint8Array(4096);
    const view = (start: number) => memory.subarray(start, start + 100);
    const coder = new addon!.Gf256Coder(2, 2);
    expect(() => coder.encode([view(0), view(100)], [view(199), view(300)])).toThrow(RangeError);
    expect(() => coder.encode([view(0), view(100)], [view(200), view(299)])).toThrow(RangeError);
    expect(() => coder.encode([view(0), view(100)], [view(200), view(300)])).not.toThrow();
    expect(() => coder.encode([view(0), view(0)], [view(200), view(300)])).not.toThrow();
    const present = [undefined, view(100), view(200), view(300)];
    expect(() => coder.decode(present, Uint8Array.of(0), [view(350)])).toThrow(RangeError);
    expect(() => coder.encodeArea(memory.subarray(0, 200), memory.subarray(150, 350), 100)).toThrow(
      RangeError,
    );
  });

  test('refuse what decode cannot do', () => {
    const coder = new addon!.Gf256Coder(2, 2);
    const shards = encoded(cauchyCodec, 2, 2, 50);
    const [target] = zeros(1, 50);
    const present = [undefined, ...shards.slice(1)];
    expect(() =>
      coder.decode([undefined, undefined, undefined, shards[3]!], Uint8Array.of(0), [target!]),
    ).toThrow(/fewer than k/);
    expect(() => coder.decode(present, Uint8Array.of(1), [target!])).toThrow(/is present/);
    expect(() => coder.decode(present, Uint8Array.of(4), [target!])).toThrow(/not below k \+ m/);
    expect(() => coder.decode(present, Uint8Array.of(0), [])).toThrow(RangeError);
    expect(() => coder.decode(present, Uint8Array.of(0), [target!.subarray(1)])).toThrow(RangeError);
  });

  test('a getter that takes the memory of an earlier view away cannot harm', () => {
    const coder = new addon!.Gf256Coder(2, 1);
    const first = new Uint8Array(1 << 20);
    const data = [first, first];
    Object.defineProperty(data, 1, {
      get() {
        first.buffer.transfer(0);
        return new Uint8Array(1 << 20);
      },
    });
    expect(() => coder.encode(data, zeros(1, 1 << 20))).toThrow(RangeError);
  });

  test('a coder that was not made by its class is refused', () => {
    const coder = new addon!.Gf256Coder(2, 1);
    const fake = Object.create(addon!.Gf256Coder.prototype) as typeof coder;
    expect(() => fake.encode([], [])).toThrow(TypeError);
    expect(() => coder.encode.call(globalThis as never, [], [])).toThrow(TypeError);
    expect(() => (addon!.Gf256Coder as unknown as () => void)()).toThrow(TypeError);
  });

  test('coders are freed, however many there were', () => {
    const data = [patternBytes(64, 1), patternBytes(64, 2)];
    for (let i = 0; i < 20_000; i++) new addon!.Gf256Coder(2, 2).encode(data, zeros(2, 64));
    expect([...parityRow(2, 0)]).toHaveLength(2);
  });
});
