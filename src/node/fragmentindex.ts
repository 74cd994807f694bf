/**
 * Where each record lies: an open-addressing hash table over typed arrays, 47 bytes an entry plus 5.3 to 10.7 bytes of
 * slots, rebuilt from the segments at every start. Entries live in chunks, so that growing copies slots only. Names
 * are 32 bytes beside a tag of 16 bits (address.ts); their hash is seeded, so that who chooses names cannot choose collisions.
 */
import { assert } from '../base/assert.ts';
import { FRAGMENT_NAME_BYTES } from '../coding/trailer.ts';

const NAME_WORDS = 8;
const CHUNK_BITS = 12;
const CHUNK_ENTRIES = 1 << CHUNK_BITS;
const CHUNK_MASK = CHUNK_ENTRIES - 1;
const SLOTS_MIN = 1024;
/** Slots in use at most, in quarters of the table. */
const LOAD_QUARTERS_MAX = 3;

class Chunk {
  readonly words = new Uint32Array(CHUNK_ENTRIES * NAME_WORDS);
  readonly bytes = Buffer.from(this.words.buffer);
  /** 0 marks a free entry; its `offsets` then links to the next free one. */
  readonly segments = new Uint32Array(CHUNK_ENTRIES);
  readonly offsets = new Uint32Array(CHUNK_ENTRIES);
  readonly lengths = new Uint32Array(CHUNK_ENTRIES);
  readonly tags = new Uint16Array(CHUNK_ENTRIES);
  readonly keyLengths = new Uint8Array(CHUNK_ENTRIES);
}

const CHUNK_BYTES = CHUNK_ENTRIES * (FRAGMENT_NAME_BYTES + 15);

/** Entry number, stable while the entry lives; -1 where there is none. */
export type EntryId = number;

export class FragmentIndex {
  readonly #chunks: Chunk[] = [];
  #slots = new Uint32Array(SLOTS_MIN);
  #count = 0;
  /** Entries ever handed out; those below are live or on the free list. */
  #highest = 0;
  #free: EntryId = -1;
  /** Changes with every name that comes or goes. */
  #version = 0;
  readonly #seed: number;
  readonly #probe = new Uint32Array(NAME_WORDS);
  readonly #probeBytes = Buffer.from(this.#probe.buffer);
  #probeTag = 0;

  constructor(seed: number) {
    this.#seed = seed >>> 0;
  }

  get count(): number {
    return this.#count;
  }

  get version(): number {
    return this.#version;
  }

  /** Entry numbers are below this. */
  get entryLimit(): number {
    return this.#highest;
  }

  get memoryBytes(): number {
    return this.#chunks.length * CHUNK_BYTES + this.#slots.byteLength;
  }

