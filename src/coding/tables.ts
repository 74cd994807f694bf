/**
 * Lookup tables of the portable kernel (combine.ts), made when first needed and kept in bounded caches, least recently
 * used out first. Both kinds hold products of several coefficients in one 32-bit entry, so that one lookup serves several
 * output rows:
 *
 * - a *wide* table maps two bytes of a shard at once to their products with two coefficients (256 KiB, about 0.2 ms to make);
 * - a *quad* table maps one byte to its products with four coefficients (1 KiB).
 */
import { products } from './galois.ts';

/** 48 · 256 KiB = 12 MiB a thread: tables of 4 + 2 and of eleven erasure patterns. */
const WIDE_TABLES_MAX = 48;
/** 4,096 · 1 KiB = 4 MiB a thread. */
const QUAD_TABLES_MAX = 4096;

class TableCache {
  readonly #tablesMax: number;
  readonly #make: (coefficients: number) => Uint32Array;
  readonly #tables = new Map<number, Uint32Array>();

  constructor(tablesMax: number, make: (coefficients: number) => Uint32Array) {
    this.#tablesMax = tablesMax;
    this.#make = make;
  }

  get(coefficients: number): Uint32Array {
    let table = this.#tables.get(coefficients);
    if (table) this.#tables.delete(coefficients);
    else table = this.#make(coefficients);
    this.#tables.set(coefficients, table);
    if (this.#tables.size > this.#tablesMax) {
      for (const oldest of this.#tables.keys()) {
        this.#tables.delete(oldest);
        break;
      }
    }
    return table;
  }
}

const wideTables = new TableCache(WIDE_TABLES_MAX, (coefficients) => {
  const [first, second] = [coefficients >>> 8, coefficients & 0xff];
  const ofByte = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    ofByte[byte] = products[(first << 8) | byte]! | (products[(second << 8) | byte]! << 16);
  }
  const table = new Uint32Array(65536);
  for (let high = 0; high < 256; high++) {
    const products = ofByte[high]! << 8;
    for (let low = 0; low < 256; low++) table[(high << 8) | low] = products | ofByte[low]!;
  }
  return table;
});

const quadTables = new TableCache(QUAD_TABLES_MAX, (coefficients) => {
  const table = new Uint32Array(256);
  for (let row = 0; row < 4; row++) {
    const multiples = ((coefficients >>> (8 * row)) & 0xff) << 8;
    for (let byte = 0; byte < 256; byte++) {
      table[byte] = table[byte]! | (products[multiples | byte]! << (8 * row));
    }
  }
  return table;
});

/** Entry for bytes (low, high): `first·low | first·high << 8 | second·low << 16 | second·high << 24`. */
export function wideTable(first: number, second: number): Uint32Array {
  return wideTables.get((first << 8) | second);
}

/** Entry for a byte: its product with `coefficients[row]` in byte `row`; missing coefficients count as zero. */
export function quadTable(coefficients: readonly number[]): Uint32Array {
  const [a = 0, b = 0, c = 0, d = 0] = coefficients;
  return quadTables.get((a | (b << 8) | (c << 16) | (d << 24)) >>> 0);
}
