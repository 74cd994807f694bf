/**
 * One namespace of an open node, as 0-db has it: values under keys of up to 255 bytes that may be overwritten, in order of insertion, with a
 * history that goes as far back as compaction has left it. What is answered is on stable storage; what is read was checked.
 */

import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import { type Address, addressOf } from './address.ts';
import { appendSpanBytes } from './committer.ts';
import type { Location, NodeCore } from './core.ts';
import { Fragments } from './fragments.ts';
import type { Guard } from './guard.ts';
import { Registers, type StoredRegister } from './registers.ts';
import { nextPlaces, offsetOf, type Place, placeOf, segmentOf } from './scanorder.ts';
import {
  decodeRecord,
  emptyRecordHeader,
  RECORD_HEADER_BYTES,
  RECORD_KEY_BYTES_MAX,
} from './segmentformat.ts';
import type { SystemRecords } from './systemrecords.ts';
import { readRecord, readValue } from './value.ts';

/** Sequential ids that one durable record reserves; after a crash as many may be skipped, none is given out twice. */
const IDS_PER_RESERVATION = 4096n;
/** Entries of a page, however long they take. */
const SCANNED_MIN = 64;

export interface NamespaceSettings {
  readonly name: Buffer;
  readonly mode: 'user' | 'sequential';
  /** Empty: none. */
  readonly password: Buffer;
  readonly isPublic: boolean;
  readonly worm: boolean;
  readonly locked: boolean;
  readonly frozen: boolean;
  /** Of live values; 0: no limit. */
  readonly maxBytes: number;
}

export type SetOutcome = 'stored' | 'same' | 'worm';

export interface ScannedEntry {
  readonly key: Buffer;
  readonly lengthBytes: number;
  readonly timestampMs: number;
}

export interface ScanPage {
  readonly entries: readonly ScannedEntry[];
  /** For the next page. */
  readonly cursor: Place;
}

export interface HistoricalValue {
  readonly value: Buffer;
  readonly timestampMs: number;
  readonly previous: Place | undefined;
}

export interface NamespaceParts {
  readonly core: NodeCore;
  readonly guard: Guard;
  readonly clock: Clock;
  readonly system: SystemRecords;
}

/** As its records say. */
export interface StoredState {
  readonly settings: NamespaceSettings;
  readonly version: number;
  readonly nextId: bigint;
  readonly idsVersion: number;
  readonly registers: readonly StoredRegister[];
}

export class Namespace {
  readonly id: number;
  readonly fragments: Fragments;
  /** Of the logs of gateways that keep fragments here. */
  readonly registers: Registers;
  readonly #parts: NamespaceParts;
  #settings: NamespaceSettings;
  #version: number;
  #removed = false;
  /** Bytes of sets under way. */
  #reservedBytes = 0;
  #nextId: bigint;
  #reservedIds: bigint;
  #idsVersion: number;
  #changing: Promise<unknown> = Promise.resolve();
  #places: { after: Place | undefined; backwards: boolean; run: Float64Array } | undefined;

  constructor(parts: NamespaceParts, id: number, stored: StoredState) {
    this.#parts = parts;
    this.id = id;
    this.#settings = stored.settings;
    this.#version = stored.version;
    this.#nextId = stored.nextId;
    this.#reservedIds = stored.nextId;
    this.#idsVersion = stored.idsVersion;
    this.fragments = new Fragments(parts.core, parts.guard, id);
    this.registers = new Registers(parts.system, id, stored.registers);
  }

  get settings(): NamespaceSettings {
    return this.#settings;
  }

  /** It is not there any more; nothing can be done with it. */
  get removed(): boolean {
    return this.#removed;
  }

  get entries(): number {
    return this.#parts.core.holdings(this.id).entries;
  }

  get dataBytes(): number {
    return this.#parts.core.holdings(this.id).dataBytes;
  }

