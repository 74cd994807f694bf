/**
 * The one kernel of codec 1: outputs[r] = Σ matrix[r][s] · sources[s] over GF(2⁸), for encoding and decoding alike.
 *
 * Three loops, chosen by measurement (Zen 4, 1-MiB shards, GB/s of source data at four sources):
 * - one or two rows: wide tables, two bytes of a shard per lookup (1.6 to 2.0 at two rows); four sources a pass keep their
 *   tables (1 MiB) in L2;
 * - three or four rows: quad tables, which lie in L1 (1.2 at four rows);
 * - whatever is short or not aligned to four bytes: a byte at a time (0.3), which is also what the others are tested against.
 *
 * More rows are done four at a time. Entries are positional, so the result does not depend on the machine's byte order.
 */
import { assert } from '../base/assert.ts';
import { type Matrix, products } from './galois.ts';
import { quadTable, wideTable } from './tables.ts';

const ROWS_PER_PASS = 4;
const SOURCES_PER_PASS = 4;
const WORD_BYTES = 4;
/** Below this length making wide tables (0.2 ms each) costs more than they save. */
const WIDE_LENGTH_MIN_BYTES = 32 * 1024;
/** With more sources the wide tables of one matrix would push each other out of their cache. */
const WIDE_SOURCES_MAX = 24;

/** Overwrites `outputs` (one per row of `matrix`). All views have one length and outputs overlap nothing else. */
export function combine(
  matrix: Matrix,
  sources: readonly Uint8Array[],
  outputs: readonly Uint8Array[],
): void {
  assert(matrix.length === outputs.length, 'one row for each output');
  for (const output of outputs) output.fill(0);
  const lengthBytes = outputs[0]?.length ?? 0;
  if (lengthBytes === 0) return;
  const aligned = [...sources, ...outputs].every((view) => view.byteOffset % WORD_BYTES === 0);
  const wordsEndBytes = aligned ? lengthBytes - (lengthBytes % WORD_BYTES) : 0;
  if (wordsEndBytes > 0) addWords(matrix, sources.map(asWords), outputs.map(asWords));
  if (wordsEndBytes < lengthBytes) addBytes(matrix, sources, outputs, wordsEndBytes);
}

function asWords(view: Uint8Array): Uint32Array {
  return new Uint32Array(view.buffer, view.byteOffset, Math.floor(view.length / WORD_BYTES));
}

/**
 * Rows that a pass lacks have coefficients of zero and add them to the pass's first output, which changes nothing: so
 * one loop serves one and two rows, and another three and four.
 */
function addWords(matrix: Matrix, sources: readonly Uint32Array[], outputs: readonly Uint32Array[]): void {
  const lengthBytes = outputs[0]!.length * WORD_BYTES;
  const wideAllowed = lengthBytes >= WIDE_LENGTH_MIN_BYTES && sources.length <= WIDE_SOURCES_MAX;
  for (let row = 0; row < matrix.length; row += ROWS_PER_PASS) {
    const rows = matrix.slice(row, row + ROWS_PER_PASS);
    const [a, b = a, c = a, d = a] = outputs.slice(row, row + ROWS_PER_PASS) as [Uint32Array];
    if (wideAllowed && rows.length <= 2) {
      const tables = sources.map((_, s) => wideTable(rows[0]![s]!, rows[1]?.[s] ?? 0));
      addWide(sources, tables, a, b);
    } else {
      const tables = sources.map((_, s) => quadTable(rows.map((coefficients) => coefficients[s]!)));
      addQuad(sources, tables, a, b, c, d);
    }
  }
}

function addWide(
  sources: readonly Uint32Array[],
  tables: readonly Uint32Array[],
  a: Uint32Array,
  b: Uint32Array,
): void {
  let s = 0;
  for (; s + SOURCES_PER_PASS <= sources.length; s += SOURCES_PER_PASS) {
    const [s0, s1, s2, s3] = sources.slice(s, s + SOURCES_PER_PASS) as FourViews;
    const [t0, t1, t2, t3] = tables.slice(s, s + SOURCES_PER_PASS) as FourViews;
    addWide4(s0, s1, s2, s3, t0, t1, t2, t3, a, b);
  }
  for (; s < sources.length; s++) addWide1(sources[s]!, tables[s]!, a, b);
}

function addQuad(
  sources: readonly Uint32Array[],
  tables: readonly Uint32Array[],
  a: Uint32Array,
  b: Uint32Array,
  c: Uint32Array,
  d: Uint32Array,
): void {
  let s = 0;
  for (; s + SOURCES_PER_PASS <= sources.length; s += SOURCES_PER_PASS) {
    const [s0, s1, s2, s3] = sources.slice(s, s + SOURCES_PER_PASS) as FourViews;
    const [t0, t1, t2, t3] = tables.slice(s, s + SOURCES_PER_PASS) as FourViews;
    addQuad4(s0, s1, s2, s3, t0, t1, t2, t3, a, b, c, d);
  }
  for (; s < sources.length; s++) addQuad1(sources[s]!, tables[s]!, a, b, c, d);
}

type FourViews = [Uint32Array, Uint32Array, Uint32Array, Uint32Array];

