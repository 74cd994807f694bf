/**
 * What a 3Node does for a gateway: keep fragments under opaque names. The embedded node (embedded.ts) implements it
 * in-process; remote daemons and rented 0-db namespaces will implement the same interface.
 *
 * A stored fragment is `bytes ‖ trailer` (80 bytes, design/commits.md). A node has no keys: it can check the
 * BLAKE3 root in the trailer, not the MAC.
 */

/** As in 0-db: a value has at most 8 MiB. Trailer included. */
export const STORED_FRAGMENT_BYTES_MAX = 8 * 1024 * 1024;

export interface NodeHello {
  /** 16 bytes in hex; made once, kept in the node's directory. */
  readonly nodeUuid: string;
  /** Whether an answer to `put` means stable storage. */
  readonly durable: boolean;
  /** Appends made durable since the node was created. A regression means that the node lost data: take an inventory. */
  readonly durableAppends: number;
  readonly fragmentCount: number;
  readonly usedBytes: number;
  /** What fragments may occupy in all, reserve taken off. */
  readonly capacityBytes: number;
  /** What is left for user fragments now. 0 means `put` answers NodeFull; deletes go on. */
  readonly freeBytes: number;
  /** Equal for nodes whose data lies on one file system. */
  readonly filesystemId: string;
  /** Records that replay found damaged or torn, and fragments that the node's own scrub found corrupt. For reports only. */
  readonly damagedRecords: number;
}

export interface ListedFragment {
  readonly name: Buffer;
  /** Bytes and trailer. */
  readonly storedLengthBytes: number;
}

export interface ListPage {
  /** In ascending order of name. */
  readonly fragments: readonly ListedFragment[];
  /** Pass it as `after` for the next page; undefined at the end. */
  readonly next: Buffer | undefined;
}

/** Part of a stored fragment in an open file of this machine. */
export interface HeldBytes {
  readonly descriptor: number;
  readonly positionBytes: number;
  /** The file stays open, and the bytes as they are, until this is called. */
  release(): void;
}

export interface FragmentStore {
  hello(): Promise<NodeHello>;
  /**
   * Stores `pieces` (concatenated: bytes ‖ trailer) under `name`. Resolves when they are on stable storage.
   * The pieces must not change until then. The same content again succeeds; a stored fragment that fails its own
   * trailer is replaced.
   * @throws FragmentConflict when other, intact content has this name
   * @throws NodeFull when only the reserve is left; nothing was stored
   * @throws NodeUnavailable when the directory is gone or foreign; NodeFailed after a failed fsync
   */
  put(name: Uint8Array, pieces: readonly Uint8Array[]): Promise<void>;
  /**
   * Reads `target.length` bytes of the stored fragment from `offsetBytes` straight into `target`. Not verified: who reads
   * authenticates.
   * @throws FragmentMissing when there is none of this name, FragmentCorrupt when it is shorter than asked for,
   *   NodeUnavailable when the node is stopped or its disk returns an error
   */
  read(name: Uint8Array, offsetBytes: number, target: Uint8Array): Promise<void>;
  /**
   * Where bytes of a stored fragment lie, for whoever reads and checks them in one go; undefined when they are not at hand that way, and
   * `read` knows more. A store without files of this machine does not have this.
   */
  hold?(name: Uint8Array, offsetBytes: number, lengthBytes: number): HeldBytes | undefined;
  /** Stored length (bytes ‖ trailer), undefined when there is none. */
  length(name: Uint8Array): Promise<number | undefined>;
  /** Deletes are durable when this resolves. Unknown names are no error. Returns how many were there. Works on a full node. */
  delete(names: readonly Uint8Array[]): Promise<number>;
  list(after: Uint8Array | undefined, limit: number): Promise<ListPage>;
  /** The node hashes the fragment itself: does it match the root and length in its trailer? */
  verify(name: Uint8Array): Promise<'intact' | 'corrupt' | 'missing'>;
}
