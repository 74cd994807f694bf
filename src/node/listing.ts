/**
 * Names in order without a sorted index: names are uniform (they are ciphertext), so the name space is cut into shards by
 * leading bits, and one shard of about 32,768 names is sorted when a page asks for it. The sorted shard is kept while the
 * index does not change. Memory is one shard; other distributions of names are only slower.
 */
import type { EntryId, FragmentIndex } from './fragmentindex.ts';
import type { ListedFragment, ListPage } from './fragmentstore.ts';

const SHARD_ENTRIES = 32_768;
const SHARD_BITS_MAX = 16;
/** A shard's position packs into the low bits of a double beside the 32 leading bits of the name. */
const PACKED_ENTRIES_MAX = 2 ** 21;
export const LIST_LIMIT_MAX = 10_000;

export class Listing {
  readonly #index: FragmentIndex;
  readonly #tag: number;
  #version = -1;
  #bits = 0;
  #counts = new Uint32Array(1);
  #shard = -1;
  #sorted: Uint32Array = new Uint32Array(0);

  /** Of the names with this tag (address.ts). */
  constructor(index: FragmentIndex, tag: number) {
    this.#index = index;
    this.#tag = tag;
  }

  page(after: Uint8Array | undefined, limit: number): ListPage {
    this.#refresh();
    const fragments: ListedFragment[] = [];
    const wanted = Math.min(limit, LIST_LIMIT_MAX);
    for (let shard = after ? this.#shardOf(prefixOf(after)) : 0; shard < this.#counts.length; shard++) {
      if (this.#counts[shard] === 0) continue;
      const ids = this.#load(shard);
      for (let i = after ? this.#firstAfter(ids, after) : 0; i < ids.length; i++) {
        if (fragments.length === wanted) return { fragments, next: fragments.at(-1)!.name };
        const id = ids[i]!;
        fragments.push({
          name: Buffer.from(this.#index.name(id)),
          storedLengthBytes: this.#index.lengthBytes(id),
        });
      }
    }
    return { fragments, next: undefined };
  }

  #refresh(): void {
    const index = this.#index;
    if (this.#version === index.version) return;
    this.#version = index.version;
    this.#shard = -1;
    this.#bits = Math.min(SHARD_BITS_MAX, Math.max(0, Math.ceil(Math.log2(index.count / SHARD_ENTRIES))));
    this.#counts = new Uint32Array(2 ** this.#bits);
    for (let id = 0; id < index.entryLimit; id++) {
      if (!this.#has(id)) continue;
      const shard = this.#shardOf(index.namePrefix(id));
      this.#counts[shard] = this.#counts[shard]! + 1;
    }
  }

  #has(id: EntryId): boolean {
    return this.#index.isLive(id) && this.#index.tag(id) === this.#tag;
  }

  #shardOf(prefix: number): number {
    return this.#bits === 0 ? 0 : prefix >>> (32 - this.#bits);
  }

  #load(shard: number): Uint32Array {
    if (this.#shard === shard) return this.#sorted;
    const index = this.#index;
    const ids = new Uint32Array(this.#counts[shard]!);
    let count = 0;
    for (let id = 0; id < index.entryLimit; id++) {
      if (this.#has(id) && this.#shardOf(index.namePrefix(id)) === shard) ids[count++] = id;
    }
    this.#sorted = ids.length <= PACKED_ENTRIES_MAX ? this.#sortPacked(ids) : this.#sortPlain(ids);
    this.#shard = shard;
    return this.#sorted;
  }

  #sortPlain(ids: Uint32Array): Uint32Array {
    return ids.sort((a, b) => this.#index.compareNames(a, b));
  }

  /** Sorts by the 32 leading bits as numbers, which is native, then the few runs that agree in them. */
  #sortPacked(ids: Uint32Array): Uint32Array {
    const packed = new Float64Array(ids.length);
    for (let i = 0; i < ids.length; i++) {
      packed[i] = this.#index.namePrefix(ids[i]!) * PACKED_ENTRIES_MAX + i;
    }
    packed.sort();
    const sorted = new Uint32Array(ids.length);
    for (let i = 0; i < ids.length; i++) sorted[i] = ids[packed[i]! % PACKED_ENTRIES_MAX]!;
    for (let start = 0; start < sorted.length; ) {
      const prefix = this.#index.namePrefix(sorted[start]!);
      let end = start + 1;
      while (end < sorted.length && this.#index.namePrefix(sorted[end]!) === prefix) end++;
      if (end - start > 1) this.#sortPlain(sorted.subarray(start, end));
      start = end;
    }
    return sorted;
  }

  #firstAfter(ids: Uint32Array, after: Uint8Array): number {
    let low = 0;
    let high = ids.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#index.name(ids[middle]!).compare(after) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function prefixOf(name: Uint8Array): number {
  return (
    ((name[0] ?? 0) * 2 ** 24 + (name[1] ?? 0) * 2 ** 16 + (name[2] ?? 0) * 2 ** 8 + (name[3] ?? 0)) >>> 0
  );
}
