/**
 * Deletes that do not fit one commit, or wait for a reader: a GarbageRecord says what is still to be released, and each step
 * releases a bounded part of it and shortens what is left in the same commit, so that a crash between steps loses nothing
 * and does nothing twice. What somebody reads is passed over until they are done.
 */
import { mapKey } from '../base/bytes.ts';
import { hasCode } from '../base/errors.ts';
import type { Committer } from '../commitlog/commit.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys, prefixes, prefixRange } from '../metadata/keys.ts';
import {
  type ContentPage,
  type ContentRecord,
  decodeExtents,
  decodeRecord,
  EXTENT_BYTES,
  EXTENTS_PER_PAGE_MAX,
  encodeRecord,
  type GarbageRecord,
  type PartListPage,
  type PartRecord,
  RECORD_FORMAT,
} from '../metadata/records.ts';
import type { Background } from './background.ts';
import { Change } from './change.ts';
import { pageCount } from './contents.ts';
import type { Readers } from './readers.ts';
import type { ReleasePlan, SpaceKeeper } from './release.ts';

/** One step lets go of about so many extents (100 KB of operations) … */
const EXTENTS_PER_STEP_MAX = 512;
/** … and parts. */
const PARTS_PER_STEP_MAX = 128;
const PAGE = 256;
const CONFLICT_RETRIES_MAX = 50;
/** What a background run does at most before it yields to the scheduler's next call. */
const BACKGROUND_STEPS_MAX = 10_000;

export interface GarbageResult {
  readonly steps: number;
  /** Records that are gone for good. */
  readonly collected: number;
  /** Records that a reader still needs, or that the budget did not reach. */
  readonly left: number;
}

interface Entry {
  readonly key: Buffer;
  readonly bytes: Buffer;
  readonly record: GarbageRecord;
}

export class Garbage {
  readonly #engine: MetadataEngine;
  readonly #committer: Committer;
  readonly #space: SpaceKeeper;
  readonly #readers: Readers;
  readonly #background: Background;
  #running: Promise<GarbageResult> | undefined;
  #kicked = false;
  /** What the last run passed over because somebody reads it. */
  readonly #awaited = new Set<string>();

  constructor(
    engine: MetadataEngine,
    committer: Committer,
    space: SpaceKeeper,
    readers: Readers,
    background: Background,
  ) {
    this.#engine = engine;
    this.#committer = committer;
    this.#space = space;
    this.#readers = readers;
    this.#background = background;
    readers.onIdle = (key) => {
      if (this.#awaited.has(key)) this.kick();
    };
  }

  /** Collects in the background; what is added meanwhile is collected as well. */
  kick(): void {
    if (this.#kicked) return;
    this.#kicked = true;
    this.#background.run(async () => {
      if (this.#running !== undefined) await this.#running.catch(() => {});
      this.#kicked = false;
      await this.collect(BACKGROUND_STEPS_MAX);
    });
  }

  /** Takes at most `stepsMax` commits. One run at a time: a call during a run waits for its turn. */
  async collect(stepsMax: number): Promise<GarbageResult> {
    while (this.#running !== undefined) await this.#running.catch(() => {});
    this.#running = this.#collect(stepsMax);
    try {
      return await this.#running;
    } finally {
      this.#running = undefined;
    }
  }

  async #collect(stepsMax: number): Promise<GarbageResult> {
    this.#awaited.clear();
    let [steps, collected, left] = [0, 0, 0];
    for await (const page of this.#pages()) {
      await this.#readers.resolved();
      for (const entry of page) {
        if (this.#readers.isHeld(entry.record.id)) {
          this.#awaited.add(mapKey(entry.record.id));
          left += 1;
          continue;
        }
        let done = false;
        while (!done && steps < stepsMax) {
          done = await this.#step(entry);
          steps += 1;
        }
        if (done) collected += 1;
        else left += 1;
      }
    }
    return { steps, collected, left };
  }

  async *#pages(): AsyncGenerator<Entry[], void, void> {
    const cursor = this.#engine.cursor(prefixRange(prefixes.garbage()));
    try {
      for (let page = await cursor.next(PAGE); page.length > 0; page = await cursor.next(PAGE)) {
        yield page.map(([key, bytes]) => ({ key, bytes, record: decodeRecord<GarbageRecord>(bytes) }));
      }
    } finally {
      await cursor.close();
    }
  }

  /** One commit. True when the record is gone. */
  async #step(entry: Entry): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      // A garbage record may have been taken up elsewhere since it was read.
      if ((await this.#committer.peek(entry.key)) === undefined) return true;
      const change = new Change();
      change.expect(entry.key, entry.bytes);
      try {
        const done = await this.#plan(entry.record, change);
        if (done) change.delete(entry.key);
        const emptied = await change.commit(this.#committer);
        if (emptied.length > 0) await this.#space.bury(emptied);
        return done;
      } catch (error) {
        if (!hasCode(error, 'CommitConflict') || attempt >= CONFLICT_RETRIES_MAX) throw error;
      }
    }
  }

  #plan({ kind, id }: GarbageRecord, change: Change): Promise<boolean> {
    switch (kind) {
      case 'content':
        return this.#planContent(id, change);
      case 'version':
        return this.#planVersion(id, change);
      case 'upload':
        return this.#planUpload(id, change);
      case 'partlist':
        return this.#planPartList(id, change);
    }
  }

