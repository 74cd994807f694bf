/**
 * `commit(operations, preconditions) → slot` is the only way to change anything (design/commits.md, "Who decides").
 * The caller states what must hold and what changes; one committer decides, in order, against the durable metadata
 * plus what is in flight, and answers when the slot is durable.
 */
export type CommitOperation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array }
  /** Adds `delta` to the signed 64-bit counter at `key` (absent counts as 0). Counters that reach 0 are kept. */
  | { readonly type: 'add'; readonly key: Uint8Array; readonly delta: number };

/** `expect` undefined: the key must be absent. Otherwise its value must be these bytes. */
export interface Precondition {
  readonly key: Uint8Array;
  readonly expect: Uint8Array | undefined;
}

export interface Slot {
  readonly term: number;
  readonly start: number;
  readonly counter: number;
}

export interface CommitResult {
  readonly slot: Slot;
  /** Value after this commit of each counter it changed, in the order of its `add` operations. */
  readonly counters: readonly number[];
}

export interface Committer {
  /**
   * Resolves when the change is on stable storage and visible to readers.
   * @throws CommitConflict when a precondition does not hold; nothing was changed. Read again with `peek` and retry.
   * @throws ShuttingDown after close().
   */
  commit(
    operations: readonly CommitOperation[],
    preconditions?: readonly Precondition[],
  ): Promise<CommitResult>;
  /**
   * The value that a commit made now would be checked against: in-flight changes included. Only for building
   * preconditions and operations; answers to clients come from the engine, which holds what is durable.
   */
  peek(key: Uint8Array): Promise<Buffer | undefined>;
  /** Writers wait for slots in flight, then no more are taken. */
  close(): Promise<void>;
}
