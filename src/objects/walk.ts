/**
 * The walk under both listings: names in UTF-8 byte order, with everything between the prefix and the next delimiter rolled
 * up into one common prefix (S3 User Guide, "Organizing objects using prefixes").
 *
 * A common prefix costs at most one seek, however many names are in it; when the names behind it have been read already,
 * not even that. After a seek only a few entries are read, since the next common prefix is likely near; every read after
 * it takes four times as many.
 */
import { assert } from '../base/assert.ts';
import { prefixEnd } from '../base/bytes.ts';
import type { Cursor, MetadataEngine } from '../metadata/engine.ts';

const READ_MIN = 16;
const READ_MAX = 1024;

/** Where names of one family live in the engine. */
export interface NameSpace {
  /** First bytes of all keys of the family. */
  readonly base: Uint8Array;
  /** A name, without what marks its end, as it stands in keys behind `base`. */
  encode(name: Uint8Array): Uint8Array;
  /** The name in a key. */
  nameOf(key: Buffer): Buffer;
}

export interface Walk {
  readonly space: NameSpace;
  readonly prefix: Buffer;
  /** Empty: nothing is rolled up. */
  readonly delimiter: Buffer;
  /** First key of the family that may be listed, or undefined for the first of all. */
  readonly fromKey: Uint8Array | undefined;
  /** Objects and common prefixes together. */
  readonly itemsMax: number;
  item(name: Buffer, key: Buffer, value: Buffer): void;
  commonPrefix(name: Buffer): void;
}

/** The first key behind all names that begin with `name`. */
export function keyBehind(space: NameSpace, name: Uint8Array): Buffer {
  const end = prefixEnd(Buffer.concat([space.base, space.encode(name)]));
  assert(end !== undefined, 'a family of keys has an end');
  return end;
}

/** The common prefix that `name` is rolled up into; undefined when it is listed itself. `name` begins with the prefix. */
export function commonPrefixOf(name: Buffer, prefixLength: number, delimiter: Buffer): Buffer | undefined {
  if (delimiter.length === 0) return undefined;
  const at = name.indexOf(delimiter, prefixLength);
  return at < 0 ? undefined : name.subarray(0, at + delimiter.length);
}

/** Calls back in order; true when there is more than `itemsMax`. */
export async function walkNames(engine: MetadataEngine, walk: Walk): Promise<boolean> {
  const { space, prefix, itemsMax } = walk;
  const first = Buffer.concat([space.base, space.encode(prefix)]);
  const from = walk.fromKey && Buffer.compare(walk.fromKey, first) > 0 ? walk.fromKey : first;
  const entries = new SkippingReader(engine.cursor({ from, to: keyBehind(space, prefix) }), walk);
  try {
    for (let items = 0; ; items++) {
      const entry = entries.peek() ?? (await entries.read());
      if (!entry) return false;
      if (items === itemsMax) return true;
      const [key, value] = entry;
      const name = space.nameOf(key);
      const rolledUp = commonPrefixOf(name, prefix.length, walk.delimiter);
      if (rolledUp) {
        walk.commonPrefix(rolledUp);
        entries.skipTo(keyBehind(space, rolledUp));
      } else {
        walk.item(name, key, value);
        entries.skipOne();
      }
    }
  } finally {
    await entries.close();
  }
}

class SkippingReader {
  readonly #cursor: Cursor;
  #entries: [key: Buffer, value: Buffer][] = [];
  #at = 0;
  #readCount: number;

  constructor(cursor: Cursor, { delimiter, itemsMax }: Walk) {
    this.#cursor = cursor;
    this.#readCount = delimiter.length > 0 ? READ_MIN : Math.min(itemsMax + 1, READ_MAX);
  }

  /** The entry at hand, if it has been read. */
  peek(): [key: Buffer, value: Buffer] | undefined {
    return this.#entries[this.#at];
  }

  /** Reads on; undefined at the end. */
  async read(): Promise<[key: Buffer, value: Buffer] | undefined> {
    this.#entries = await this.#cursor.next(this.#readCount);
    this.#at = 0;
    this.#readCount = Math.min(this.#readCount * 4, READ_MAX);
    return this.#entries[0];
  }

  skipOne(): void {
    this.#at += 1;
  }

  /** Goes on at the first key ≥ `key`, by a seek only where that has not been read. */
  skipTo(key: Buffer): void {
    const last = this.#entries.at(-1);
    if (last && Buffer.compare(last[0], key) >= 0) {
      let low = this.#at + 1;
      let high = this.#entries.length - 1;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (Buffer.compare((this.#entries[middle] ?? last)[0], key) < 0) low = middle + 1;
        else high = middle;
      }
      this.#at = low;
      return;
    }
    this.#cursor.seek(key);
    this.#entries = [];
    this.#at = 0;
    this.#readCount = READ_MIN;
  }

  close(): Promise<void> {
    return this.#cursor.close();
  }
}
