/**
 * What every codec must do, whatever its code. Run it with `codecConformance(codec)` inside a test file.
 * Shards are filled from a seed that a failure prints.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesEqual } from '../../src/base/bytes.ts';
import type { Codec } from '../../src/coding/codec.ts';

export interface CodecConformanceOptions {
  /** Geometries of which every erasure pattern is tried. */
  readonly exhaustive?: readonly (readonly [k: number, m: number])[];
  readonly randomRuns?: number;
}

/** Deterministic bytes (xorshift32), so that a seed reproduces a failure. */
export function patternBytes(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state >>> 11;
  }
  return bytes;
}

export function encoded(codec: Codec, k: number, m: number, lengthBytes: number, seed = 1): Uint8Array[] {
  const data = Array.from({ length: k }, (_, j) => patternBytes(lengthBytes, seed * 1000 + j));
  const parity = Array.from({ length: m }, () => new Uint8Array(lengthBytes).fill(0xa5));
  codec.encode(k, m, data, parity);
  return [...data, ...parity];
}

/** Drops the shards of `lost`, decodes them, and says whether they came back. */
export function survives(
  codec: Codec,
  k: number,
  m: number,
  shards: Uint8Array[],
  lost: Set<number>,
): boolean {
  const present = shards.map((shard, i) => (lost.has(i) ? undefined : shard));
  const wanted = new Map([...lost].map((i) => [i, new Uint8Array(shards[i]!.length).fill(0x5a)]));
  codec.decode(k, m, present, wanted);
  return [...wanted].every(([i, view]) => bytesEqual(view, shards[i]!));
}

function* subsetsUpTo(size: number, lostMax: number): Generator<Set<number>> {
  for (let mask = 0; mask < 1 << size; mask++) {
    const lost = new Set<number>();
    for (let i = 0; i < size; i++) if (mask & (1 << i)) lost.add(i);
    if (lost.size <= lostMax) yield lost;
  }
}

