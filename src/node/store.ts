/**
 * One open node directory as a FragmentStore. It is opened once and closed once; embedded.ts starts and stops it.
 * After a failed write or sync it answers NodeFailed, after its directory has gone NodeUnavailable, until it is
 * opened again, which replays the segments as a new process would.
 */
import { assert } from '../base/assert.ts';
import { bytesEqual, mapKey } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { HoldfastError, hasCode } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { GIB, MIB } from '../base/units.ts';
import { FRAGMENT_NAME_BYTES, TRAILER_BYTES } from '../coding/trailer.ts';
import { CapacityKeeper } from './capacity.ts';
import { appendSpanBytes, Committer, directoryGone } from './committer.ts';
import { type CompactionProgress, Compactor } from './compaction.ts';
import { LOOKUPS_MAX, type Location, NodeCore } from './core.ts';
import type { Disk } from './disk.ts';
import { FragmentIndex } from './fragmentindex.ts';
import {
  type FragmentStore,
  type HeldBytes,
  type ListPage,
  type NodeHello,
  STORED_FRAGMENT_BYTES_MAX,
} from './fragmentstore.ts';
import { identityPath, initialiseIdentity, type NodeIdentity, readIdentity } from './identity.ts';
import { Listing } from './listing.ts';
import { type ReplayReport, replay } from './replay.ts';
import {
  loadScrubCursor,
  type ScrubCursor,
  type ScrubProgress,
  saveScrubCursor,
  scrubStep,
} from './scrub.ts';
import { SegmentSet } from './segments.ts';
import { FragmentVerifier, HASH_SLICE_BYTES } from './trailercheck.ts';

export const SEGMENT_BYTES_DEFAULT = 256 * MIB;
const SEGMENT_BYTES_MIN = 16 * MIB;
/** Record offsets are u32. */
const SEGMENT_BYTES_MAX = 2 * GIB;
/** Of a limited node this many segments at least, so that compaction has something to work with. */
const SEGMENTS_PER_LIMIT = 16;
/** While the node is in use its directory is looked at at least this often. */
const DIRECTORY_CHECK_MS_MAX = 250;
/** Names deleted at once; more are taken in turns. */
const DELETES_IN_FLIGHT_MAX = 1024;

export interface NodeOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Make an identity when the directory is missing or empty. Otherwise that is NodeUnavailable. */
  readonly initialise?: boolean;
  /** At most this for segments, besides what the file system allows. */
  readonly capacityBytes?: number;
  /** How many nodes, this one included, keep their data on this file system. 1 when left out. */
  readonly sharers?: () => number;
  /** Size at which a segment is full. */
  readonly segmentBytesMax?: number;
  /** Batches from this size on are rounded out to whole blocks where the disk gains by it (committer.ts). */
  readonly alignedBytesMin?: number;
}

function segmentBytesFor(options: NodeOptions): number {
  if (options.segmentBytesMax) return Math.min(options.segmentBytesMax, SEGMENT_BYTES_MAX);
  const wanted = Math.floor((options.capacityBytes ?? Number.POSITIVE_INFINITY) / SEGMENTS_PER_LIMIT);
  return Math.max(SEGMENT_BYTES_MIN, Math.min(SEGMENT_BYTES_DEFAULT, wanted));
}

async function openIdentity(options: NodeOptions): Promise<NodeIdentity> {
  const { disk, directory } = options;
  const missing = options.initialise === true && !(await disk.exists(identityPath(directory)));
  return missing ? initialiseIdentity(disk, directory, options.random) : readIdentity(disk, directory);
}

function validName(name: Uint8Array): void {
  if (name.length !== FRAGMENT_NAME_BYTES) {
    throw new HoldfastError('InvalidArgument', {
      detail: `a fragment name has ${FRAGMENT_NAME_BYTES} bytes, not ${name.length}`,
    });
  }
}

function storedLength(pieces: readonly Uint8Array[]): number {
  let lengthBytes = 0;
  for (const piece of pieces) lengthBytes += piece.length;
  if (lengthBytes < TRAILER_BYTES || lengthBytes > STORED_FRAGMENT_BYTES_MAX) {
    throw new HoldfastError('InvalidArgument', {
      detail: `a stored fragment has ${TRAILER_BYTES} to ${STORED_FRAGMENT_BYTES_MAX} bytes, not ${lengthBytes}`,
    });
  }
  return lengthBytes;
}

