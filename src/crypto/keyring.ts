/**
 * The epochs that a gateway holds in memory: for each bucket the one that new versions are written under, and those that
 * were opened to read. A write under an epoch must not become durable before the epoch's record (design/keys.md):
 *
 *   const { epoch, record } = keyring.current(bucketId);
 *   … commit the version, and `record` in the same commit when there is one …
 *   keyring.markDurable(epoch);
 *
 * The record is handed out until markDurable is called, so writers that race all carry it; it is always the same bytes.
 *
 * Limits: both sets are bounded and forget what was not used for longest. A forgotten current epoch only means that the
 * bucket starts another one. Keys that are forgotten are not wiped, because uploads may still hold them.
 */
import { mapKey } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { MINUTE_MS } from '../base/units.ts';
import { type EpochKey, makeEpoch, type NewSealedEpoch, openEpoch, type SealedEpoch } from './epoch.ts';
import type { GridKeys } from './gridkeys.ts';

export const EPOCH_AGE_MS_MAX = 10 * MINUTE_MS;
export const EPOCH_USES_MAX = 2 ** 20;
/** At about half a KiB an entry, 2 MiB each. */
const CURRENT_EPOCHS_MAX = 4096;
const OPENED_EPOCHS_MAX = 4096;

export interface CurrentEpoch {
  readonly epoch: EpochKey;
  /** To be committed no later than the first version under it; undefined once it is durable. */
  readonly record: NewSealedEpoch | undefined;
}

interface LiveEpoch {
  readonly epoch: EpochKey;
  record: NewSealedEpoch | undefined;
  readonly startedMs: number;
  uses: number;
}

export interface KeyringOptions {
  readonly keys: GridKeys;
  readonly clock: Clock;
  readonly random: Random;
  readonly currentEpochsMax?: number;
  readonly openedEpochsMax?: number;
}

export class EpochKeyring {
  readonly #options: KeyringOptions;
  readonly #current: RecentMap<LiveEpoch>;
  readonly #opened: RecentMap<EpochKey>;

  constructor(options: KeyringOptions) {
    this.#options = options;
    this.#current = new RecentMap(options.currentEpochsMax ?? CURRENT_EPOCHS_MAX);
    this.#opened = new RecentMap(options.openedEpochsMax ?? OPENED_EPOCHS_MAX);
  }

  /** The epoch for one new version or part of the bucket; counts as one use. */
  current(bucketId: Uint8Array): CurrentEpoch {
    const key = mapKey(bucketId);
    let live = this.#current.get(key);
    if (!live || this.#isOver(live)) {
      live = this.#start(bucketId);
      this.#current.set(key, live);
    }
    live.uses += 1;
    return { epoch: live.epoch, record: live.record };
  }

  /** The epoch's record is on stable storage. */
  markDurable(epoch: EpochKey): void {
    const live = this.#current.get(mapKey(epoch.bucketId));
    if (live?.epoch.epochId.equals(epoch.epochId)) live.record = undefined;
  }

  /** An epoch whose key is in memory; undefined when its record is needed. */
  cached(bucketId: Uint8Array, epochId: Uint8Array): EpochKey | undefined {
    return this.#opened.get(epochMapKey(bucketId, epochId));
  }

  /** Opens an epoch from its record, or takes it from memory. @throws as openEpoch */
  open(bucketId: Uint8Array, epochId: Uint8Array, record: SealedEpoch): EpochKey {
    const cached = this.cached(bucketId, epochId);
    if (cached) return cached;
    const epoch = openEpoch(this.#options.keys, bucketId, epochId, record);
    this.#opened.set(epochMapKey(bucketId, epochId), epoch);
    return epoch;
  }

  /** The bucket is deleted. */
  forget(bucketId: Uint8Array): void {
    this.#current.delete(mapKey(bucketId));
  }

  #isOver(live: LiveEpoch): boolean {
    const ageMs = this.#options.clock.monotonicMs() - live.startedMs;
    return ageMs >= EPOCH_AGE_MS_MAX || live.uses >= EPOCH_USES_MAX;
  }

  #start(bucketId: Uint8Array): LiveEpoch {
    const { keys, clock, random } = this.#options;
    const { epoch, record } = makeEpoch(keys, bucketId, random, clock.nowMs());
    this.#opened.set(epochMapKey(bucketId, epoch.epochId), epoch);
    return { epoch, record, startedMs: clock.monotonicMs(), uses: 0 };
  }
}

/** Bucket and epoch together: an epoch's record is bound to its bucket, and memory must not loosen that. */
function epochMapKey(bucketId: Uint8Array, epochId: Uint8Array): string {
  return mapKey(bucketId) + mapKey(epochId);
}

/** A map of at most `entriesMax` entries that drops the one not used for longest. */
class RecentMap<V> {
  readonly #entries = new Map<string, V>();
  readonly #entriesMax: number;

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get(key: string): V | undefined {
    const value = this.#entries.get(key);
    if (value !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, value);
    }
    return value;
  }

  set(key: string, value: V): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size <= this.#entriesMax) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }
}
