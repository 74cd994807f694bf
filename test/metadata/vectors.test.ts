/**
 * The bytes of the metadata format against test/vectors/metadata.json. CBOR is read here by a decoder of its own, written
 * from RFC 8949 section 3, so that the format is the RFC's and not that of the library in use.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { decodeSlot, encodeSlot } from '../../src/commitlog/slot.ts';
import { decodeCounter, encodeCounter } from '../../src/metadata/counter.ts';
import { escapeName, keys, prefixes, unescapeName } from '../../src/metadata/keys.ts';
import {
  decodeExtents,
  decodeRecord,
  type Extent,
  encodeExtents,
  encodeRecord,
  type RecordBase,
} from '../../src/metadata/records.ts';

interface KeyVector {
  readonly table: 'keys' | 'prefixes';
  readonly function: string;
  readonly arguments: readonly unknown[];
  readonly bytes: string;
}

interface Vectors {
  readonly keys: readonly KeyVector[];
  readonly escapedNames: readonly { name: string; bytes: string }[];
  readonly records: readonly { type: string; record: RecordBase; bytes: string }[];
  readonly extents: readonly { extents: Extent[]; bytes: string }[];
  readonly slots: readonly { slot: { term: number; start: number; counter: number }; bytes: string }[];
  readonly counters: readonly { value: number; bytes: string }[];
}

/** `{"hex": …}` stands for a byte string. */
const vectors: Vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, '../vectors/metadata.json'), 'utf8'),
  (_, value) => (typeof value?.hex === 'string' ? Buffer.from(value.hex, 'hex') : value),
);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** RFC 8949 with definite lengths, in the subset that ARCHITECTURE.md names; anything else throws. */
class CborReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get ended(): boolean {
    return this.#at === this.#bytes.length;
  }

  item(): unknown {
    const first = this.#take(1).readUInt8();
    const major = first >> 5;
    const info = first & 31;
    if (major === 7) return this.#simple(info);
    const argument = this.#argument(info);
    if (major === 0) return argument;
    if (major === 2) return this.#take(argument);
    if (major === 3) return new TextDecoder('utf-8', { fatal: true }).decode(this.#take(argument));
    if (major === 4) return Array.from({ length: argument }, () => this.item());
    if (major === 5) return this.#map(argument);
    throw new Error(`major type ${major} is not in the format`);
  }

  #map(pairs: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    for (let i = 0; i < pairs; i++) {
      const key = this.item();
      if (typeof key !== 'string' || key in map) throw new Error(`map key ${String(key)}`);
      map[key] = this.item();
    }
    return map;
  }

  #argument(info: number): number {
    if (info < 24) return info;
    if (info > 26) throw new Error(`length information ${info} is not in the format`);
    const bytes = 1 << (info - 24);
    return this.#take(bytes).readUIntBE(0, bytes);
  }

  #simple(info: number): unknown {
    if (info === 20 || info === 21) return info === 21;
    if (info === 27) return this.#take(8).readDoubleBE();
    throw new Error(`simple value ${info} is not in the format`);
  }

  #take(count: number): Buffer {
    if (this.#at + count > this.#bytes.length) throw new Error('truncated');
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }
}

function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('keys', () => {
  const tables = { keys, prefixes } as unknown as Record<
    string,
    Record<string, (...values: unknown[]) => Buffer>
  >;

  for (const [i, vector] of vectors.keys.entries()) {
    it(`${vector.table}.${vector.function} (${i})`, () => {
      const made = tables[vector.table]?.[vector.function]?.(...vector.arguments);
      expect(made?.toString('hex')).toBe(vector.bytes);
    });
  }

  it('has a vector for every family', () => {
    for (const [table, functions] of Object.entries(tables)) {
      const covered = vectors.keys.filter((vector) => vector.table === table).map((v) => v.function);
      expect(new Set(covered)).toEqual(new Set(Object.keys(functions)));
    }
  });

  it('escapes names, and reads them back in front of other bytes', () => {
    for (const { name, bytes } of vectors.escapedNames) {
      expect(hex(escapeName(Buffer.from(name, 'hex')))).toBe(bytes);
      const read = unescapeName(Buffer.from(`${bytes}00ff00`, 'hex'));
      expect([hex(read.name), read.consumedBytes]).toEqual([name, bytes.length / 2]);
    }
  });
});

