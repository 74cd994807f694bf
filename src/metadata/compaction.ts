/**
 * Keeps walking cheap after mass deletes. LevelDB leaves a mark for every deleted key until compaction meets it, and a
 * walk has to step over all of them: a bucket whose 200,000 objects were deleted would take as long to list as before.
 *
 * Deletes are counted by group (a bucket). After DELETES_MAX of them in a group, the ranges in which most keys are gone are
 * compacted, in the background, one at a time. Where they are is told by every SAMPLE_STEP-th deleted key: between two
 * neighbouring samples lie about as many deleted keys, and when fewer live ones are found there, the piece is compacted.
 * So deletes that are spread thinly over a large bucket, whose marks disturb nobody, do not rewrite the bucket.
 *
 * State is in memory only. After a restart LevelDB's own compaction gets to the marks in time.
 */
import { mapKey } from '../base/bytes.ts';
import type { MetadataEngine } from './engine.ts';

/** Stepping over so many marks takes a few milliseconds. */
export const DELETES_MAX = 10_000;
const SAMPLE_STEP = 100;
/** Groups that are counted at a time; the one that was quiet longest is forgotten. With samples, 100 KiB each at most. */
const GROUPS_MAX = 128;
/** Groups that wait for compaction; more are counted again from 0. */
const WAITING_MAX = 128;

interface Group {
  count: number;
  readonly samples: Uint8Array[];
  lowest: Uint8Array;
  highest: Uint8Array;
}

interface KeySpan {
  readonly from: Uint8Array;
  to: Uint8Array;
}

export class DeletedRangeTracker {
  readonly #engine: MetadataEngine;
  readonly #onError: (error: unknown) => void;
  readonly #groups = new Map<string, Group>();
  readonly #waiting: Group[] = [];
  #running: Promise<void> | undefined;
  #closed = false;

  /** `onError` is told of a compaction that failed; nothing is lost by it. */
  constructor(engine: MetadataEngine, onError: (error: unknown) => void) {
    this.#engine = engine;
    this.#onError = onError;
  }

  /** Call once the deletion of `key` is durable. `groupId` names what is walked as a whole: a bucket's id. */
  deleted(groupId: Uint8Array, key: Uint8Array): void {
    if (this.#closed) return;
    const id = mapKey(groupId);
    const group = this.#touch(id, key);
    if (group.count % SAMPLE_STEP === 0) group.samples.push(key);
    if (Buffer.compare(key, group.lowest) < 0) group.lowest = key;
    if (Buffer.compare(key, group.highest) > 0) group.highest = key;
    group.count += 1;
    if (group.count < DELETES_MAX) return;
    this.#groups.delete(id);
    if (this.#waiting.length < WAITING_MAX) this.#waiting.push(group);
    this.#running ??= this.#run();
  }

  /** Resolves when no compaction is under way or waiting. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  /** Ends the compaction under way and starts no other. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting.length = 0;
    await this.idle();
  }

  #touch(id: string, key: Uint8Array): Group {
    const group = this.#groups.get(id) ?? { count: 0, samples: [], lowest: key, highest: key };
    this.#groups.delete(id);
    this.#groups.set(id, group);
    if (this.#groups.size > GROUPS_MAX) {
      for (const quietest of this.#groups.keys()) {
        this.#groups.delete(quietest);
        break;
      }
    }
    return group;
  }

  async #run(): Promise<void> {
    try {
      for (let group = this.#waiting.shift(); group; group = this.#waiting.shift()) {
        for (const span of await this.#denseSpans(group)) {
          if (this.#closed) return;
          await this.#engine.compact(span.from, span.to);
        }
      }
    } catch (error) {
      this.#onError(error);
    } finally {
      this.#running = undefined;
    }
  }

  /** Neighbouring pieces are joined, since one large compaction costs less than many small ones. */
  async #denseSpans(group: Group): Promise<KeySpan[]> {
    const bounds = [group.lowest, ...group.samples.toSorted(Buffer.compare), afterKey(group.highest)];
    const spans: KeySpan[] = [];
    const cursor = this.#engine.cursor({ from: group.lowest, to: afterKey(group.highest) });
    try {
      for (let i = 0; i + 1 < bounds.length; i++) {
        const [from, to] = [bounds[i], bounds[i + 1]];
        if (!from || !to || Buffer.compare(from, to) >= 0) continue;
        cursor.seek(from);
        const live = await cursor.next(SAMPLE_STEP);
        const last = live.length < SAMPLE_STEP ? undefined : live.at(-1);
        if (last && Buffer.compare(last[0], to) < 0) continue;
        const before = spans.at(-1);
        if (before && Buffer.compare(before.to, from) === 0) before.to = to;
        else spans.push({ from, to });
      }
    } finally {
      await cursor.close();
    }
    return spans;
  }
}

function afterKey(key: Uint8Array): Buffer {
  return Buffer.concat([key, Buffer.alloc(1)]);
}
