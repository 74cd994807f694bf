/**
 * Arithmetic in GF(2⁸) with the polynomial x⁸ + x⁴ + x³ + x² + 1 (0x11D), the field of codec 1 (design/commits.md, "Codec
 * and stripe shape") and of ISA-L. Addition is XOR. Everything is table driven; nothing here handles secrets, so timing
 * does not matter.
 */
import { assert } from '../base/assert.ts';

export const FIELD_SIZE = 256;
const POLYNOMIAL = 0x11d;

/** Row-major matrix of field elements. */
export type Matrix = readonly Uint8Array[];

const exponents = new Uint8Array(2 * FIELD_SIZE);
const logarithms = new Uint8Array(FIELD_SIZE);

for (let power = 0, value = 1; power < 255; power++) {
  exponents[power] = value;
  exponents[power + 255] = value;
  logarithms[value] = power;
  value <<= 1;
  if (value >= FIELD_SIZE) value ^= POLYNOMIAL;
}

/** Products of every pair: `a · b` at index `a << 8 | b`, so that 256 bytes from `a << 8` are the multiples of a. */
export const products = new Uint8Array(FIELD_SIZE * FIELD_SIZE);

for (let a = 1; a < FIELD_SIZE; a++) {
  for (let b = 1; b < FIELD_SIZE; b++) {
    products[(a << 8) | b] = exponents[logarithms[a]! + logarithms[b]!]!;
  }
}

export function multiply(a: number, b: number): number {
  return products[(a << 8) | b]!;
}

/** The multiplicative inverse of a non-zero element. */
export function inverse(a: number): number {
  assert(a > 0 && a < FIELD_SIZE, `${a} has no inverse in GF(256)`);
  return exponents[255 - logarithms[a]!]!;
}

/** `target ^= factor · source`, element by element. */
export function addMultiple(target: Uint8Array, source: Uint8Array, factor: number): void {
  for (let i = 0; i < target.length; i++) target[i] = target[i]! ^ multiply(factor, source[i]!);
}

/** Gauss–Jordan elimination. Throws AssertionError for a singular matrix; a square part of a Cauchy matrix never is. */
export function invertMatrix(matrix: Matrix): Uint8Array[] {
  const size = matrix.length;
  const left = matrix.map((row) => Uint8Array.from(row));
  const right = matrix.map((_, i) => {
    const row = new Uint8Array(size);
    row[i] = 1;
    return row;
  });
  for (let column = 0; column < size; column++) {
    const pivot = left.findIndex((row, i) => i >= column && row[column] !== 0);
    assert(pivot >= 0, 'matrix is singular');
    [left[column], left[pivot]] = [left[pivot]!, left[column]!];
    [right[column], right[pivot]] = [right[pivot]!, right[column]!];
    const scale = inverse(left[column]![column]!);
    scaleRow(left[column]!, scale);
    scaleRow(right[column]!, scale);
    for (let i = 0; i < size; i++) {
      const factor = left[i]![column]!;
      if (i === column || factor === 0) continue;
      addMultiple(left[i]!, left[column]!, factor);
      addMultiple(right[i]!, right[column]!, factor);
    }
  }
  return right;
}

function scaleRow(row: Uint8Array, factor: number): void {
  for (let i = 0; i < row.length; i++) row[i] = multiply(factor, row[i]!);
}
