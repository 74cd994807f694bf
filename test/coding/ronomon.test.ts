import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import { bytesEqual } from '../../src/base/bytes.ts';
import { createRonomonCodec, loadRonomonCodec, type RonomonBinding } from '../../src/coding/ronomon.ts';
import { codecConformance, encoded, patternBytes, survives } from '../conformance/codec.ts';

/** The package's own asynchronous encode, which the codec's bytes are held against. */
interface Reference extends RonomonBinding {
  encode(
    context: Uint8Array,
    sources: number,
    targets: number,
    data: Uint8Array,
    dataOffset: number,
    dataSize: number,
    parity: Uint8Array,
    parityOffset: number,
    paritySize: number,
    end: (error?: Error) => void,
  ): void;
}

const codec = loadRonomonCodec();

describe.skipIf(!codec)('codec 2 over @ronomon/reed-solomon', () => {
  if (!codec) return;
  const reference = createRequire(import.meta.url)('@ronomon/reed-solomon') as Reference;

  const referenceParity = (k: number, m: number, data: Uint8Array, shardBytes: number) =>
    new Promise<Uint8Array>((resolve, reject) => {
      const parity = new Uint8Array(m * shardBytes);
      const sources = 2 ** k - 1;
      const targets = (2 ** m - 1) * 2 ** k;
      const end = (error?: Error) => (error ? reject(error) : resolve(parity));
      const context = reference.create(k, m);
      reference.encode(context, sources, targets, data, 0, data.length, parity, 0, parity.length, end);
    });

  codecConformance(codec, {
    exhaustive: [
      [1, 1],
      [1, 3],
      [2, 2],
      [4, 2],
      [5, 3],
    ],
  });

  const geometries = [1, 2, 4, 10, 11, 17, 24].flatMap((k) => [1, 2, 3, 6].map((m) => [k, m] as const));
  test.each(geometries)('the parity of %i + %i is that of its encode', async (k, m) => {
    for (const shardBytes of [8, 4096, 40_960]) {
      const data = patternBytes(k * shardBytes, k * 31 + m);
      const shards = Array.from({ length: k }, (_, j) => data.subarray(j * shardBytes, (j + 1) * shardBytes));
      const parity = Array.from({ length: m }, () => new Uint8Array(shardBytes));
      codec.encode(k, m, shards, parity);
      expect(bytesEqual(Buffer.concat(parity), await referenceParity(k, m, data, shardBytes))).toBe(true);
    }
  });

  test('the fragment length of a full 4 + 2 stripe, whose packets are cut by the cache rule', async () => {
    const data = patternBytes(4 * 64 * 16_400, 3);
    const shards = Array.from({ length: 4 }, (_, j) => data.subarray(j * 1_049_600, (j + 1) * 1_049_600));
    const parity = [new Uint8Array(1_049_600), new Uint8Array(1_049_600)];
    codec.encode(4, 2, shards, parity);
    expect(bytesEqual(Buffer.concat(parity), await referenceParity(4, 2, data, 1_049_600))).toBe(true);
    expect(survives(codec, 4, 2, [...shards, ...parity], new Set([0, 3]))).toBe(true);
  });

  test('lengths that are no multiple of eight are refused before the native code sees them', () => {
    const binding: RonomonBinding = {
      create: reference.create,
      XOR: () => expect.fail('reached the native code'),
    };
    expect(() => encoded(createRonomonCodec(binding), 4, 2, 12)).toThrow(/multiple of 8/);
    expect(() => encoded(createRonomonCodec(binding), 4, 2, 0)).not.toThrow();
  });
});
