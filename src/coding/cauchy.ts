/**
 * Codec 1, the default: systematic Reed–Solomon over GF(2⁸)/0x11D with a Cauchy matrix. The coefficient of data shard j in
 * parity shard i is inverse((k + i) ⊕ j), for every k ≥ 1, m ≥ 0 with k + m ≤ 255: the matrix of ISA-L's
 * `gf_gen_cauchy1_matrix`, which made test/vectors/codec1.json.
 *
 * This is the portable implementation and the specification of the native one. It works byte by byte (columnwise), so any
 * equal byte range of the shards can be coded by itself. Every square part of a Cauchy matrix is invertible, so any k
 * shards give back all others.
 */
import type { Codec } from './codec.ts';
import { combine } from './combine.ts';
import { addMultiple, inverse, invertMatrix } from './galois.ts';
import { checkEncode, planDecode } from './shards.ts';

export const CAUCHY_CODEC_ID = 1;
const SHARDS_MAX = 255;

/** The row of parity shard i: k coefficients. */
export function parityRow(k: number, i: number): Uint8Array {
  return Uint8Array.from({ length: k }, (_, j) => inverse((k + i) ^ j));
}

/**
 * For each wanted shard its coefficients over `sources` (k distinct shard indices). Only the data shards that are not
 * sources are solved for, so the inversion is as small as the loss.
 */
export function decodeMatrix(k: number, sources: readonly number[], wanted: readonly number[]): Uint8Array[] {
  const dataRows = rowsOfData(k, sources);
  return wanted.map((index) => {
    if (index < k) return dataRows[index]!;
    const row = new Uint8Array(k);
    for (const [j, coefficient] of parityRow(k, index - k).entries())
      addMultiple(row, dataRows[j]!, coefficient);
    return row;
  });
}

/** Every data shard as a combination of the sources. */
function rowsOfData(k: number, sources: readonly number[]): Uint8Array[] {
  const rows: (Uint8Array | undefined)[] = new Array(k).fill(undefined);
  for (const [position, index] of sources.entries()) {
    if (index >= k) continue;
    const row = new Uint8Array(k);
    row[position] = 1;
    rows[index] = row;
  }
  const lost = [...rows.keys()].filter((j) => !rows[j]);
  const parities = sources.flatMap((index, position) =>
    index < k ? [] : [{ position, coefficients: parityRow(k, index - k) }],
  );
  // Each parity source p gives the equation Σ over lost u of p[u]·x[u] = p ⊕ Σ over known j of p[j]·x[j].
  const solution = invertMatrix(
    parities.map(({ coefficients }) => Uint8Array.from(lost, (u) => coefficients[u]!)),
  );
  const rightSides = parities.map(({ position, coefficients }) => {
    const row = new Uint8Array(k);
    for (const [p, index] of sources.entries()) if (index < k) row[p] = coefficients[index]!;
    row[position] = 1;
    return row;
  });
  for (const [e, u] of lost.entries()) {
    const row = new Uint8Array(k);
    for (const [p, side] of rightSides.entries()) addMultiple(row, side, solution[e]![p]!);
    rows[u] = row;
  }
  return rows as Uint8Array[];
}

export const cauchyCodec: Codec = {
  id: CAUCHY_CODEC_ID,
  name: 'codec 1 (Cauchy Reed–Solomon)',
  columnwise: true,
  supports: (k, m) => Number.isInteger(k) && Number.isInteger(m) && k >= 1 && m >= 0 && k + m <= SHARDS_MAX,
  encode(k, m, data, parity) {
    checkEncode(this, k, m, data, parity);
    combine(
      parity.map((_, i) => parityRow(k, i)),
      data,
      parity,
    );
  },
  decode(k, m, present, wanted) {
    const { sources } = planDecode(this, k, m, present, wanted);
    combine(
      decodeMatrix(k, sources, [...wanted.keys()]),
      sources.map((index) => present[index]!),
      [...wanted.values()],
    );
  },
};
