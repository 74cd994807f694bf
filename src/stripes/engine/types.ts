/**
 * What the stripe layer asks of the processor: one call per stripe, on memory that both sides share. `inline.ts` does the
 * work on the calling thread (tests, simulator), `workers.ts` on worker threads; both call kernels.ts. A native engine can
 * take their place: nothing here says where or how the bytes are computed.
 *
 * Whoever passes memory leaves it alone until the promise settles, also when it aborts: a job that has started runs to
 * its end. `signal` takes back a job that has not. "The engine's memory" is what its threads can see: its
 * pools, in any case.
 */

import type { BodyDigests, DigestAlgorithm } from '../../coding/digests.ts';
import type { StripeShape } from '../shape.ts';
import type { BodyDigester, PayloadRange, Profile, SealRun, StripeBuffer } from '../types.ts';

/** Pooled memory. Whoever holds it gives it back once, by one of the two. */
export interface PooledBuffer {
  release(): void;
  /**
   * For memory that late reads or writes of a node still use: it is nobody's until `settled`. Its place in the pool is free at once
   * while not too many buffers are in this state, so that a node that never answers takes nothing from the others.
   */
  releaseAfter(settled: Promise<unknown>): void;
}

/** Memory of one stripe being written. The k + m fragments of F bytes lie side by side from the start of `fragments`. */
export interface WriteBuffer extends StripeBuffer, PooledBuffer {
  /** Room for the largest payload at the profile's k, also coded with fewer data fragments. */
  readonly fragments: Uint8Array;
}

/** Memory of one window of a read: `openChunksMax` chunks. */
export interface ReadBuffer extends PooledBuffer {
  readonly ciphertext: Uint8Array;
  readonly plaintext: Uint8Array;
}

/** Memory for rebuilding: room for all fragments of a stripe, or for the columns of them that a degraded read needs. */
export interface RepairBuffer extends PooledBuffer {
  readonly fragments: Uint8Array;
}

/** How many buffers there are of each kind. They are made when first needed and kept. */
export interface BufferCounts {
  /** Stripes being written; at 4 + 2, 10.3 MiB each are in use and 16.4 reserved. */
  readonly write: number;
  /** Windows being read; 2 MiB each. */
  readonly read: number;
  /** Reads that have to decode, and healing, each with its own so that neither holds up the other. At 4 + 2, 6.2 MiB each are in
   * use and 12.4 reserved. */
  readonly rescue: number;
  readonly repair: number;
  /** Stripes being written again while late puts still read their first memory; as large as the ones before. */
  readonly spare?: number;
}

export interface EncodedStripe extends StripeShape {
  /** BLAKE3 of each of the k + m fragments. */
  readonly roots: readonly Buffer[];
}

export interface SealedStripe extends EncodedStripe {
  /** Sealed bytes of all runs, before padding. */
  readonly payloadLengthBytes: number;
  /** Where each run's sealed bytes lie in the payload. */
  readonly ranges: readonly PayloadRange[];
}

/** Consecutive chunks of one stream. */
export interface OpenRequest {
  /** Exactly the sealed chunks; of the engine's memory. */
  readonly ciphertext: Uint8Array;
  /** Receives the plaintext from its start; of the engine's memory. */
  readonly plaintext: Uint8Array;
  readonly aeadKey: Uint8Array;
  readonly baseNonce: Uint8Array;
  readonly firstChunkIndex: number;
  /** Whether the last of these chunks ends the stream. */
  readonly final: boolean;
}

/** Where some of the ciphertext lies in a file of this machine. */
export interface LocalPiece {
  /** An open file's. */
  readonly descriptor: number;
  readonly positionBytes: number;
  readonly lengthBytes: number;
}

/** Some of the ciphertext, as part of a fragment that cannot be read. */
export interface LostPiece {
  readonly lostIndex: number;
  /** In the fragment. */
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** What lost pieces are computed from: k whole fragments of codec 1 in files of this machine. */
export interface LocalSources {
  readonly k: number;
  readonly m: number;
  readonly sources: readonly {
    readonly index: number;
    readonly descriptor: number;
    readonly positionBytes: number;
  }[];
}

export interface StripeEngine {
  /** Each waits in turn for a buffer of its pool, and rejects with `signal.reason` when aborted. */
  acquireWrite(signal?: AbortSignal): Promise<WriteBuffer>;
  acquireRead(signal?: AbortSignal): Promise<ReadBuffer>;
  acquireRescue(signal?: AbortSignal): Promise<RepairBuffer>;
  acquireRepair(signal?: AbortSignal): Promise<RepairBuffer>;
  acquireSpare(signal?: AbortSignal): Promise<RepairBuffer>;

  /**
   * Encrypts the runs one behind the other into the payload, pads, encodes and hashes.
   * @throws InvalidArgument when the sealed runs exceed the buffer (shape.ts, `payloadBytesMax`)
   */
  seal(
    buffer: WriteBuffer,
    runs: readonly SealRun[],
    profile: Profile,
    signal?: AbortSignal,
  ): Promise<SealedStripe>;

  /**
   * Encodes a payload that lies at the start of `fragments` (the engine's memory): to write it again narrower, or at full width.
   * Everything behind the payload is overwritten.
   */
  encode(
    fragments: Uint8Array,
    payloadLengthBytes: number,
    profile: Profile,
    signal?: AbortSignal,
  ): Promise<EncodedStripe>;

  /**
   * Rebuilds fragments, or with a columnwise codec equal ranges of them. `present` has k + m entries, of which at least k are
   * there; `wanted` maps an index to the view that receives it. All of the engine's memory. Resolves to the BLAKE3 of each wanted
   * view, in the order of the map.
   * @throws DataUnavailable when fewer than k are present
   */
  reconstruct(
    profile: Profile,
    present: readonly (Uint8Array | undefined)[],
    wanted: ReadonlyMap<number, Uint8Array>,
    signal?: AbortSignal,
  ): Promise<readonly Buffer[]>;

  /** BLAKE3 of each view. */
  hash(views: readonly Uint8Array[], signal?: AbortSignal): Promise<readonly Buffer[]>;

  /**
   * Decrypts and authenticates; resolves to the plaintext's length.
   * @throws AuthenticationFailed naming the first bad chunk
   */
  openChunks(request: OpenRequest, signal?: AbortSignal): Promise<number>;

  /** Whether `readAndOpen` can be called. */
  canRead(): boolean;
  /**
   * As openChunks, of ciphertext that is read from files first, and where pieces are lost computed from `sources`: one trip off the event
   * loop for all of it. The pieces make up the ciphertext in order, and the files stay open until the promise settles. The ciphertext's
   * memory stays as it is.
   * @throws AuthenticationFailed as openChunks; an Error with the system's code when something cannot be read
   */
  readAndOpen(
    request: OpenRequest,
    pieces: readonly (LocalPiece | LostPiece)[],
    sources?: LocalSources,
    signal?: AbortSignal,
  ): Promise<number>;

  /**
   * The digests that `algorithms` names. Views of the engine's memory are not copied. Where it names none, nothing is
   * looked at, copied or sent anywhere.
   */
  createDigester(algorithms: readonly DigestAlgorithm[]): BodyDigester;
  /** The same for small bodies that are in memory whole. */
  digestNow(algorithms: readonly DigestAlgorithm[], bytes: Uint8Array): BodyDigests;

  /** Refuses what is waiting with ShuttingDown, and resolves when what has started is done. */
  close(): Promise<void>;
}
