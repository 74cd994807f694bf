/**
 * Matrices over GF(2), rows as arrays of 0 and 1: what codec 2 computes with. Its shards are cut into w packets, and each
 * packet of a parity shard is the XOR of those data packets that its row names (Blömer et al., "An XOR-Based
 * Erasure-Resilient Coding Scheme", 1995).
 */
import { assert } from '../base/assert.ts';

export type BitRow = Uint8Array;

/** `target ^= source`. */
export function addBits(target: BitRow, source: BitRow): void {
  for (let i = 0; i < target.length; i++) target[i] = target[i]! ^ source[i]!;
}

/** The XOR of those `rows` that `selector` has a 1 for. */
export function combineBits(selector: BitRow, rows: readonly BitRow[], width: number): BitRow {
  const sum = new Uint8Array(width);
  for (let i = 0; i < selector.length; i++) if (selector[i]) addBits(sum, rows[i]!);
  return sum;
}

/** Gauss–Jordan elimination over GF(2). Throws AssertionError when `matrix` is singular. */
export function invertBits(matrix: readonly BitRow[]): BitRow[] {
  const size = matrix.length;
  const left = matrix.map((row) => Uint8Array.from(row));
  const right = matrix.map((_, i) => {
    const row = new Uint8Array(size);
    row[i] = 1;
    return row;
  });
  for (let column = 0; column < size; column++) {
    const pivot = left.findIndex((row, i) => i >= column && row[column] === 1);
    assert(pivot >= 0, 'bit matrix is singular');
    [left[column], left[pivot]] = [left[pivot]!, left[column]!];
    [right[column], right[pivot]] = [right[pivot]!, right[column]!];
    for (let i = 0; i < size; i++) {
      if (i === column || left[i]![column] === 0) continue;
      addBits(left[i]!, left[column]!);
      addBits(right[i]!, right[column]!);
    }
  }
  return right;
}
