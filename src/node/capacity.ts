/**
 * How much a node may hold. A reserve of max(2 %, 1 GiB) of the file system, never more than a tenth, counted once however
 * many nodes share it, is kept from user fragments for deletes and for compaction, so that a full node can always be
 * emptied (design/commits.md, "Content records, shared stripes and space").
 */
import type { Clock } from '../base/clock.ts';
import { GIB, MIB } from '../base/units.ts';
import type { Disk, DiskSpace } from './disk.ts';

/** What the file system said is asked again after this long or this many bytes. */
const SPACE_AGE_MS_MAX = 1000;
const SPACE_APPENDED_BYTES_MAX = 64 * MIB;

export interface Capacity {
  readonly capacityBytes: number;
  readonly freeBytes: number;
  readonly filesystemId: string;
}

export function reserveBytes(filesystemCapacityBytes: number): number {
  return Math.min(
    Math.max(Math.floor(filesystemCapacityBytes / 50), GIB),
    Math.floor(filesystemCapacityBytes / 10),
  );
}

export interface CapacityOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly clock: Clock;
  /** At most this for segments, besides what the file system allows. */
  readonly limitBytes: number | undefined;
  /** How many nodes, this one included, keep their data on this file system. */
  readonly sharers: () => number;
}

export class CapacityKeeper {
  readonly #options: CapacityOptions;
  #space: DiskSpace;
  #askedAtMs: number;
  #occupiedThen: number;
  #refreshing = false;

  private constructor(options: CapacityOptions, space: DiskSpace, occupiedBytes: number) {
    this.#options = options;
    this.#space = space;
    this.#askedAtMs = options.clock.monotonicMs();
    this.#occupiedThen = occupiedBytes;
  }

  static async open(options: CapacityOptions, occupiedBytes: number): Promise<CapacityKeeper> {
    return new CapacityKeeper(options, await options.disk.space(options.directory), occupiedBytes);
  }

  /** `occupiedBytes`: the size of all segments now, garbage included. */
  get(occupiedBytes: number): Capacity {
    const share = Math.floor(this.#aboveReserve(occupiedBytes) / Math.max(1, this.#options.sharers()));
    const limit = this.#options.limitBytes ?? Number.POSITIVE_INFINITY;
    return {
      capacityBytes: Math.min(limit, occupiedBytes + share),
      freeBytes: Math.max(0, Math.min(limit - occupiedBytes, share)),
      filesystemId: this.#space.filesystemId,
    };
  }

  /**
   * Whether user records of `queuedBytes`, waiting or being written, may be added. Shares are for placement; here only the
   * reserve counts.
   */
  admits(queuedBytes: number, occupiedBytes: number): boolean {
    const limit = this.#options.limitBytes ?? Number.POSITIVE_INFINITY;
    this.#refreshWhenStale(occupiedBytes);
    return occupiedBytes + queuedBytes <= limit && queuedBytes <= this.#aboveReserve(occupiedBytes);
  }

  async refresh(occupiedBytes: number): Promise<void> {
    const space = await this.#options.disk.space(this.#options.directory);
    this.#space = space;
    this.#askedAtMs = this.#options.clock.monotonicMs();
    this.#occupiedThen = occupiedBytes;
  }

  #aboveReserve(occupiedBytes: number): number {
    const grownBytes = occupiedBytes - this.#occupiedThen;
    return Math.max(0, this.#space.freeBytes - grownBytes - reserveBytes(this.#space.capacityBytes));
  }

  #refreshWhenStale(occupiedBytes: number): void {
    const ageMs = this.#options.clock.monotonicMs() - this.#askedAtMs;
    const grownBytes = Math.abs(occupiedBytes - this.#occupiedThen);
    if (this.#refreshing || (ageMs < SPACE_AGE_MS_MAX && grownBytes < SPACE_APPENDED_BYTES_MAX)) return;
    this.#refreshing = true;
    this.refresh(occupiedBytes)
      .catch(() => {})
      .finally(() => {
        this.#refreshing = false;
      });
  }
}
