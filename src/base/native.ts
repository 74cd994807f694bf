/**
 * The native addon (native/), or why there is none. Whoever has a portable twin asks `native()` and falls back to it; results are the
 * same bytes either way. The addon is built by `npm start` where there is a C compiler, or comes prebuilt with the package.
 *
 * HOLDFAST_NATIVE chooses: `off` for the portable TypeScript and WebAssembly kernels, or a level of native/kernels/cpu.h
 * (`portable`, `ssse3`, `avx2`, `avx2-gfni`, `avx512`, `neon`) for the C kernels of that level. Unset or `auto`: the best there is.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HoldfastError } from './errors.ts';

export const nativeLevels = ['portable', 'ssse3', 'avx2', 'avx2-gfni', 'avx512', 'neon'] as const;
export type NativeLevel = (typeof nativeLevels)[number];

/**
 * Jobs on native threads. The first argument is the id under which the callback of `start` is told of the end. Memory that is passed
 * belongs to the job until then: nativejobs.ts holds it. Without an id the job runs at once, on this thread, and its outcome is
 * returned: the value, or −(8 · value − code) for a code below 0.
 */
/** Of a job that ran at once; undefined of one that was handed over. */
export type NativeOutcome = number | undefined;

export interface NativeJobFunctions {
  /** Once a thread. `code`: 0, an errno, or one of jobCodes (nativejobs.ts). */
  start(
    computeThreads: number,
    fileThreads: number,
    callback: (id: number, code: number, value: number) => void,
  ): void;
  /** Zeroed memory of its own pages, aligned to 2 MiB, in huge pages where the system has them. At most 4 GiB. */
  allocatePages(bytes: number): ArrayBuffer;
  /** Whether this process has an OpenSSL whose functions can be used. Without, nothing that seals or opens works. */
  canSeal(): boolean;
  /** `runs`: 64 bytes each, as packRuns (stripes/engine/native.ts) makes them. Value: sealed bytes. */
  seal(
    id: number | undefined,
    plaintext: Uint8Array,
    fragments: Uint8Array,
    runs: Uint8Array,
    k: number,
    m: number,
    fragmentLengthBytes: number,
    roots: Uint8Array,
  ): NativeOutcome;
  encode(
    id: number | undefined,
    fragments: Uint8Array,
    payloadLengthBytes: number,
    k: number,
    m: number,
    fragmentLengthBytes: number,
    roots: Uint8Array,
  ): NativeOutcome;
  reconstruct(
    id: number | undefined,
    k: number,
    m: number,
    sourceIndices: Uint8Array,
    sources: readonly Uint8Array[],
    wantedIndices: Uint8Array,
    wanted: readonly Uint8Array[],
    roots: Uint8Array,
  ): NativeOutcome;
  /** At most 255 views. */
  hashAll(id: number | undefined, views: readonly Uint8Array[], roots: Uint8Array): NativeOutcome;
  /** `keys`: AEAD key ‖ base nonce. Value: plaintext bytes. */
  openChunks(
    id: number | undefined,
    ciphertext: Uint8Array,
    plaintext: Uint8Array,
    keys: Uint8Array,
    firstChunkIndex: number,
    final: boolean,
  ): NativeOutcome;
  /** The ciphertext, of which only the length counts, comes from files; at once only from the page cache, EAGAIN where that does not have it. `pieces`: descriptor, position and length of each, in order. */
  readAndOpen(
    id: number | undefined,
    ciphertext: Uint8Array,
    plaintext: Uint8Array,
    keys: Uint8Array,
    firstChunkIndex: number,
    final: boolean,
    pieces: Float64Array,
  ): NativeOutcome;
  /**
   * As readAndOpen; a piece may also be of a fragment that cannot be read: -1 - index, offset in the fragment, length. `sources`: index,
   * descriptor and position of the beginning of k fragments that can.
   */
  rebuildAndOpen(
    id: number | undefined,
    ciphertext: Uint8Array,
    plaintext: Uint8Array,
    keys: Uint8Array,
    firstChunkIndex: number,
    final: boolean,
    pieces: Float64Array,
    k: number,
    m: number,
    sources: Float64Array,
  ): NativeOutcome;
  /** Bits of `algorithms`: MD5 1, SHA-1 2, SHA-256 4, CRC-32 8, CRC-32C 16, CRC-64/NVME 32. */
  digestNew(algorithms: number): NativeDigest;
  digestUpdate(id: number | undefined, digest: NativeDigest, bytes: Uint8Array): undefined;
  /** Once for each algorithm, when all updates are done. */
  digestValue(digest: NativeDigest, algorithm: number): Buffer;
  /**
   * Writes, syncs, looks. Value: the step that failed (1 write, 2 sync, 3 look), and 16 more when file and witness are there.
   * `direct`: a second descriptor, for O_DIRECT; the append must then end at a multiple of 4,096.
   */
  append(
    id: number | undefined,
    file: number,
    position: number,
    parts: readonly Uint8Array[],
    witness: string,
    direct?: number,
  ): NativeOutcome;
  /** Undefined where sockets cannot be received from natively. */
  inletOpen(descriptor: number): NativeInlet | undefined;
  /**
   * Ends when the target is full, when `waitMs` (at most 60,000) have passed, or with the connection; one at a time. Value: twice the
   * bytes that came, and one more when the peer sends no more.
   */
  inletReceive(id: number | undefined, inlet: NativeInlet, target: Uint8Array, waitMs: number): undefined;
  /** A receive under way ends with jobCodes.closed. */
  inletClose(inlet: NativeInlet): void;
  /** Writes to a socket for at most `waitMs` (at most 60,000). Value: how many bytes it took. */
  sendBytes(id: number | undefined, descriptor: number, bytes: Uint8Array, waitMs: number): NativeOutcome;
}

