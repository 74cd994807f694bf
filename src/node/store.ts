import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { GIB, MIB } from '../base/units.ts';
import { DEFAULT_NAMESPACE } from './address.ts';
import { CapacityKeeper } from './capacity.ts';
import { Committer } from './committer.ts';
import { type CompactionProgress, Compactor } from './compaction.ts';
import { NodeCore } from './core.ts';
import type { Disk } from './disk.ts';
import { FragmentIndex } from './fragmentindex.ts';
import { Fragments } from './fragments.ts';
import type { FragmentStore, HeldBytes, ListPage, NodeHello } from './fragmentstore.ts';
import { Guard } from './guard.ts';
import { identityPath, initialiseIdentity, type NodeIdentity, readIdentity } from './identity.ts';
import { Namespaces } from './namespaces.ts';
import { type Replayed, type ReplayReport, replay } from './replay.ts';
import {
  loadScrubCursor,
  type ScrubCursor,
  type ScrubProgress,
  saveScrubCursor,
  scrubStep,
} from './scrub.ts';
import { SegmentSet } from './segments.ts';
import { FragmentVerifier } from './trailercheck.ts';

export const SEGMENT_BYTES_DEFAULT = 256 * MIB;
const SEGMENT_BYTES_MIN = 16 * MIB;
/** Record offsets are u32. */
const SEGMENT_BYTES_MAX = 2 * GIB;
/** Of a limited node this many segments at least, so that compaction has something to work with. */
const SEGMENTS_PER_LIMIT = 16;

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

/** A crash came between a value and the tombstone of the one that it took the place of. */
async function finishOverwrites(core: NodeCore, { superseded }: Replayed): Promise<void> {
  for (const { address, segment, offset } of superseded) {
    const old = core.segments.get(segment);
    if (old !== undefined) await core.tombstoneAt(address, old, offset);
  }
}

export class NodeStore implements FragmentStore {
  readonly nodeUuid: string;
  readonly directory: string;
  readonly replayReport: ReplayReport;
  /** Those of the namespace "default". */
  readonly fragments: Fragments;
  readonly #disk: Disk;
  readonly #core: NodeCore;
  readonly #capacity: CapacityKeeper;
  readonly #guard: Guard;
  readonly #compactor: Compactor;
  #namespaces: Namespaces | undefined;
  #corruptFound = 0;

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
    this.#core = core;
    this.#capacity = capacity;
    const { disk, directory, clock } = options;
    this.#guard = new Guard({ disk, directory, clock, nodeUuid: identity.nodeUuid, core, capacity });
    this.fragments = new Fragments(core, this.#guard, DEFAULT_NAMESPACE);
    this.#compactor = new Compactor(core, replayed.draining, () => {
      const { freeBytes, capacityBytes } = this.#space();
      return freeBytes < capacityBytes / 8;
    });
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
      await finishOverwrites(core, replayed);
      const store = new NodeStore(options, identity, core, capacity, replayed);
      store.#namespaces = await Namespaces.open(core, store.#guard, clock);
      return store;
    } catch (error) {
      await segments.close();
      throw error;
    }
  }

  get namespaces(): Namespaces {
    return this.#namespaces!;
  }

  /** Where the next record goes. */
  get appendPosition(): { readonly segment: number; readonly offset: number } {
    const { active, nextNumber } = this.#core.segments;
    return { segment: active?.number ?? nextNumber, offset: active?.sizeBytes ?? 0 };
  }

  async hello(): Promise<NodeHello> {
    this.#guard.assertServing();
    await this.checkDirectory();
    await this.#guard.orUnavailable(this.#capacity.refresh(this.#core.segments.totalBytes));
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

  put(name: Uint8Array, pieces: readonly Uint8Array[]): Promise<void> {
    return this.fragments.put(name, pieces);
  }

  read(name: Uint8Array, offsetBytes: number, target: Uint8Array): Promise<void> {
    return this.fragments.read(name, offsetBytes, target);
  }

  hold(name: Uint8Array, offsetBytes: number, lengthBytes: number): HeldBytes | undefined {
    return this.fragments.hold(name, offsetBytes, lengthBytes);
  }

  length(name: Uint8Array): Promise<number | undefined> {
    return this.fragments.length(name);
  }

  delete(names: readonly Uint8Array[]): Promise<number> {
    return this.fragments.delete(names);
  }

  list(after: Uint8Array | undefined, limit: number): Promise<ListPage> {
    return this.fragments.list(after, limit);
  }

  verify(name: Uint8Array): Promise<'intact' | 'corrupt' | 'missing'> {
    return this.fragments.verify(name);
  }

  /** Copies about `budgetBytes` out of segments that are mostly garbage. @throws FragmentCorrupt when one cannot be read */
  compactStep(budgetBytes: number): Promise<CompactionProgress> {
    return this.#guard.serving(async () => {
      const progress = await this.#compactor.step(budgetBytes);
      if (progress.reclaimedBytes > 0) await this.#capacity.refresh(this.#core.segments.totalBytes);
      return progress;
    });
  }

  /** Verifies about `budgetBytes` from `cursor`, oldest first. */
  scrubStep(cursor: ScrubCursor | undefined, budgetBytes: number): Promise<ScrubProgress> {
    return this.#guard.serving(async () => {
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
    return this.#guard.checkDirectory();
  }

  get indexMemoryBytes(): number {
    return this.#core.index.memoryBytes;
  }

  /** Lets what was accepted finish, then closes the files. */
  async close(): Promise<void> {
    await this.#namespaces?.settle().catch(() => undefined);
    if (!this.#guard.close()) return;
    await this.#compactor.idle();
    await this.#core.committer.idle();
    this.#core.committer.end(this.#guard.stopped());
    await this.#core.segments.close();
  }

  #space() {
    return this.#capacity.get(this.#core.segments.totalBytes);
  }
}