describe('records', () => {
  for (const [i, { type, record, bytes }] of vectors.records.entries()) {
    it(`${type} (${i})`, () => {
      const raw = Buffer.from(bytes, 'hex');
      const reader = new CborReader(raw);
      expect(reader.item()).toEqual(record);
      expect(reader.ended).toBe(true);
      expect(hex(encodeRecord(record))).toBe(bytes);
      expect(decodeRecord(raw)).toEqual(record);
    });
  }

  it('passes over fields it does not know', () => {
    expect(decodeRecord(encodeRecord({ v: 1, later: { a: [1] } } as RecordBase))).toMatchObject({ v: 1 });
  });

  it('refuses a later format by name', () => {
    expect(thrownBy(() => decodeRecord(encodeRecord({ v: 2 })))).toMatchObject({
      code: 'FormatTooNew',
      message: 'metadata record of format 2, this version reads 1',
    });
  });

  it('gives its own error, naming the record, wherever a record is cut off', () => {
    for (const { bytes } of vectors.records) {
      const raw = Buffer.from(bytes, 'hex');
      for (let length = 0; length < raw.length; length++) {
        const error = thrownBy(() => decodeRecord(raw.subarray(0, length)));
        expect(error).toMatchObject({ name: 'HoldfastError', code: 'InternalError' });
        expect(error).toHaveProperty('message', expect.stringContaining(`record of ${length} bytes`));
      }
    }
  });

  const hostile: Readonly<Record<string, Buffer>> = {
    'a number': Buffer.from('00', 'hex'),
    null: Buffer.from('f6', 'hex'),
    undefined: Buffer.from('f7', 'hex'),
    'an array': Buffer.from('8101', 'hex'),
    'no format': Buffer.from('a0', 'hex'),
    'a format in text': Buffer.from('a161766131', 'hex'),
    'format 0': Buffer.from('a1617600', 'hex'),
    'a break without a start': Buffer.from('ff', 'hex'),
    'a reserved length': Buffer.from('bc', 'hex'),
    'an endless map': Buffer.from('bbffffffffffffffff', 'hex'),
    'an endless text': Buffer.from('7bffffffffffffffff', 'hex'),
    'an endless byte string': Buffer.from('5affffffff', 'hex'),
    'an endless array': Buffer.from('9affffffff', 'hex'),
    'a reference to nothing': Buffer.from('d81d05', 'hex'),
    'nesting without end': Buffer.alloc(100_000, 0x81),
    'bytes behind the record': Buffer.concat([encodeRecord({ v: 1 }), Buffer.of(0)]),
  };
  for (const [name, bytes] of Object.entries(hostile)) {
    it(`refuses ${name}`, () => {
      expect(thrownBy(() => decodeRecord(bytes))).toMatchObject({
        name: 'HoldfastError',
        code: 'InternalError',
        message: expect.stringContaining(`damaged metadata record of ${bytes.length} bytes`),
      });
    });
  }

  it('gives a record or its own error for any bytes', () => {
    const anyBytes = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc.uint8Array({ maxLength: 32 }).map((tail) => Buffer.concat([Buffer.from('a2617601', 'hex'), tail])),
    );
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const error = thrownBy(() => decodeRecord(bytes));
        return error === undefined || error instanceof HoldfastError;
      }),
      { numRuns: 2000 },
    );
  });
});

describe('extents', () => {
  it('are 25 bytes each', () => {
    for (const { extents, bytes } of vectors.extents) {
      expect(hex(encodeExtents(extents))).toBe(bytes);
      expect(decodeExtents(Buffer.from(bytes, 'hex'))).toEqual(extents);
    }
  });

  it('that are cut off or of an unknown kind are refused', () => {
    expect(thrownBy(() => decodeExtents(Buffer.alloc(26)))).toMatchObject({ code: 'InternalError' });
    expect(thrownBy(() => decodeExtents(Buffer.alloc(25, 1)))).toMatchObject({
      code: 'FormatTooNew',
      message: 'extent of kind 1, this version reads 0',
    });
  });
});

describe('values that are not CBOR', () => {
  it('slots are 12 bytes', () => {
    for (const { slot, bytes } of vectors.slots) {
      expect(hex(encodeSlot(slot))).toBe(bytes);
      expect(decodeSlot(Buffer.from(bytes, 'hex'))).toEqual(slot);
    }
  });

  it('counters are signed 64-bit, big-endian', () => {
    for (const { value, bytes } of vectors.counters) {
      expect(hex(encodeCounter(value))).toBe(bytes);
      expect(decodeCounter(Buffer.from(bytes, 'hex'))).toBe(value);
    }
  });
});
