/**
 * Gets back the space of deleted and superseded records: what lives in a segment is copied to the active one, then the
 * segment is removed. Driven from outside in steps with a budget of bytes.
 *
 * Why nothing deleted comes back:
 * - A tombstone is carried on while the segment of the record that it deletes exists; older copies of that record can only
 *   be in a segment that is being drained, and
 * - only one segment is drained at a time, to its end, before another one, also across restarts (copies say where they
 *   came from, so replay finds out which one it was); and
 * - a segment counts as removed only when its removal is durable.
 * Why nothing stored is lost: a segment is removed only when the index points nowhere into it, and the index follows
 * stable storage. A record that cannot be read stops the draining with FragmentCorrupt until healing has replaced it.
 */
import { HoldfastError } from '../base/errors.ts';
import { MIB } from '../base/units.ts';
import { addressOf, copyOf } from './address.ts';
import type { NodeCore } from './core.ts';
import { FLAG_DELETE, FLAG_VOID, SEGMENT_HEADER_BYTES } from './segmentformat.ts';
import type { Segment } from './segments.ts';
import { SegmentScanner } from './segmentscan.ts';

/** Segments with a smaller part still needed are drained. */
const LIVE_PART_MIN = 0.5;
/** The same when space runs short: less than an eighth is free. */
const LIVE_PART_MIN_UNDER_PRESSURE = 0.9;
/** An active segment is sealed for compaction from this size on; under pressure at any. */
const ACTIVE_BYTES_MIN = MIB;
/** Bytes read and waiting to be written at a time. */
const ROUND_BYTES_MAX = 4 * MIB;

export interface CompactionProgress {
  /** Bytes of records copied. */
  readonly movedBytes: number;
  /** Bytes of segment files removed. */
  readonly reclaimedBytes: number;
  /** Nothing is worth compacting at the moment. */
  readonly idle: boolean;
}

/** Bytes of a segment that are still needed, tombstones included. */
function neededBytes(core: NodeCore, segment: Segment): number {
  let bytes = segment.liveBytes;
  for (const [previous, spanBytes] of segment.tombstones) {
    if (previous !== segment.number && core.segments.has(previous)) bytes += spanBytes;
  }
  return bytes;
}

function neededPart(core: NodeCore, segment: Segment): number {
  const dataBytes = segment.sizeBytes - SEGMENT_HEADER_BYTES;
  return dataBytes <= 0 ? 0 : neededBytes(core, segment) / dataBytes;
}

type Move = () => Promise<number>;

export class Compactor {
  readonly #core: NodeCore;
  readonly #draining: Set<number>;
  readonly #underPressure: () => boolean;
  #position: { segment: Segment; offset: number } | undefined;
  #step: Promise<CompactionProgress> | undefined;

  constructor(core: NodeCore, draining: ReadonlySet<number>, underPressure: () => boolean) {
    this.#core = core;
    this.#draining = new Set(draining);
    this.#underPressure = underPressure;
  }