function addWide4(
  s0: Uint32Array,
  s1: Uint32Array,
  s2: Uint32Array,
  s3: Uint32Array,
  t0: Uint32Array,
  t1: Uint32Array,
  t2: Uint32Array,
  t3: Uint32Array,
  a: Uint32Array,
  b: Uint32Array,
): void {
  for (let i = 0; i < a.length; i++) {
    const w0 = s0[i]!;
    const w1 = s1[i]!;
    const w2 = s2[i]!;
    const w3 = s3[i]!;
    const low = t0[w0 & 0xffff]! ^ t1[w1 & 0xffff]! ^ t2[w2 & 0xffff]! ^ t3[w3 & 0xffff]!;
    const high = t0[w0 >>> 16]! ^ t1[w1 >>> 16]! ^ t2[w2 >>> 16]! ^ t3[w3 >>> 16]!;
    a[i] = a[i]! ^ ((low & 0xffff) | (high << 16));
    b[i] = b[i]! ^ ((low >>> 16) | (high & 0xffff0000));
  }
}

function addWide1(source: Uint32Array, table: Uint32Array, a: Uint32Array, b: Uint32Array): void {
  for (let i = 0; i < a.length; i++) {
    const word = source[i]!;
    const low = table[word & 0xffff]!;
    const high = table[word >>> 16]!;
    a[i] = a[i]! ^ ((low & 0xffff) | (high << 16));
    b[i] = b[i]! ^ ((low >>> 16) | (high & 0xffff0000));
  }
}

/** Looks up the four bytes of a word apart and turns the four results (a byte per row) into four words (a row each). */
function addQuad4(
  s0: Uint32Array,
  s1: Uint32Array,
  s2: Uint32Array,
  s3: Uint32Array,
  t0: Uint32Array,
  t1: Uint32Array,
  t2: Uint32Array,
  t3: Uint32Array,
  a: Uint32Array,
  b: Uint32Array,
  c: Uint32Array,
  d: Uint32Array,
): void {
  for (let i = 0; i < a.length; i++) {
    const w0 = s0[i]!;
    const w1 = s1[i]!;
    const w2 = s2[i]!;
    const w3 = s3[i]!;
    const p0 = t0[w0 & 255]! ^ t1[w1 & 255]! ^ t2[w2 & 255]! ^ t3[w3 & 255]!;
    const p1 = t0[(w0 >>> 8) & 255]! ^ t1[(w1 >>> 8) & 255]! ^ t2[(w2 >>> 8) & 255]! ^ t3[(w3 >>> 8) & 255]!;
    const p2 =
      t0[(w0 >>> 16) & 255]! ^ t1[(w1 >>> 16) & 255]! ^ t2[(w2 >>> 16) & 255]! ^ t3[(w3 >>> 16) & 255]!;
    const p3 = t0[w0 >>> 24]! ^ t1[w1 >>> 24]! ^ t2[w2 >>> 24]! ^ t3[w3 >>> 24]!;
    a[i] = a[i]! ^ ((p0 & 255) | ((p1 & 255) << 8) | ((p2 & 255) << 16) | (p3 << 24));
    b[i] = b[i]! ^ (((p0 >>> 8) & 255) | (p1 & 0xff00) | ((p2 & 0xff00) << 8) | ((p3 & 0xff00) << 16));
    c[i] = c[i]! ^ (((p0 >>> 16) & 255) | ((p1 >>> 8) & 0xff00) | (p2 & 0xff0000) | ((p3 & 0xff0000) << 8));
    d[i] = d[i]! ^ ((p0 >>> 24) | ((p1 >>> 16) & 0xff00) | ((p2 >>> 8) & 0xff0000) | (p3 & 0xff000000));
  }
}

function addQuad1(
  source: Uint32Array,
  table: Uint32Array,
  a: Uint32Array,
  b: Uint32Array,
  c: Uint32Array,
  d: Uint32Array,
): void {
  for (let i = 0; i < a.length; i++) {
    const word = source[i]!;
    const p0 = table[word & 255]!;
    const p1 = table[(word >>> 8) & 255]!;
    const p2 = table[(word >>> 16) & 255]!;
    const p3 = table[word >>> 24]!;
    a[i] = a[i]! ^ ((p0 & 255) | ((p1 & 255) << 8) | ((p2 & 255) << 16) | (p3 << 24));
    b[i] = b[i]! ^ (((p0 >>> 8) & 255) | (p1 & 0xff00) | ((p2 & 0xff00) << 8) | ((p3 & 0xff00) << 16));
    c[i] = c[i]! ^ (((p0 >>> 16) & 255) | ((p1 >>> 8) & 0xff00) | (p2 & 0xff0000) | ((p3 & 0xff0000) << 8));
    d[i] = d[i]! ^ ((p0 >>> 24) | ((p1 >>> 16) & 0xff00) | ((p2 >>> 8) & 0xff0000) | (p3 & 0xff000000));
  }
}

function addBytes(
  matrix: Matrix,
  sources: readonly Uint8Array[],
  outputs: readonly Uint8Array[],
  fromBytes: number,
): void {
  for (const [row, output] of outputs.entries()) {
    for (const [s, source] of sources.entries()) {
      const coefficient = matrix[row]![s]!;
      const multiples = products.subarray(coefficient << 8, (coefficient + 1) << 8);
      for (let i = fromBytes; i < output.length; i++) output[i] = output[i]! ^ multiples[source[i]!]!;
    }
  }
}
