/**
 * A Cursor (engine.ts) over a LevelDB iterator. What it adds to classic-level's: seeking to a key outside the range lands
 * on the range's edge, where classic-level would end, and a limit that counts over seeks.
 *
 * A seek past the far end never reaches LevelDB: classic-level answers it by stepping off the last entry of the whole
 * database, which aborts the process when there is none (db_iter.cc, assertion `valid_`).
 *
 * Reverse iterators are opened with an inclusive upper bound and the entry at the bound itself is dropped here, because
 * classic-level cannot seek to the position just below an exclusive bound.
 */
import type { ClassicLevel } from 'classic-level';
import type { Cursor, KeyRange } from './engine.ts';

export type LevelDatabase = ClassicLevel<Uint8Array, Buffer>;
type Entry = [key: Buffer, value: Buffer];

/** One read brings at most this much (bytes) over from LevelDB, however many entries were asked for. */
const READ_BYTES_MAX = 1024 * 1024;

export class LevelCursor implements Cursor {
  readonly #database: LevelDatabase;
  readonly #range: KeyRange;
  readonly #fail: (error: unknown) => Error;
  #ready: Promise<void> | undefined;
  #iterator: ReturnType<LevelDatabase['iterator']> | undefined;
  #remaining: number;
  #beyondEnd = false;

  /** `ready` is there while the database is being reopened; the snapshot is then taken once it is open. */
  constructor(
    database: LevelDatabase,
    range: KeyRange,
    ready: Promise<void> | undefined,
    fail: (error: unknown) => Error,
  ) {
    this.#database = database;
    this.#range = range;
    this.#fail = fail;
    this.#remaining = range.limit ?? Number.POSITIVE_INFINITY;
    if (ready) this.#ready = ready.then(() => this.#open());
    else this.#open();
    this.#ready?.catch(() => undefined);
  }

  async next(count: number): Promise<Entry[]> {
    const wanted = Math.min(count, this.#remaining);
    if (wanted <= 0 || this.#beyondEnd) return [];
    try {
      if (this.#ready) await this.#ready;
      const entries = (await this.#iterator?.nextv(wanted)) as Entry[] | undefined;
      if (entries === undefined) return [];
      const first = entries[0];
      if (first && this.#isExcludedBound(first[0])) {
        entries.shift();
        if (entries.length === 0) return this.next(count);
      }
      this.#remaining -= entries.length;
      return entries;
    } catch (error) {
      throw this.#fail(error);
    }
  }

  seek(key: Uint8Array): void {
    this.#beyondEnd = this.#isBeyondEnd(key);
    if (this.#beyondEnd) return;
    const target = this.#clamp(key);
    if (this.#iterator) this.#iterator.seek(target);
    else this.#ready = this.#ready?.then(() => this.#iterator?.seek(target));
  }

  async close(): Promise<void> {
    const ready = this.#ready;
    if (ready) await ready.catch(() => undefined);
    await this.#iterator?.close();
  }

  #open(): void {
    const { from, to, reverse } = this.#range;
    this.#iterator = this.#database.iterator({
      ...(from ? { gte: from } : {}),
      ...(to ? (reverse ? { lte: to } : { lt: to }) : {}),
      reverse: reverse ?? false,
      highWaterMarkBytes: READ_BYTES_MAX,
    });
  }

  #isBeyondEnd(key: Uint8Array): boolean {
    const { from, to, reverse } = this.#range;
    if (from && to && Buffer.compare(from, to) >= 0) return true;
    if (reverse) return from !== undefined && Buffer.compare(key, from) < 0;
    return to !== undefined && Buffer.compare(key, to) >= 0;
  }

  #clamp(key: Uint8Array): Uint8Array {
    const { from, to, reverse } = this.#range;
    if (reverse) return to && Buffer.compare(key, to) > 0 ? to : key;
    return from && Buffer.compare(key, from) < 0 ? from : key;
  }

  #isExcludedBound(key: Buffer): boolean {
    const { to, reverse } = this.#range;
    return reverse === true && to !== undefined && Buffer.compare(key, to) === 0;
  }
}