  /** Copies about `budgetBytes` (at least one record). Calls that overlap share one step. */
  step(budgetBytes: number): Promise<CompactionProgress> {
    this.#step ??= this.#run(budgetBytes).finally(() => {
      this.#step = undefined;
    });
    return this.#step;
  }

  /** Resolves when no step is under way. */
  async idle(): Promise<void> {
    await this.#step?.catch(() => {});
  }

  async #run(budgetBytes: number): Promise<CompactionProgress> {
    let movedBytes = 0;
    let reclaimedBytes = 0;
    do {
      const segment = this.#position?.segment ?? (await this.#pick());
      if (!segment) return { movedBytes, reclaimedBytes, idle: true };
      this.#draining.add(segment.number);
      const round = await this.#drainRound(segment, Math.min(ROUND_BYTES_MAX, budgetBytes - movedBytes));
      movedBytes += round.movedBytes;
      if (round.finished) reclaimedBytes += await this.#finish(segment);
    } while (movedBytes < budgetBytes);
    return { movedBytes, reclaimedBytes, idle: false };
  }

  async #pick(): Promise<Segment | undefined> {
    const { segments, committer } = this.#core;
    const sealed = segments.all().filter((segment) => segment !== segments.active);
    const begun = sealed.find((segment) => this.#draining.has(segment.number));
    if (begun) return begun;
    const pressure = this.#underPressure();
    const limit = pressure ? LIVE_PART_MIN_UNDER_PRESSURE : LIVE_PART_MIN;
    let best: Segment | undefined;
    let bestPart = limit;
    for (const segment of sealed) {
      const part = neededPart(this.#core, segment);
      if (part >= bestPart) continue;
      best = segment;
      bestPart = part;
    }
    const active = segments.active;
    if (best || !active) return best;
    const sizeMin = pressure ? SEGMENT_HEADER_BYTES + 1 : ACTIVE_BYTES_MIN;
    if (active.sizeBytes < sizeMin || neededPart(this.#core, active) >= limit) return undefined;
    await committer.seal();
    return segments.active === active ? undefined : active;
  }

  async #drainRound(
    segment: Segment,
    budgetBytes: number,
  ): Promise<{ movedBytes: number; finished: boolean }> {
    const { moves, offset } = await this.#collect(segment, budgetBytes);
    const results = await Promise.allSettled(moves.map((move) => move()));
    let movedBytes = 0;
    for (const result of results) {
      if (result.status === 'rejected') {
        this.#position = undefined;
        throw result.reason;
      }
      movedBytes += result.value;
    }
    this.#position = { segment, offset };
    return { movedBytes, finished: offset >= segment.sizeBytes };
  }

  /** What is to be carried on from where the last round stopped, about `budgetBytes` of it. */
  async #collect(segment: Segment, budgetBytes: number): Promise<{ moves: Move[]; offset: number }> {
    const core = this.#core;
    const moves: Move[] = [];
    let collectedBytes = 0;
    const file = await core.segments.hold(segment);
    try {
      const scanner = new SegmentScanner(file, segment.crcSeed, segment.sizeBytes);
      const from = this.#position?.offset ?? SEGMENT_HEADER_BYTES;
      const offset = await scanner.scan(from, {
        record: (header, key, at, spanBytes) => {
          if (header.flags & FLAG_VOID) return undefined;
          if (header.flags & FLAG_DELETE) {
            const { previousSegment, previousOffset } = header;
            if (previousSegment === segment.number || !core.segments.has(previousSegment)) return undefined;
            const address = copyOf(addressOf(header.namespace, key));
            moves.push(async () => {
              await core.moveTombstone(address, previousSegment, previousOffset);
              return spanBytes;
            });
          } else {
            const { keyLengthBytes, valueLengthBytes: lengthBytes } = header;
            const location = { segment, offset: at, lengthBytes, keyLengthBytes };
            const found = addressOf(header.namespace, key);
            if (!core.isAt(found, location)) return undefined;
            const address = copyOf(found);
            moves.push(() => core.move(address, location));
          }
          collectedBytes += spanBytes;
          return collectedBytes < budgetBytes;
        },
        damage: () => {},
      });
      return { moves, offset };
    } finally {
      core.segments.release(segment);
    }
  }

  /** Live records whose header is damaged were not found by the scan: the index still knows them. */
  async #finish(segment: Segment): Promise<number> {
    const { index, segments } = this.#core;
    this.#position = undefined;
    for (let id = 0; id < index.entryLimit && segment.liveBytes > 0; id++) {
      if (!index.isLive(id) || index.segment(id) !== segment.number) continue;
      const address = await this.#core.addressOfEntry(id);
      if (address === undefined) {
        throw new HoldfastError('FragmentCorrupt', {
          detail: `${segment.path}: the key of the record at ${index.offset(id)} cannot be read`,
        });
      }
      await this.#core.move(address, this.#core.locationOf(id));
    }
    if (segment.liveBytes > 0) return 0;
    await segments.remove(segment);
    this.#draining.delete(segment.number);
    for (const other of segments.all()) other.tombstones.delete(segment.number);
    return segment.sizeBytes;
  }
}