export class NodeStore implements FragmentStore {
  readonly nodeUuid: string;
  readonly directory: string;
  readonly replayReport: ReplayReport;
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #core: NodeCore;
  readonly #capacity: CapacityKeeper;
  readonly #listing: Listing;
  readonly #compactor: Compactor;
  #closed = false;
  #corruptFound = 0;
  #checkedAtMs: number;
  #checking: Promise<void> | undefined;

  private constructor(
    options: NodeOptions,
    identity: NodeIdentity,
    core: NodeCore,
    capacity: CapacityKeeper,
    replayed: { report: ReplayReport; draining: ReadonlySet<number> },
  ) {
    this.nodeUuid = identity.nodeUuid;
    this.directory = options.directory;
    this.replayReport = replayed.report;
    this.#disk = options.disk;
    this.#clock = options.clock;
    this.#core = core;
    this.#capacity = capacity;
    this.#listing = new Listing(core.index);
    this.#compactor = new Compactor(core, replayed.draining, () => {
      const { freeBytes, capacityBytes } = this.#space();
      return freeBytes < capacityBytes / 8;
    });
    this.#checkedAtMs = options.clock.monotonicMs();
  }

  /**
   * @throws NodeUnavailable when the directory is missing, empty (without `initialise`) or foreign
   * @throws FormatTooNew when a newer version wrote it
   */
  static async open(options: NodeOptions): Promise<NodeStore> {
    const { disk, directory, clock, random } = options;
    const identity = await openIdentity(options);
    const nodeUuid = Buffer.from(identity.nodeUuid, 'hex');
    const segments = new SegmentSet(disk, directory);
    const index = new FragmentIndex(random.bytes(4).readUInt32LE());
    try {
      const replayed = await replay(segments, index, nodeUuid);
      const segmentBytesMax = segmentBytesFor(options);
      const last = segments.all().at(-1);
      const appendable = last && last.number + 1 === segments.nextNumber && last.sizeBytes < segmentBytesMax;
      if (appendable) await segments.activate(last);
      const capacity = await CapacityKeeper.open(
        { disk, directory, clock, limitBytes: options.capacityBytes, sharers: options.sharers ?? (() => 1) },
        segments.totalBytes,
      );
      const committer = new Committer({
        segments,
        nodeUuid,
        segmentBytesMax,
        lastSequence: replayed.lastSequence,
        clock,
        random,
        alignedBytesMin: options.alignedBytesMin,
      });
      const verifier = await FragmentVerifier.create();
      const core = new NodeCore({ directory, clock, segments, index, committer, verifier });
      return new NodeStore(options, identity, core, capacity, replayed);
    } catch (error) {
      await segments.close();
      throw error;
    }
  }

  async hello(): Promise<NodeHello> {
    this.#assertServing();
    await this.checkDirectory();
    await this.#orUnavailable(this.#capacity.refresh(this.#core.segments.totalBytes));
    const { capacityBytes, freeBytes, filesystemId } = this.#space();
    return {
      nodeUuid: this.nodeUuid,
      durable: true,
      durableAppends: this.#core.committer.durableSequence,
      fragmentCount: this.#core.index.count,
      usedBytes: this.#core.liveBytes,
      capacityBytes,
      freeBytes,
      filesystemId,
      damagedRecords: this.replayReport.damagedRecords + this.replayReport.tornRecords + this.#corruptFound,
    };
  }

  async put(name: Uint8Array, pieces: readonly Uint8Array[]): Promise<void> {
    this.#assertServing();
    validName(name);
    const lengthBytes = storedLength(pieces);
    const leave = await this.#core.turns.enter(mapKey(name));
    try {
      const stored = this.#core.locate(name);
      if (stored && (await this.#alreadyHolds(name, stored, pieces, lengthBytes))) return;
      this.#assertServing();
      const replaced = this.#core.locate(name);
      if (replaced) {
        this.#admit(this.#core.committer.queuedBytes + appendSpanBytes(lengthBytes));
        await this.#core.tombstone(name, replaced);
      }
      await this.#core.store(name, pieces, lengthBytes, () => this.#admit(this.#core.committer.queuedBytes));
    } finally {
      leave();
    }
  }

  async read(name: Uint8Array, offsetBytes: number, target: Uint8Array): Promise<void> {
    this.#assertServing();
    validName(name);
    for (let lookup = 1; ; lookup++) {
      const location = this.#core.locate(name);
      if (!location) throw this.#missing(name);
      if (offsetBytes + target.length > location.lengthBytes) throw this.#tooShort(name, location);
      try {
        if ((await this.#core.read(location, offsetBytes, target)) === target.length) return;
        if (this.#core.isAt(name, location)) throw this.#tooShort(name, location);
      } catch (error) {
        if (error instanceof HoldfastError) throw error;
        const moved = !this.#core.isAt(name, location);
        if (!moved || lookup >= LOOKUPS_MAX) throw this.#unavailable(error);
      }
    }
  }

  hold(name: Uint8Array, offsetBytes: number, lengthBytes: number): HeldBytes | undefined {
    if (this.#refusal()) return undefined;
    const location = this.#core.locate(name);
    if (!location || offsetBytes + lengthBytes > location.lengthBytes) return undefined;
    return this.#core.hold(location, offsetBytes);
  }

  async length(name: Uint8Array): Promise<number | undefined> {
    this.#assertServing();
    validName(name);
    return this.#core.locate(name)?.lengthBytes;
  }

  async delete(names: readonly Uint8Array[]): Promise<number> {
    this.#assertServing();
    for (const name of names) validName(name);
    let deleted = 0;
    for (let from = 0; from < names.length; from += DELETES_IN_FLIGHT_MAX) {
      const some = names.slice(from, from + DELETES_IN_FLIGHT_MAX);
      const found = await Promise.all(some.map((name) => this.#deleteOne(name)));
      for (const was of found) if (was) deleted++;
    }
    return deleted;
  }

  async list(after: Uint8Array | undefined, limit: number): Promise<ListPage> {
    this.#assertServing();
    if (!Number.isSafeInteger(limit) || limit < 1) {
      throw new HoldfastError('InvalidArgument', { detail: `a page has at least one name, not ${limit}` });
    }
    return this.#listing.page(after, limit);
  }

  async verify(name: Uint8Array): Promise<'intact' | 'corrupt' | 'missing'> {
    this.#assertServing();
    validName(name);
    for (let lookup = 1; ; lookup++) {
      const location = this.#core.locate(name);
      if (!location) return 'missing';
      try {
        const intact = await this.#core.isIntact(location);
        if (intact) return 'intact';
        if (this.#core.isAt(name, location) || lookup >= LOOKUPS_MAX) return 'corrupt';
      } catch (error) {
        if (this.#core.isAt(name, location) || lookup >= LOOKUPS_MAX) throw this.#unavailable(error);
      }
    }
  }

  /** Copies about `budgetBytes` out of segments that are mostly garbage. @throws FragmentCorrupt when one cannot be read */
  compactStep(budgetBytes: number): Promise<CompactionProgress> {
    return this.#serving(async () => {
      const progress = await this.#compactor.step(budgetBytes);
      if (progress.reclaimedBytes > 0) await this.#capacity.refresh(this.#core.segments.totalBytes);
      return progress;
    });
  }

  /** Verifies about `budgetBytes` from `cursor`, oldest first. */
  scrubStep(cursor: ScrubCursor | undefined, budgetBytes: number): Promise<ScrubProgress> {
    return this.#serving(async () => {
      const progress = await scrubStep(this.#core, cursor, budgetBytes);
      this.#corruptFound += progress.corrupt.length;
      return progress;
    });
  }

  loadScrubCursor(): Promise<ScrubCursor | undefined> {
    return loadScrubCursor(this.#disk, this.directory);
  }

  saveScrubCursor(cursor: ScrubCursor | undefined): Promise<void> {
    return saveScrubCursor(this.#disk, this.directory, cursor);
  }

  /** Looks whether the directory is still this node's; if not, the node ends. @throws why the node does not serve */
  checkDirectory(): Promise<void> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  get indexMemoryBytes(): number {
    return this.#core.index.memoryBytes;
  }

  /** Lets what was accepted finish, then closes the files. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#compactor.idle();
    await this.#core.committer.idle();
    this.#core.committer.end(this.#stopped());
    await this.#core.segments.close();
  }

  async #check(): Promise<void> {
    this.#checkedAtMs = this.#clock.monotonicMs();
    try {
      const identity = await readIdentity(this.#disk, this.directory);
      if (identity.nodeUuid !== this.nodeUuid) throw directoryGone(this.directory);
      const active = this.#core.segments.active?.file;
      if (active && (await active.linkCount()) === 0) throw directoryGone(this.directory);
    } catch (error) {
      if (this.#closed) return;
      this.#core.committer.end(
        hasCode(error, 'NodeUnavailable', 'FormatTooNew')
          ? directoryGone(this.directory)
          : this.#unavailable(error),
      );
    }
    this.#assertServing();
  }

  /** Why the node does not serve; undefined when it does. Sees to it that its directory is looked at while it is used. */
  #refusal(): HoldfastError | undefined {
    if (this.#closed) return this.#stopped();
    const { ended } = this.#core.committer;
    if (ended) return ended;
    if (this.#clock.monotonicMs() - this.#checkedAtMs > DIRECTORY_CHECK_MS_MAX && !this.#checking) {
      this.checkDirectory().catch(() => {});
    }
    return undefined;
  }

  #assertServing(): void {
    const refusal = this.#refusal();
    if (refusal) throw refusal;
  }

  async #serving<T>(work: () => Promise<T>): Promise<T> {
    this.#assertServing();
    return this.#orUnavailable(work());
  }

  async #orUnavailable<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw error instanceof HoldfastError ? error : this.#unavailable(error);
    }
  }

  async #deleteOne(name: Uint8Array): Promise<boolean> {
    const leave = await this.#core.turns.enter(mapKey(name));
    try {
      this.#assertServing();
      const location = this.#core.locate(name);
      if (!location) return false;
      await this.#core.tombstone(name, location);
      return true;
    } finally {
      leave();
    }
  }

  /**
   * True when exactly this is stored; false when what is stored is damaged and may be replaced.
   * @throws FragmentConflict when other, intact content is stored
   */
  async #alreadyHolds(
    name: Uint8Array,
    stored: Location,
    pieces: readonly Uint8Array[],
    lengthBytes: number,
  ): Promise<boolean> {
    await this.checkDirectory();
    const same = stored.lengthBytes === lengthBytes && (await this.#sameBytes(name, stored, pieces));
    if (same) return true;
    if ((await this.verify(name)) !== 'intact') return false;
    throw new HoldfastError('FragmentConflict', {
      detail: `node ${this.nodeUuid} already holds other, intact content under ${Buffer.from(name).toString('hex')}`,
    });
  }

  async #sameBytes(name: Uint8Array, stored: Location, pieces: readonly Uint8Array[]): Promise<boolean> {
    const memory = Buffer.allocUnsafeSlow(Math.min(HASH_SLICE_BYTES, stored.lengthBytes));
    let offsetBytes = 0;
    for (const piece of pieces) {
      for (let at = 0; at < piece.length; at += memory.length) {
        const wanted = piece.subarray(at, at + memory.length);
        const found = memory.subarray(0, wanted.length);
        try {
          await this.read(name, offsetBytes, found);
        } catch (error) {
          if (hasCode(error, 'NodeUnavailable', 'FragmentCorrupt')) return false;
          throw error;
        }
        if (!bytesEqual(wanted, found)) return false;
        offsetBytes += wanted.length;
      }
    }
    assert(offsetBytes === stored.lengthBytes);
    return true;
  }

  #space() {
    return this.#capacity.get(this.#core.segments.totalBytes);
  }

  #stopped(): HoldfastError {
    return new HoldfastError('NodeUnavailable', { detail: `node ${this.nodeUuid} is stopped` });
  }

  #admit(queuedBytes: number): void {
    if (this.#capacity.admits(queuedBytes, this.#core.segments.totalBytes)) return;
    throw new HoldfastError('NodeFull', {
      detail: `node ${this.nodeUuid} in ${this.directory} has only its reserve left`,
    });
  }

  #missing(name: Uint8Array): HoldfastError {
    return new HoldfastError('FragmentMissing', {
      detail: `node ${this.nodeUuid} has no fragment ${Buffer.from(name).toString('hex')}`,
    });
  }

  #tooShort(name: Uint8Array, location: Location): HoldfastError {
    return new HoldfastError('FragmentCorrupt', {
      detail: `fragment ${Buffer.from(name).toString('hex')} on node ${this.nodeUuid} has ${location.lengthBytes} bytes or fewer, less than asked for`,
    });
  }

  #unavailable(cause: unknown): HoldfastError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new HoldfastError('NodeUnavailable', {
      detail: `node directory ${this.directory}: the disk returned an error (${reason})`,
      cause,
    });
  }
}
