/**
 * The seam to a node's disk. Implementations: the real file system (realdisk.ts) and a simulated disk that loses,
 * tears and reorders unsynced writes, fills up and returns errors from a seed (test/simulation).
 * All methods reject with the system's error (`code` ENOSPC, EIO, ENOENT …).
 */
export interface DiskFile {
  readonly path: string;
  /** Where the file is one of this machine's: its open descriptor, for whoever reads without us. */
  readonly descriptor?: number;
  /** Writes all buffers one after the other at `positionBytes`; short writes are continued. Not durable before sync(). */
  writev(buffers: readonly Uint8Array[], positionBytes: number): Promise<void>;
  /** Fills `target` from `positionBytes`; the count of bytes read is smaller only at the end of the file. */
  read(target: Uint8Array, positionBytes: number): Promise<number>;
  /** Data and size on stable storage. After a failure the file's content is undefined: never retry. */
  sync(): Promise<void>;
  /** Where it can be done at once: all of append.ts, with its outcomes. Undefined when it could not be begun: nothing was written. */
  append?(
    buffers: readonly Uint8Array[],
    positionBytes: number,
    witnessPath: string,
    aligned: boolean,
  ): Promise<boolean | undefined>;
  /**
   * Whether large appends had better be `aligned`, which is to end at a multiple of DIRECT_ALIGNMENT_BYTES: from the first such multiple on
   * they then go past the page cache.
   */
  readonly direct?: boolean;
  /** Nothing is appended any more: what was kept open for that may be closed. */
  sealed?(): void;
  truncate(sizeBytes: number): Promise<void>;
  sizeBytes(): Promise<number>;
  /** Hard links to the open file; 0 when it was removed under us. */
  linkCount(): Promise<number>;
  close(): Promise<void>;
}

/** Covers the block sizes of the disks there are. */
export const DIRECT_ALIGNMENT_BYTES = 4096;

export interface DiskSpace {
  readonly capacityBytes: number;
  readonly freeBytes: number;
  /** Equal for directories on one file system: what fails together. */
  readonly filesystemId: string;
}

export interface Disk {
  /** `create` fails with EEXIST when the file exists; `readwrite` and `read` with ENOENT when it does not. */
  open(path: string, mode: 'create' | 'readwrite' | 'read'): Promise<DiskFile>;
  /** Names in a directory, unordered. */
  list(directory: string): Promise<string[]>;
  /** Makes a directory and its parents; no error when it is there. `mode` for those made. */
  makeDirectory(path: string, mode?: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Makes creations, renames and removals in a directory durable. */
  syncDirectory(path: string): Promise<void>;
  readFile(path: string): Promise<Buffer>;
  exists(path: string): Promise<boolean>;
  space(directory: string): Promise<DiskSpace>;
}

/** Data was written, and whether it is on stable storage cannot be known any more. `cause` is the system's error. */
export class SyncFailed extends Error {
  constructor(cause: unknown) {
    super(`sync failed: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
