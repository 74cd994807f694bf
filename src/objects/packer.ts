/**
 * Packs small bodies: what arrives while a stripe is being written goes into the next one together (group commit without a
 * timer), so that k + m fragment writes and one slot serve dozens of objects. Each body stays a stream of its own under its
 * own key; only the stripe is shared.
 *
 * Limits: one stripe in flight; a stripe takes what fits its payload, at most 512 bodies; waiting bodies are bounded by the
 * memory budget of who gathers them (ingest.ts).
 */
import { defined } from '../base/assert.ts';
import {
  CHUNK_PLAINTEXT_BYTES,
  CHUNK_SEALED_BYTES,
  type ChunkKeys,
  sealedRunLength,
} from '../crypto/chunked.ts';
import type { PayloadRange, SealRun, StripeBuffer, StripeStore } from '../stripes/types.ts';
import { SharedStripe, type UnsettledStripes } from './stripehold.ts';

/** As many commits as one slot takes, halved: others commit as well. */
const BODIES_PER_STRIPE_MAX = 512;

export interface PackedBody {
  readonly stripe: SharedStripe;
  readonly range: PayloadRange;
}

interface Waiting {
  readonly plaintext: Uint8Array;
  readonly keys: ChunkKeys;
  readonly resolve: (packed: PackedBody) => void;
  readonly reject: (error: unknown) => void;
}

export class Packer {
  readonly #stripes: StripeStore;
  readonly #unsettled: UnsettledStripes;
  readonly #onSettled: (stripeId: Buffer) => void;
  readonly #payloadBytesMax: number;
  #waiting: Waiting[] = [];
  #running = false;

  /** `onSettled` is told of each shared stripe once all its bodies have committed or failed. */
  constructor(stripes: StripeStore, unsettled: UnsettledStripes, onSettled: (stripeId: Buffer) => void) {
    this.#stripes = stripes;
    this.#unsettled = unsettled;
    this.#onSettled = onSettled;
    this.#payloadBytesMax = (stripes.stripePlaintextBytesMax / CHUNK_PLAINTEXT_BYTES) * CHUNK_SEALED_BYTES;
  }

  /**
   * Resolves when the whole body is sealed on stable storage. `plaintext` must not change until then; it is verified
   * already. The caller must end its share of the stripe (`stripe.member()`).
   */
  pack(plaintext: Uint8Array, keys: ChunkKeys): Promise<PackedBody> {
    const { promise, resolve, reject } = Promise.withResolvers<PackedBody>();
    this.#waiting.push({ plaintext, keys, resolve, reject });
    if (!this.#running) void this.#run();
    return promise;
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      let batch: readonly Waiting[] = [];
      try {
        const buffer = await this.#stripes.acquire();
        batch = this.#takeBatch();
        await this.#write(buffer, batch);
      } catch (error) {
        for (const body of batch.length > 0 ? batch : this.#waiting.splice(0)) body.reject(error);
      }
    }
    this.#running = false;
  }

  /** The longest prefix of the queue that fits one stripe. */
  #takeBatch(): Waiting[] {
    let plaintextBytes = 0;
    let payloadBytes = 0;
    let count = 0;
    for (const { plaintext } of this.#waiting) {
      plaintextBytes += plaintext.length;
      payloadBytes += sealedRunLength(plaintext.length, true);
      const fits =
        plaintextBytes <= this.#stripes.stripePlaintextBytesMax && payloadBytes <= this.#payloadBytesMax;
      if (!fits || count === BODIES_PER_STRIPE_MAX) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  async #write(buffer: StripeBuffer, batch: readonly Waiting[]): Promise<void> {
    try {
      const written = await this.#stripes.write(buffer, placeRuns(buffer.plaintext, batch));
      const stripe = new SharedStripe(this.#stripes, this.#unsettled, written, batch.length, this.#onSettled);
      batch.forEach((body, i) => {
        body.resolve({ stripe, range: defined(written.ranges[i], 'range of a run') });
      });
    } finally {
      buffer.release();
    }
  }
}

function placeRuns(target: Uint8Array, batch: readonly Waiting[]): SealRun[] {
  let at = 0;
  return batch.map(({ plaintext, keys }) => {
    target.set(plaintext, at);
    const run: SealRun = {
      plaintextOffsetBytes: at,
      plaintextLengthBytes: plaintext.length,
      aeadKey: keys.aeadKey,
      baseNonce: keys.baseNonce,
      firstChunkIndex: 0,
      final: true,
    };
    at += plaintext.length;
    return run;
  });
}