/** Chunks of AES-256-GCM at once, for tests and benchmarks. `keys`: AEAD key ‖ base nonce. */
export interface NativeGcm {
  sealChunksNow(
    keys: Uint8Array,
    plaintext: Uint8Array,
    sealed: Uint8Array,
    firstChunkIndex: number,
    final: boolean,
  ): void;
  /** Whole chunks with one context for all of them, or with a fresh one for each. */
  sealWholeChunksNow(
    keys: Uint8Array,
    plaintext: Uint8Array,
    sealed: Uint8Array,
    firstChunkIndex: number,
    reuseContext: boolean,
  ): void;
  /** The plaintext's length, or −1 − i when chunk i failed its tag. */
  openChunksNow(
    keys: Uint8Array,
    sealed: Uint8Array,
    plaintext: Uint8Array,
    firstChunkIndex: number,
    final: boolean,
  ): number;
}

declare const inletBrand: unique symbol;
/** A socket that is received from natively: a duplicate of its descriptor. */
export interface NativeInlet {
  readonly [inletBrand]: true;
}

declare const digestBrand: unique symbol;
export interface NativeDigest {
  readonly [digestBrand]: true;
}

/** Codec 1 for one k + m; keeps prepared matrices. Belongs to the thread that made it. */
export interface Gf256Coder {
  /** Fills m parity shards from k data shards. All of one length; no output may overlap anything else. */
  encode(data: readonly Uint8Array[], parity: readonly Uint8Array[]): void;
  /** The same where the shards of `shardBytes` lie one after the other in one area each. */
  encodeArea(data: Uint8Array, parity: Uint8Array, shardBytes: number): void;
  /**
   * Rebuilds shards: `present` has k + m entries, at least k of them shards; output i receives the shard of index
   * `wanted[i]`, which is not present.
   */
  decode(
    present: readonly (Uint8Array | undefined)[],
    wanted: Uint8Array,
    outputs: readonly Uint8Array[],
  ): void;
}

export interface NativeGf256 {
  /** k ≥ 1, m ≥ 0, k + m ≤ 255. */
  readonly Gf256Coder: new (
    k: number,
    m: number,
  ) => Gf256Coder;
  /** outputs[r] = Σ matrix[r · columns + s] · sources[s] over GF(2⁸)/0x11D. */
  gf256Combine(
    matrix: Uint8Array,
    rows: number,
    columns: number,
    sources: readonly Uint8Array[],
    outputs: readonly Uint8Array[],
  ): void;
}

/** One view, or at most 256 that are hashed one behind the other. */
export type NativeBlake3Data = Uint8Array | readonly Uint8Array[];

/** A message in pieces. */
export interface NativeBlake3Hasher {
  update(bytes: Uint8Array): this;
  /** Fills `output` with the hash of what there is so far; more may follow. */
  digest(output: Uint8Array): void;
  reset(): this;
}

/**
 * BLAKE3 (native/binding/blake3.c). Outputs are filled to their length, which may be any where it is the output of a hash, and must not
 * overlap the input. With a `key` (32 bytes) it is the keyed mode. A leaf has `groupBytes`: 1,024 or 16,384.
 */
export interface NativeBlake3 {
  blake3Hash(data: NativeBlake3Data, output: Uint8Array): void;
  blake3Keyed(key: Uint8Array, data: NativeBlake3Data, output: Uint8Array): void;
  /** `context` has at most 4,096 bytes of UTF-8. */
  blake3Derive(context: string, material: NativeBlake3Data, output: Uint8Array): void;
  /** At most 1,024 messages, 32 bytes of `outputs` for each. Those of equal length up to 1 KiB go side by side. */
  blake3Many(list: readonly Uint8Array[], outputs: Uint8Array, key?: Uint8Array): void;
  /** Chaining values (32 bytes each) of whole groups of 16 KiB that are not the whole message. */
  blake3Groups(bytes: Uint8Array, firstChunk: number, output: Uint8Array, key?: Uint8Array): void;
  /** The hash of a message longer than a group: of its groups' chaining values and the rest, shorter than a group. */
  blake3FromGroups(chainingValues: Uint8Array, rest: Uint8Array, output: Uint8Array, key?: Uint8Array): void;
  /** The Bao outboard without its length prefix: the parents in pre-order, 64 bytes each. */
  blake3Outboard(bytes: Uint8Array, groupBytes: number, key?: Uint8Array): { outboard: Buffer; root: Buffer };
  /** The parents above a leaf, root first. */
  blake3Proof(outboard: Uint8Array, length: number, groupBytes: number, leaf: number): Buffer;
  /** Whether `bytes` are that leaf of the message with this root and length. */
  blake3VerifyProof(
    root: Uint8Array,
    length: number,
    groupBytes: number,
    leaf: number,
    bytes: Uint8Array,
    proof: Uint8Array,
    key?: Uint8Array,
  ): boolean;
  /**
   * For messages of some tens of bytes: hash(length) hashes `scratch` (shared memory) from its 33rd byte on into its first 32 bytes.
   */
  blake3Short(scratch: Uint8Array, key?: Uint8Array): (length: number) => void;
  readonly Blake3Hasher: new (key?: Uint8Array) => NativeBlake3Hasher;
}