export function codecConformance(codec: Codec, options: CodecConformanceOptions = {}): void {
  const exhaustive = options.exhaustive ?? [
    [1, 1],
    [1, 3],
    [2, 1],
    [2, 2],
    [3, 3],
    [4, 2],
    [5, 3],
    [6, 4],
  ];
  const geometry = fc
    .tuple(fc.integer({ min: 1, max: 254 }), fc.integer({ min: 1, max: 254 }))
    .filter(([k, m]) => codec.supports(k, m));

  describe(`${codec.name} keeps the codec's contract`, () => {
    test.each(exhaustive)('every loss of up to m shards of %i + %i comes back', (k, m) => {
      const shards = encoded(codec, k, m, 64, k * 16 + m);
      for (const lost of subsetsUpTo(k + m, m)) {
        expect(survives(codec, k, m, shards, lost), `lost ${[...lost]}`).toBe(true);
      }
    });

    test('random geometries, lengths and losses come back', () => {
      fc.assert(
        fc.property(
          geometry,
          fc.integer({ min: 0, max: 40 }),
          fc.integer(),
          fc.nat(),
          ([k, m], words, seed, pick) => {
            const shards = encoded(codec, k, m, words * 8, seed);
            const order = [...shards.keys()].sort(
              (a, b) => (((a + 1) * 7919 * (pick + 1)) % 257) - (((b + 1) * 7919 * (pick + 1)) % 257),
            );
            return survives(codec, k, m, shards, new Set(order.slice(0, 1 + (pick % m))));
          },
        ),
        { numRuns: options.randomRuns ?? 60 },
      );
    });

    test('long shards come back, whatever kernel their length selects', () => {
      for (const [k, m, lengthBytes] of [
        [4, 2, 65_536],
        [3, 1, 40_000],
        [5, 3, 40_960],
        [6, 5, 33_000],
      ] as const) {
        const shards = encoded(codec, k, m, lengthBytes, k);
        expect(survives(codec, k, m, shards, new Set([0, k].slice(0, m)))).toBe(true);
        expect(survives(codec, k, m, shards, new Set([k - 1]))).toBe(true);
      }
    });

    test('only the wanted shards are written, and present ones are not changed', () => {
      const shards = encoded(codec, 4, 2, 64);
      const before = shards.map((shard) => Uint8Array.from(shard));
      const target = new Uint8Array(64);
      codec.decode(4, 2, [undefined, ...shards.slice(1, 5), undefined], new Map([[5, target]]));
      expect(bytesEqual(target, before[5]!)).toBe(true);
      expect(shards.every((shard, i) => bytesEqual(shard, before[i]!))).toBe(true);
    });

    test('views at any offset of a larger buffer give the same bytes', () => {
      const aligned = encoded(codec, 4, 2, 40_000, 9);
      for (const shift of [0, 1, 2, 3, 7]) {
        const area = new Uint8Array(new SharedArrayBuffer(6 * 40_064 + 16));
        const views = aligned.map((_, i) => area.subarray(shift + i * 40_064, shift + i * 40_064 + 40_000));
        for (let j = 0; j < 4; j++) views[j]!.set(aligned[j]!);
        codec.encode(4, 2, views.slice(0, 4), views.slice(4));
        expect(views.every((view, i) => bytesEqual(view, aligned[i]!))).toBe(true);
        expect(survives(codec, 4, 2, views, new Set([1, 4]))).toBe(true);
      }
    });

    test('shards of no bytes are coded to shards of no bytes', () => {
      const shards = encoded(codec, 3, 2, 0);
      expect(survives(codec, 3, 2, shards, new Set([0, 4]))).toBe(true);
    });

    test('too few shards are refused', () => {
      const shards = encoded(codec, 4, 2, 16);
      const present = [undefined, undefined, undefined, ...shards.slice(3)];
      expect(() => codec.decode(4, 2, present, new Map([[0, new Uint8Array(16)]]))).toThrow(
        /3 shards are present/,
      );
    });

    test('wrong arguments throw and do not end the process', () => {
      const bytes = (count: number, length: number) =>
        Array.from({ length: count }, () => new Uint8Array(length));
      expect(() => codec.encode(0, 2, [], bytes(2, 8))).toThrow();
      expect(() => codec.encode(250, 6, bytes(250, 8), bytes(6, 8))).toThrow();
      expect(() => codec.encode(4.5, 2, bytes(4, 8), bytes(2, 8))).toThrow();
      expect(() => codec.encode(4, 2, bytes(3, 8), bytes(2, 8))).toThrow();
      expect(() => codec.encode(4, 2, bytes(4, 8), bytes(1, 8))).toThrow();
      expect(() => codec.encode(4, 2, bytes(4, 8), bytes(2, 16))).toThrow();
      const shards = encoded(codec, 4, 2, 16);
      const one = (index: number, length = 16) => new Map([[index, new Uint8Array(length)]]);
      expect(() => codec.decode(4, 2, shards.slice(1), one(0))).toThrow();
      expect(() => codec.decode(4, 2, shards, one(0))).toThrow();
      expect(() => codec.decode(4, 2, [undefined, ...shards.slice(1)], one(6))).toThrow();
      expect(() => codec.decode(4, 2, [undefined, ...shards.slice(1)], one(0, 8))).toThrow();
    });

    if (!codec.columnwise) return;

    test('any range of bytes can be decoded by itself', () => {
      fc.assert(
        fc.property(fc.nat(999), fc.nat(999), fc.integer(), (a, b, seed) => {
          const [from, to] = [Math.min(a, b), Math.max(a, b)];
          const part = encoded(codec, 4, 3, 1000, seed).map((shard) => shard.subarray(from, to));
          return survives(codec, 4, 3, part, new Set([0, 2, 5]));
        }),
      );
    });

    test('m = 0 is the data alone', () => {
      const shards = encoded(codec, 3, 0, 16);
      expect(shards).toHaveLength(3);
      expect(survives(codec, 3, 0, shards, new Set())).toBe(true);
    });
  });
}