  /** Records without their values, as they lie on the disk. */
  get indexBytes(): number {
    const { entries, keyBytes } = this.#parts.core.holdings(this.id);
    return entries * RECORD_HEADER_BYTES + keyBytes;
  }

  get nextId(): bigint {
    return this.#nextId;
  }

  /** Durable when it resolves; changes come one after the other. */
  change(changes: Partial<NamespaceSettings>): Promise<void> {
    return this.#inTurn(async () => {
      const settings = { ...this.#settings, ...changes };
      await this.#save(settings, false);
      this.#settings = settings;
    });
  }

  /** Forgets the namespace and all that is in it. */
  remove(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#save(this.#settings, true);
      this.#removed = true;
      this.#parts.core.dropNamespace(this.id);
    });
  }

  has(key: Uint8Array): boolean {
    return this.#locate(key) !== undefined;
  }

  length(key: Uint8Array): number | undefined {
    return this.#locate(key)?.lengthBytes;
  }

  /** @throws FragmentCorrupt instead of wrong bytes */
  async get(key: Uint8Array): Promise<Buffer | undefined> {
    const { guard, core } = this.#parts;
    const found = await guard.serving(() => readValue(core, this.#address(key)));
    if (found === 'corrupt') throw this.#corrupt(key);
    return found;
  }

  /**
   * Overwrites what is there unless the namespace is write-once. Durable when it resolves.
   * @throws QuotaExceeded, NodeFull, InvalidArgument for a key that is too long
   */
  async set(key: Uint8Array, value: Uint8Array, timestampMs?: number): Promise<SetOutcome> {
    const { core, guard } = this.#parts;
    const address = this.#address(key);
    const leave = await core.enter(address);
    let burying: Promise<void> | undefined;
    try {
      guard.assertServing();
      this.#assertThere();
      const old = core.locate(address);
      if (old !== undefined && this.#settings.worm) return 'worm';
      if (old?.lengthBytes === value.length && (await this.#holds(address, value))) return 'same';
      await this.#store(address, value, old, timestampMs);
      if (old !== undefined && !this.#removed) burying = core.tombstone(address, old);
      return 'stored';
    } finally {
      // Should the node end first, the next start finds the later value and buries the earlier one.
      if (burying === undefined) leave();
      else void burying.catch(() => undefined).finally(leave);
    }
  }

  async #store(
    address: Address,
    value: Uint8Array,
    old: Location | undefined,
    timestampMs: number | undefined,
  ): Promise<void> {
    const { core, guard } = this.#parts;
    const release = this.reserve(value.length - (old?.lengthBytes ?? 0));
    try {
      const spanBytes = appendSpanBytes(value.length, address.key.length);
      const admit = () => guard.admit(core.committer.queuedBytes + spanBytes);
      await core.store(address, [value], value.length, admit, {
        previous: old,
        timestampMs,
        isFragment: false,
      });
    } finally {
      release();
    }
    // A removal that came in between has dropped everything else already.
    if (this.#removed) core.dropNamespace(this.id);
  }

  /**
   * Counts bytes against the quota that are about to be stored; call the result when they are, or are not to be.
   * @throws QuotaExceeded
   */
  reserve(bytes: number): () => void {
    const { maxBytes, name } = this.#settings;
    if (maxBytes > 0 && bytes > 0 && this.dataBytes + this.#reservedBytes + bytes > maxBytes) {
      throw new HoldfastError('QuotaExceeded', {
        detail: `the namespace "${name}" may hold ${maxBytes} bytes and holds ${this.dataBytes}`,
      });
    }
    this.#reservedBytes += bytes;
    return () => {
      this.#reservedBytes -= bytes;
    };
  }

  /** Durable when it resolves. False when there is none. */
  async delete(key: Uint8Array): Promise<boolean> {
    const { core, guard } = this.#parts;
    const address = this.#address(key);
    const leave = await core.enter(address);
    try {
      guard.assertServing();
      const location = core.locate(address);
      if (location === undefined) return false;
      await core.tombstone(address, location);
      return true;
    } finally {
      leave();
    }
  }

  async check(key: Uint8Array): Promise<'intact' | 'corrupt' | 'missing'> {
    const { core, guard } = this.#parts;
    const found = await guard.serving(() => readValue(core, this.#address(key)));
    return found === undefined ? 'missing' : found === 'corrupt' ? 'corrupt' : 'intact';
  }

  async timestampMs(key: Uint8Array): Promise<number | undefined> {
    const location = this.#locate(key);
    if (location === undefined) return undefined;
    const head = await this.#parts.guard.serving(() => this.#parts.core.readHead(location));
    if (head === undefined) throw this.#corrupt(key);
    return head.timestampMs;
  }

  /** Where a value lies. */
  placeOf(key: Uint8Array): Place | undefined {
    const location = this.#locate(key);
    return location && placeOf(location.segment.number, location.offset);
  }

  /** The value at `at`, or the present one; undefined when there is none, or compaction has taken it away. */
  async history(key: Uint8Array, at: Place | undefined): Promise<HistoricalValue | undefined> {
    const place = at ?? this.placeOf(key);
    if (place === undefined) return undefined;
    const location = await this.#locationAt(place);
    const record =
      location && (await this.#parts.guard.serving(() => readRecord(this.#parts.core, location)));
    if (
      record === undefined ||
      Buffer.compare(record.key, key) !== 0 ||
      record.header.namespace !== this.id
    ) {
      return undefined;
    }
    const { previousSegment, previousOffset, timestampMs } = record.header;
    const previous = previousSegment === 0 ? undefined : placeOf(previousSegment, previousOffset);
    return { value: record.value, timestampMs, previous };
  }

  /**
   * Entries behind `after` (exclusive) in order of insertion, or before it when `backwards`, as many as `limit` and the time allow, and
   * SCANNED_MIN at least if there are. undefined at the end.
   */
  async scan(
    after: Place | undefined,
    backwards: boolean,
    limit: number,
    sliceMs: number,
  ): Promise<ScanPage | undefined> {
    const { clock, guard } = this.#parts;
    guard.assertServing();
    const untilMs = clock.monotonicMs() + sliceMs;
    const entries: ScannedEntry[] = [];
    let cursor = after;
    for (;;) {
      const places = this.#placesAfter(cursor, backwards);
      if (places.length === 0) break;
      for (const place of places) {
        cursor = place;
        const entry = await this.#entryAt(place);
        if (entry !== undefined) entries.push(entry);
        const isOver = entries.length >= SCANNED_MIN && clock.monotonicMs() >= untilMs;
        if (entries.length >= limit || isOver) return { entries, cursor };
      }
    }
    return entries.length > 0 ? { entries, cursor: cursor! } : undefined;
  }

  /** The next sequential id: u64, little-endian. Never given out before, also when the node was killed since. */
  async allocate(): Promise<Buffer> {
    if (this.#nextId >= this.#reservedIds) {
      await this.#inTurn(async () => {
        if (this.#nextId < this.#reservedIds) return;
        await this.#reserve(this.#nextId + IDS_PER_RESERVATION);
      });
      return this.allocate();
    }
    const id = Buffer.alloc(8);
    id.writeBigUInt64LE(this.#nextId);
    this.#nextId += 1n;
    return id;
  }

  /** Before the node is closed: gives back the ids that were reserved and not given out. */
  async settle(): Promise<void> {
    if (this.#reservedIds > this.#nextId && !this.#removed)
      await this.#inTurn(() => this.#reserve(this.#nextId));
  }

  async #reserve(ids: bigint): Promise<void> {
    this.#idsVersion += 1;
    await this.#parts.system.write(`ids/${this.id}`, String(ids), this.#idsVersion);
    this.#reservedIds = ids;
  }

  async #holds(address: Address, value: Uint8Array): Promise<boolean> {
    const found = await this.#parts.guard.serving(() => readValue(this.#parts.core, address));
    return found !== undefined && found !== 'corrupt' && found.equals(value);
  }

  #placesAfter(after: Place | undefined, backwards: boolean): Float64Array {
    const kept = this.#places;
    const isAhead = (place: Place) => after === undefined || (backwards ? place < after : place > after);
    if (kept?.backwards === backwards && kept.after === after && kept.run.length > 0) return kept.run;
    const at = kept?.backwards === backwards && after !== undefined ? kept.run.findIndex(isAhead) : -1;
    const isInside = at > 0 && kept!.run[at - 1] === after;
    const run = isInside
      ? kept!.run.subarray(at)
      : nextPlaces(this.#parts.core.index, this.id, after, backwards);
    this.#places = { after, backwards, run };
    return run;
  }

  async #entryAt(place: Place): Promise<ScannedEntry | undefined> {
    const { core, guard } = this.#parts;
    const location = await this.#locationAt(place);
    if (location === undefined) return undefined;
    const bytes = Buffer.alloc(RECORD_HEADER_BYTES + location.keyLengthBytes);
    await guard.serving(() => core.segments.read(location.segment, bytes, location.offset));
    const header = emptyRecordHeader();
    if (!decodeRecord(bytes, 0, location.offset, location.segment.crcSeed, header)) return undefined;
    const key = bytes.subarray(RECORD_HEADER_BYTES);
    if (!core.isAt(addressOf(this.id, key), location)) return undefined;
    return { key, lengthBytes: location.lengthBytes, timestampMs: header.timestampMs };
  }

  /** Of the record that begins at a place; undefined when there is none any more. */
  async #locationAt(place: Place): Promise<Location | undefined> {
    const { core, guard } = this.#parts;
    const segment = core.segments.get(segmentOf(place));
    const offset = offsetOf(place);
    if (segment === undefined || offset + RECORD_HEADER_BYTES > segment.sizeBytes) return undefined;
    const bytes = Buffer.alloc(RECORD_HEADER_BYTES + RECORD_KEY_BYTES_MAX);
    await guard.serving(() => core.segments.read(segment, bytes, offset));
    const header = emptyRecordHeader();
    if (!decodeRecord(bytes, 0, offset, segment.crcSeed, header)) return undefined;
    const { keyLengthBytes, valueLengthBytes: lengthBytes } = header;
    return { segment, offset, lengthBytes, keyLengthBytes };
  }

  #address(key: Uint8Array): Address {
    if (key.length > RECORD_KEY_BYTES_MAX) {
      throw new HoldfastError('InvalidArgument', {
        detail: `a key has at most ${RECORD_KEY_BYTES_MAX} bytes, not ${key.length}`,
      });
    }
    return addressOf(this.id, key);
  }

  #locate(key: Uint8Array): Location | undefined {
    this.#parts.guard.assertServing();
    return this.#parts.core.locate(this.#address(key));
  }

  #corrupt(key: Uint8Array): HoldfastError {
    return new HoldfastError('FragmentCorrupt', {
      detail: `node ${this.#parts.guard.nodeUuid}: the value of ${Buffer.from(key).toString('hex')} is not what was stored`,
    });
  }

  #assertThere(): void {
    if (!this.#removed) return;
    throw new HoldfastError('InvalidArgument', {
      detail: `the namespace "${this.#settings.name}" was removed`,
    });
  }

  #save(settings: NamespaceSettings, removed: boolean): Promise<void> {
    this.#version += 1;
    const { name, password, ...others } = settings;
    const value = { ...others, name: name.toString('hex'), password: password.toString('hex'), removed };
    return this.#parts.system.write(`namespace/${this.id}`, value, this.#version);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#changing.then(() => {
      this.#assertThere();
      return work();
    });
    this.#changing = done.catch(() => undefined);
    return done;
  }
}