/** native/binding/crc.c. Values are finished ones: that of a followed by b is crc(b, crc(a)). */
export interface NativeCrc {
  crc32(bytes: Uint8Array, initial?: number): number;
  crc32c(bytes: Uint8Array, initial?: number): number;
  crc64nvme(bytes: Uint8Array, initial?: bigint): bigint;
  /** The value of two parts, one behind the other, from theirs and the length of the second, at most 2⁵³. */
  crc32Combine(first: number, second: number, secondLengthBytes: number): number;
  crc32cCombine(first: number, second: number, secondLengthBytes: number): number;
  crc64nvmeCombine(first: bigint, second: bigint, secondLengthBytes: number): bigint;
}

/** A running MD5 in native memory; its digest can be taken once. */
export interface NativeMd5State {
  readonly nativeMd5State: unique symbol;
}

/** native/binding/md5.c. */
export interface NativeMd5 {
  md5(bytes: Uint8Array): Buffer;
  md5Create(): NativeMd5State;
  md5Update(state: NativeMd5State, bytes: Uint8Array): void;
  md5Digest(state: NativeMd5State): Buffer;
  /** views[i] into states[i], at most 16 distinct ones side by side; lengths may differ. */
  md5UpdateMany(states: readonly NativeMd5State[], views: readonly Uint8Array[]): void;
  /** For tests and benchmarks: the kernels of this level, and to use one for any number of streams (undefined: the fastest for each). */
  md5Kernels(): string[];
  md5SelectKernel(name?: string): void;
}

/** What native/binding puts on `exports`. Wrong types and lengths throw TypeError and RangeError. */
export interface NativeAddon
  extends NativeJobFunctions,
    NativeGcm,
    NativeGf256,
    NativeBlake3,
    NativeCrc,
    NativeMd5 {
  level(): NativeLevel;
  /** Those that this processor runs, best last. */
  levels(): NativeLevel[];
  /** For tests and benchmarks: while nothing native runs. */
  selectLevel(level: NativeLevel): void;
}

export type NativeState =
  | { readonly addon: NativeAddon; readonly reason?: undefined }
  | { readonly addon?: undefined; readonly reason: string };

const root = fileURLToPath(new URL('../..', import.meta.url));

function load(): NativeState {
  const wanted = process.env['HOLDFAST_NATIVE'] ?? 'auto';
  if (wanted === 'off') return { reason: 'switched off by HOLDFAST_NATIVE' };
  const isLevel = (nativeLevels as readonly string[]).includes(wanted);
  if (wanted !== 'auto' && wanted !== '' && !isLevel) {
    throw new HoldfastError('ConfigInvalid', {
      detail: `HOLDFAST_NATIVE is ${JSON.stringify(wanted)}; it may be auto, off, ${nativeLevels.join(', ')}`,
    });
  }
  let addon: NativeAddon;
  try {
    const require = createRequire(import.meta.url);
    addon = (require('node-gyp-build') as (directory: string) => NativeAddon)(root);
  } catch (error) {
    return { reason: whyThereIsNone(error) };
  }
  if (isLevel && addon.level() !== wanted) {
    throw new HoldfastError('ConfigInvalid', {
      detail: `HOLDFAST_NATIVE is ${wanted}, which this processor does not run; it runs ${addon.levels().join(', ')}`,
    });
  }
  return { addon };
}

/** What scripts/prepare.js wrote when it could not build the addon, or what loading it says. */
function whyThereIsNone(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const [firstLine = text] = text.split('\n', 1);
  if (!firstLine.startsWith('No native build was found')) return firstLine;
  const note = join(root, 'build', 'why-portable');
  return existsSync(note)
    ? readFileSync(note, 'utf8').trim()
    : 'the addon is not built: `npm start` does that';
}

let state: NativeState | undefined;

/** Loaded once a thread, at the first call. @throws ConfigInvalid for a HOLDFAST_NATIVE that cannot be */
export function native(): NativeState {
  state ??= load();
  return state;
}
