/**
 * The words of the stripe layer. A stripe is a durable blob: written once, complete on n nodes before anyone knows of
 * it, verified, healed, deleted. It knows no object names and keeps no keys.
 */
import type { BodyDigests, DigestAlgorithm } from '../coding/digests.ts';
import type { StripeRecord } from '../metadata/records.ts';

/** Position with index 0 (design/commits.md, "Names"): 16 bytes, the stripe's identity in metadata. */
export type StripeId = Buffer;

/** Geometry of the stripes written from now on. */
export interface Profile {
  readonly k: number;
  readonly m: number;
  readonly codecId: number;
}

/** Consecutive plaintext bytes of one chunked-encryption stream that go into one stripe. */
export interface SealRun {
  /** Where the bytes lie in the buffer's `plaintext`. */
  readonly plaintextOffsetBytes: number;
  readonly plaintextLengthBytes: number;
  /** The stream's AEAD key (32 bytes) and base nonce (12 bytes), from `deriveStreamKeys`. */
  readonly aeadKey: Uint8Array;
  readonly baseNonce: Uint8Array;
  /** Counter of the run's first chunk. */
  readonly firstChunkIndex: number;
  /** Whether the stream ends here. If not, the length is a multiple of 16,384. */
  readonly final: boolean;
}

/** Where sealed bytes of a run lie in the stripe's payload. */
export interface PayloadRange {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** Memory of one stripe, from a fixed pool. Whoever holds it must release it exactly once. */
export interface StripeBuffer {
  /** Room for the plaintext of a full stripe (4 MiB at k = 4). Filled by the writer, or by `open`. */
  readonly plaintext: Uint8Array;
  release(): void;
}

export interface WrittenStripe {
  readonly stripeId: StripeId;
  readonly record: StripeRecord;
  /** One per run, in order. */
  readonly ranges: readonly PayloadRange[];
}

/** Digests of one body, computed off the event loop beside the sealing, fed in order. */
export interface BodyDigester {
  /** Resolves when the bytes have been taken in and may change again. */
  update(bytes: Uint8Array): Promise<void>;
  digest(): Promise<BodyDigests>;
  /** Frees the state when no digest is wanted any more. */
  abandon(): void;
}

/** A contiguous piece of one stream's ciphertext inside one stripe that a read asks for; whole chunks. */
export interface OpenRun {
  readonly stripeId: StripeId;
  readonly record: StripeRecord;
  /** Payload offset of the first chunk wanted. */
  readonly payloadOffsetBytes: number;
  readonly chunkCount: number;
  /** Sealed length of the last of these chunks (16,400, or less at the stream's end). */
  readonly lastChunkLengthBytes: number;
  readonly aeadKey: Uint8Array;
  readonly baseNonce: Uint8Array;
  readonly firstChunkIndex: number;
  /** Whether the last of these chunks is the stream's last. */
  readonly final: boolean;
}

/** Sealed bytes in a stripe that are to be kept elsewhere: whole extents, as they are. */
export interface PayloadSource {
  readonly stripeId: StripeId;
  readonly record: StripeRecord;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** Plaintext of an OpenRun in pooled memory; valid until released. */
export interface OpenedPiece {
  readonly plaintext: Uint8Array;
  release(): void;
}

export interface StripeStore {
  /** Plaintext bytes of a full stripe: k·⌊256/k⌋ chunks of 16 KiB. */
  readonly stripePlaintextBytesMax: number;
  /** At most this many chunks per OpenRun, so that a slow reader holds little memory. */
  readonly openChunksMax: number;
  /** Waits for pooled memory: this is the backpressure of uploads. Rejects when `signal` aborts. */
  acquire(signal?: AbortSignal): Promise<StripeBuffer>;
  /** The digests that `algorithms` names; where it names none, nothing is computed. */
  createDigester(algorithms: readonly DigestAlgorithm[]): BodyDigester;
  /**
   * Seals the runs, encodes, hashes, and writes all n fragments to n nodes; resolves when all are on stable storage
   * (completeness before the answer: design/commits.md, "Data stripes"). The stripe is in flight — no orphan sweep
   * touches it — until `settle` or `abandon`. The buffer may be reused when this resolves or rejects.
   * @throws GridUnavailable when fewer than m + 1 nodes can take it, InsufficientStorage when they are full
   */
  write(buffer: StripeBuffer, runs: readonly SealRun[]): Promise<WrittenStripe>;
  /**
   * Copies sealed bytes into a new stripe without opening them; `ranges` of the result has one entry per source, in order.
   * Together at most k·⌊256/k⌋ · 16,400 bytes. In flight until `settle` or `abandon`, as with `write`. What is copied is
   * verified by the fragments' roots, since no key is at hand.
   * @throws DataUnavailable when a source cannot be read, and as `write`
   */
  copyPayload(sources: readonly PayloadSource[]): Promise<WrittenStripe>;
  /** The stripe is committed: its record is in the metadata. */
  settle(stripeId: StripeId): void;
  /** The stripe will never be committed: its fragments are deleted in the background, whatever answers. */
  abandon(stripe: WrittenStripe): void;
  /**
   * Reads, decrypts and authenticates. Takes the cheapest fragments, trusts the AEAD, falls over to parity on error,
   * bad tag or deadline, and reports what was bad to `onDamage`.
   * @throws DataUnavailable when fewer than k intact fragments answer
   */
  open(run: OpenRun, signal?: AbortSignal): Promise<OpenedPiece>;
  /** Protects a stripe from deletion while it is being read; returns the function that ends it. */
  pin(stripeId: StripeId): () => void;
  /** Called for every fragment found bad or missing while reading. Set once by healing. */
  onDamage: (stripeId: StripeId, index: number, reason: 'missing' | 'corrupt') => void;
}