  find(name: Uint8Array, tag = 0): EntryId {
    this.#probeBytes.set(name);
    this.#probeTag = tag;
    const mask = this.#slots.length - 1;
    for (let slot = this.#hash(this.#probe, 0, tag) & mask; ; slot = (slot + 1) & mask) {
      const id = this.#slots[slot]! - 1;
      if (id < 0 || this.#matches(id)) return id;
    }
  }

  isLive(id: EntryId): boolean {
    return this.#chunk(id).segments[id & CHUNK_MASK] !== 0;
  }

  segment(id: EntryId): number {
    return this.#chunk(id).segments[id & CHUNK_MASK]!;
  }

  offset(id: EntryId): number {
    return this.#chunk(id).offsets[id & CHUNK_MASK]!;
  }

  lengthBytes(id: EntryId): number {
    return this.#chunk(id).lengths[id & CHUNK_MASK]!;
  }

  tag(id: EntryId): number {
    return this.#chunk(id).tags[id & CHUNK_MASK]!;
  }

  /** Of the key as it is in the record. */
  keyLengthBytes(id: EntryId): number {
    return this.#chunk(id).keyLengths[id & CHUNK_MASK]!;
  }

  /** A view of the name; copy it before anything else is put in. */
  name(id: EntryId): Buffer {
    const at = (id & CHUNK_MASK) * FRAGMENT_NAME_BYTES;
    return this.#chunk(id).bytes.subarray(at, at + FRAGMENT_NAME_BYTES);
  }

  /** First four bytes of the name, as the order of names sees them. */
  namePrefix(id: EntryId): number {
    return this.#chunk(id).bytes.readUInt32BE((id & CHUNK_MASK) * FRAGMENT_NAME_BYTES);
  }

  compareNames(a: EntryId, b: EntryId): number {
    const atA = (a & CHUNK_MASK) * FRAGMENT_NAME_BYTES;
    const atB = (b & CHUNK_MASK) * FRAGMENT_NAME_BYTES;
    const bytesA = this.#chunk(a).bytes;
    return bytesA.compare(
      this.#chunk(b).bytes,
      atB,
      atB + FRAGMENT_NAME_BYTES,
      atA,
      atA + FRAGMENT_NAME_BYTES,
    );
  }

  /** Puts in a name or moves one that is there. `segment` is not 0. */
  set(
    name: Uint8Array,
    segment: number,
    offset: number,
    lengthBytes: number,
    tag = 0,
    keyLengthBytes = FRAGMENT_NAME_BYTES,
  ): void {
    assert(segment !== 0 && name.length === FRAGMENT_NAME_BYTES);
    const found = this.find(name, tag);
    const id = found < 0 ? this.#insert() : found;
    const chunk = this.#chunk(id);
    const i = id & CHUNK_MASK;
    chunk.segments[i] = segment;
    chunk.offsets[i] = offset;
    chunk.lengths[i] = lengthBytes;
    chunk.keyLengths[i] = keyLengthBytes;
  }

  delete(name: Uint8Array, tag = 0): boolean {
    this.#probeBytes.set(name);
    this.#probeTag = tag;
    const mask = this.#slots.length - 1;
    let slot = this.#hash(this.#probe, 0, tag) & mask;
    let id = this.#slots[slot]! - 1;
    for (; id >= 0 && !this.#matches(id); id = this.#slots[slot]! - 1) slot = (slot + 1) & mask;
    if (id < 0) return false;
    this.#closeGap(slot);
    const chunk = this.#chunk(id);
    chunk.segments[id & CHUNK_MASK] = 0;
    chunk.offsets[id & CHUNK_MASK] = this.#free + 1;
    this.#free = id;
    this.#count--;
    this.#version++;
    return true;
  }

  /** Takes an entry for the name in `#probe`. */
  #insert(): EntryId {
    if ((this.#count + 1) * 4 > this.#slots.length * LOAD_QUARTERS_MAX) this.#grow();
    let id = this.#free;
    if (id >= 0) {
      this.#free = this.#chunk(id).offsets[id & CHUNK_MASK]! - 1;
    } else {
      id = this.#highest++;
      if (id >>> CHUNK_BITS === this.#chunks.length) this.#chunks.push(new Chunk());
    }
    const chunk = this.#chunk(id);
    chunk.words.set(this.#probe, (id & CHUNK_MASK) * NAME_WORDS);
    chunk.tags[id & CHUNK_MASK] = this.#probeTag;
    this.#place(id);
    this.#count++;
    this.#version++;
    return id;
  }

  #place(id: EntryId): void {
    const mask = this.#slots.length - 1;
    let slot = this.#hashOf(id) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = id + 1;
  }

  #grow(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let id = 0; id < this.#highest; id++) if (this.isLive(id)) this.#place(id);
  }

  /** Deletion by backward shift (Knuth, volume 3, 6.4, algorithm R): no markers that would slow later searches. */
  #closeGap(emptied: number): void {
    const mask = this.#slots.length - 1;
    let gap = emptied;
    for (let slot = (gap + 1) & mask; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const home = this.#hashOf(this.#slots[slot]! - 1) & mask;
      if (((slot - home) & mask) >= ((slot - gap) & mask)) {
        this.#slots[gap] = this.#slots[slot]!;
        gap = slot;
      }
    }
    this.#slots[gap] = 0;
  }

  #chunk(id: EntryId): Chunk {
    return this.#chunks[id >>> CHUNK_BITS]!;
  }

  #matches(id: EntryId): boolean {
    const { words, tags } = this.#chunk(id);
    if (tags[id & CHUNK_MASK] !== this.#probeTag) return false;
    const at = (id & CHUNK_MASK) * NAME_WORDS;
    for (let i = 0; i < NAME_WORDS; i++) if (words[at + i] !== this.#probe[i]) return false;
    return true;
  }

  #hashOf(id: EntryId): number {
    const { words, tags } = this.#chunk(id);
    return this.#hash(words, (id & CHUNK_MASK) * NAME_WORDS, tags[id & CHUNK_MASK]!);
  }

  /** Seeded murmur3 over the eight words of a name; the tag is part of the seed. */
  #hash(words: Uint32Array, at: number, tag: number): number {
    let hash = this.#seed ^ Math.imul(tag, 0x9e3779b1);
    for (let i = 0; i < NAME_WORDS; i++) {
      let word = Math.imul(words[at + i]!, 0xcc9e2d51);
      word = Math.imul((word << 15) | (word >>> 17), 0x1b873593);
      hash ^= word;
      hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return (hash ^ (hash >>> 16)) >>> 0;
  }
}
