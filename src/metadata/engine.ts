/**
 * The ordered key-value interface under all metadata, in the shape of abstract-level: get, range, atomic batch.
 * Keys and values are byte strings; order is unsigned bytewise. Compare-and-set is the committer's business
 * (src/commitlog): one process writes, so a check in its overlay followed by a batch is atomic.
 */
export interface KeyRange {
  /** Inclusive lower bound. */
  readonly from?: Uint8Array;
  /** Exclusive upper bound. */
  readonly to?: Uint8Array;
  readonly reverse?: boolean;
  /** At most this many entries; no limit when absent. */
  readonly limit?: number;
}

export type BatchOperation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array };

/** A cursor over a range, as of the moment it was opened. Must be closed. */
export interface Cursor {
  /** The next up to `count` entries in order; an empty array at the end. */
  next(count: number): Promise<[key: Buffer, value: Buffer][]>;
  /** Continues at the first key ≥ `key` (for a reverse cursor ≤), skipping what lies between without reading it. */
  seek(key: Uint8Array): void;
  close(): Promise<void>;
}

export interface MetadataEngine {
  get(key: Uint8Array): Promise<Buffer | undefined>;
  getMany(keys: readonly Uint8Array[]): Promise<(Buffer | undefined)[]>;
  cursor(range: KeyRange): Cursor;
  /** All of `operations` or none. With `sync` it is on stable storage when this resolves. */
  batch(operations: readonly BatchOperation[], options: { readonly sync: boolean }): Promise<void>;
  /** Drops the traces that deleted keys leave in the range, so that walking it is cheap again. */
  compact(from: Uint8Array, to: Uint8Array): Promise<void>;
  close(): Promise<void>;
}
