import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import { cauchyCodec, parityRow } from '../../src/coding/cauchy.ts';
import { combine } from '../../src/coding/combine.ts';
import { inverse, invertMatrix, multiply } from '../../src/coding/galois.ts';
import { codecConformance, patternBytes } from '../conformance/codec.ts';

interface Vector {
  readonly k: number;
  readonly m: number;
  readonly lengthBytes: number;
  readonly parity: readonly string[];
}

const vectors = JSON.parse(
  readFileSync(new URL('../vectors/codec1.json', import.meta.url), 'utf8'),
) as Vector[];

/** The schoolbook product, independent of the tables: shift and reduce. */
function slowMultiply(a: number, b: number): number {
  let product = 0;
  for (let bit = 7; bit >= 0; bit--) {
    product = (product << 1) ^ (product & 0x80 ? 0x11d : 0);
    if (b & (1 << bit)) product ^= a;
  }
  return product & 0xff;
}

codecConformance(cauchyCodec);

describe('GF(256) with 0x11D', () => {
  test('every product is that of long multiplication', () => {
    for (let a = 0; a < 256; a++) {
      for (let b = 0; b < 256; b++) if (multiply(a, b) !== slowMultiply(a, b)) expect.fail(`${a} * ${b}`);
    }
  });

  test('every non-zero element times its inverse is one, zero has none', () => {
    for (let a = 1; a < 256; a++) expect(multiply(a, inverse(a))).toBe(1);
    expect(() => inverse(0)).toThrow();
  });

  test('a matrix times its inverse is the identity, a singular one is refused', () => {
    const matrix = Array.from({ length: 6 }, (_, i) => parityRow(6, i));
    const inverted = invertMatrix(matrix);
    for (let i = 0; i < 6; i++) {
      for (let j = 0; j < 6; j++) {
        const cell = matrix[i]!.reduce((sum, a, x) => sum ^ multiply(a, inverted[x]![j]!), 0);
        expect(cell).toBe(i === j ? 1 : 0);
      }
    }
    expect(() => invertMatrix([Uint8Array.of(1, 2), Uint8Array.of(1, 2)])).toThrow(/singular/);
  });
});

describe('codec 1 gives the bytes of ISA-L', () => {
  // Made by ISA-L 2.30: gf_gen_cauchy1_matrix, ec_init_tables, ec_encode_data_base over the data below.
  test.each(vectors)('$k + $m, $lengthBytes bytes', ({ k, m, lengthBytes, parity }) => {
    const data = Array.from({ length: k }, (_, j) =>
      Uint8Array.from({ length: lengthBytes }, (_, n) => (j * 131 + n * 29 + (n >> 8) * 7 + 11) & 255),
    );
    const shards = parity.map(() => new Uint8Array(lengthBytes));
    cauchyCodec.encode(k, m, data, shards);
    expect(shards.map(toHex)).toEqual(parity);
  });
});

describe('the fast loops agree with the schoolbook sum', () => {
  const geometries = [1, 2, 3, 4, 5, 9].flatMap((rows) =>
    [1, 2, 4, 7, 25].map((sources) => [rows, sources] as const),
  );
  test.each(geometries)('%i rows, %i sources, short and long, odd and even', (rows, sourceCount) => {
    const matrix = Array.from({ length: rows }, (_, r) => patternBytes(sourceCount, 77 + r));
    for (const lengthBytes of [3, 256, 32_771]) {
      const sources = Array.from({ length: sourceCount }, (_, s) => patternBytes(lengthBytes, s));
      const outputs = matrix.map(() => new Uint8Array(lengthBytes).fill(9));
      combine(matrix, sources, outputs);
      const positions = [0, 1, 2, lengthBytes >> 1, lengthBytes - 2, lengthBytes - 1];
      for (const [r, output] of outputs.entries()) {
        for (const n of positions) {
          const sum = sources.reduce((total, source, s) => total ^ multiply(matrix[r]![s]!, source[n]!), 0);
          expect(output[n]).toBe(sum);
        }
      }
    }
  });
});