  /** A large content goes from its end, so that what is left is always whole. */
  async #planContent(contentId: Buffer, change: Change): Promise<boolean> {
    const release = this.#space.plan(change);
    if (await release.content(contentId)) {
      await release.finish();
      return true;
    }
    const firstKey = keys.content(contentId, 0);
    const bytes = await this.#committer.peek(firstKey);
    if (bytes === undefined) return true;
    const record = decodeRecord<ContentRecord>(bytes);
    change.expect(firstKey, bytes);
    const page = pageCount(record.extentCount) - 1;
    const onPage = record.extentCount - page * EXTENTS_PER_PAGE_MAX;
    const keptOnPage = Math.max(0, onPage - EXTENTS_PER_STEP_MAX);
    const extentCount = page * EXTENTS_PER_PAGE_MAX + keptOnPage;
    if (page === 0) {
      release.extents(decodeExtents(record.extents.subarray(keptOnPage * EXTENT_BYTES)));
      const extents = record.extents.subarray(0, keptOnPage * EXTENT_BYTES);
      change.put(firstKey, encodeRecord<ContentRecord>({ ...record, extentCount, extents }));
    } else {
      await this.#shortenPage(contentId, page, keptOnPage, release, change);
      change.put(firstKey, encodeRecord<ContentRecord>({ ...record, extentCount }));
    }
    await release.finish();
    return false;
  }

  async #shortenPage(
    contentId: Buffer,
    page: number,
    keptExtents: number,
    release: ReleasePlan,
    change: Change,
  ): Promise<void> {
    const key = keys.content(contentId, page);
    const bytes = await this.#committer.peek(key);
    if (bytes === undefined) return;
    // The page may be rewritten when its stripes move, which leaves the first page as it is.
    change.expect(key, bytes);
    const { extents } = decodeRecord<ContentPage>(bytes);
    release.extents(decodeExtents(extents.subarray(keptExtents * EXTENT_BYTES)));
    if (keptExtents === 0) {
      change.delete(key);
      return;
    }
    const kept: ContentPage = { v: RECORD_FORMAT, extents: extents.subarray(0, keptExtents * EXTENT_BYTES) };
    change.put(key, encodeRecord(kept));
  }

  /** A multipart version: parts from the end of its last page. */
  async #planVersion(versionId: Buffer, change: Change): Promise<boolean> {
    const last = await this.#lastPage(versionId);
    if (last === undefined) {
      change.delete(keys.partList(versionId, AUTHENTICATOR_PAGE));
      return true;
    }
    const { parts } = decodeRecord<PartListPage>(last.bytes);
    change.expect(last.key, last.bytes);
    const contentIds = parts.map((part) => part.contentId).reverse();
    const released = await this.#releaseContents(contentIds, change);
    const left = parts.slice(0, parts.length - released);
    if (left.length === 0) change.delete(last.key);
    else change.put(last.key, encodeRecord<PartListPage>({ v: RECORD_FORMAT, parts: left }));
    return false;
  }

  async #lastPage(versionId: Buffer): Promise<{ readonly key: Buffer; readonly bytes: Buffer } | undefined> {
    const range = {
      from: keys.partList(versionId, 0),
      to: keys.partList(versionId, AUTHENTICATOR_PAGE),
      reverse: true,
      limit: 1,
    };
    const [entry] = await this.#read(range, 1);
    return entry && { key: entry[0], bytes: entry[1] };
  }

  /** Parts that no version names: those of an aborted upload, and those that a completion left out. */
  async #planUpload(uploadId: Buffer, change: Change): Promise<boolean> {
    const entries = await this.#read(prefixRange(prefixes.parts(uploadId)), PARTS_PER_STEP_MAX);
    if (entries.length === 0) return true;
    const contentIds = entries.map(([, bytes]) => decodeRecord<PartRecord>(bytes).contentId);
    const released = await this.#releaseContents(contentIds, change);
    for (const [key, bytes] of entries.slice(0, released)) {
      change.expect(key, bytes);
      change.delete(key);
    }
    return false;
  }

  async #planPartList(versionId: Buffer, change: Change): Promise<boolean> {
    for (const [key] of await this.#read(prefixRange(prefixes.partLists(versionId)), PAGE))
      change.delete(key);
    return true;
  }

  /** Releases the first of `contentIds` that fit one step and returns how many; a very large one becomes garbage of its own. */
  async #releaseContents(contentIds: readonly Buffer[], change: Change): Promise<number> {
    const release = this.#space.plan(change);
    let count = 0;
    for (const contentId of contentIds) {
      if (count >= PARTS_PER_STEP_MAX || release.extentCount >= EXTENTS_PER_STEP_MAX) break;
      if (!(await release.content(contentId))) {
        const record: GarbageRecord = { v: RECORD_FORMAT, kind: 'content', id: contentId };
        change.put(keys.garbage(contentId), encodeRecord(record));
        this.kick();
      }
      count += 1;
    }
    await release.finish();
    return count;
  }

  async #read(range: Parameters<MetadataEngine['cursor']>[0], count: number): Promise<[Buffer, Buffer][]> {
    const cursor = this.#engine.cursor(range);
    try {
      return await cursor.next(count);
    } finally {
      await cursor.close();
    }
  }
}

/** PartListPage with the authenticator (records.ts). */
export const AUTHENTICATOR_PAGE = 0xffff_ffff;
