/**
 * Writes a large body: cuts it into stripe payloads under one stream of chunks. While a stripe is on its way to the nodes the
 * next one fills; at most three stripe buffers belong to one upload, and none while the client has not sent a byte for it.
 * Digests run beside the sealing, in order.
 */
import { defined } from '../base/assert.ts';
import { HoldfastError } from '../base/errors.ts';
import { CHUNK_PLAINTEXT_BYTES, type ChunkKeys } from '../crypto/chunked.ts';
import type { Extent } from '../metadata/records.ts';
import type { BodyDigester, StripeBuffer, StripeStore, WrittenStripe } from '../stripes/types.ts';
import type { BodyReader } from './bodyreader.ts';

/** One fills while two are written. */
const STRIPES_IN_FLIGHT_MAX = 2;

export interface WrittenStream {
  readonly sizeBytes: number;
  readonly extents: readonly Extent[];
  readonly written: readonly WrittenStripe[];
}

export interface StreamSource {
  readonly reader: BodyReader;
  /** Announced length; undefined when unknown. */
  readonly lengthBytes: number | undefined;
  readonly signal: AbortSignal;
}

/** On failure everything written is abandoned and the error passed on. The digester stays the caller's. */
export async function writeStream(
  stripes: StripeStore,
  source: StreamSource,
  keys: ChunkKeys,
  digester: BodyDigester,
): Promise<WrittenStream> {
  const writer = new StreamWriter(stripes, keys, digester);
  try {
    await writer.run(source);
    return writer.result();
  } catch (error) {
    await writer.abandon();
    throw error;
  }
}

class StreamWriter {
  readonly #stripes: StripeStore;
  readonly #keys: ChunkKeys;
  readonly #digester: BodyDigester;
  readonly #written: WrittenStripe[] = [];
  readonly #inFlight: Promise<void>[] = [];
  #digested: Promise<void> = Promise.resolve();
  #sizeBytes = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(stripes: StripeStore, keys: ChunkKeys, digester: BodyDigester) {
    this.#stripes = stripes;
    this.#keys = keys;
    this.#digester = digester;
  }

  async run({ reader, lengthBytes, signal }: StreamSource): Promise<void> {
    let final = false;
    for (let index = 0; !final; index++) {
      if (this.#inFlight.length >= STRIPES_IN_FLIGHT_MAX) await this.#inFlight.shift();
      await reader.atEnd();
      this.#throwFailure();
      const buffer = await this.#stripes.acquire(signal);
      let filledBytes: number;
      try {
        const room = buffer.plaintext.subarray(0, this.#stripes.stripePlaintextBytesMax);
        filledBytes = await reader.fill(room);
        this.#sizeBytes += filledBytes;
        const moreIsCertain = lengthBytes !== undefined && this.#sizeBytes < lengthBytes;
        final = filledBytes < room.length || (!moreIsCertain && (await reader.atEnd()));
      } catch (error) {
        buffer.release();
        throw error;
      }
      this.#inFlight.push(this.#write(buffer, index, filledBytes, final));
    }
    await Promise.all(this.#inFlight.splice(0));
    this.#throwFailure();
    if (lengthBytes !== undefined && this.#sizeBytes !== lengthBytes)
      throw new HoldfastError('IncompleteBody');
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Never rejects: the first failure is kept for the loop to see. The buffer is released when nobody reads it any more. */
  async #write(buffer: StripeBuffer, index: number, lengthBytes: number, final: boolean): Promise<void> {
    const digested = this.#digested.then(() =>
      this.#digester.update(buffer.plaintext.subarray(0, lengthBytes)),
    );
    this.#digested = digested.catch(() => {});
    const writing = this.#stripes.write(buffer, [
      {
        plaintextOffsetBytes: 0,
        plaintextLengthBytes: lengthBytes,
        aeadKey: this.#keys.aeadKey,
        baseNonce: this.#keys.baseNonce,
        firstChunkIndex: index * (this.#stripes.stripePlaintextBytesMax / CHUNK_PLAINTEXT_BYTES),
        final,
      },
    ]);
    const [written, hashed] = await Promise.allSettled([writing, digested]);
    buffer.release();
    if (written.status === 'fulfilled') this.#written[index] = written.value;
    for (const outcome of [written, hashed]) {
      if (outcome.status === 'rejected') this.#failure ??= { error: outcome.reason };
    }
  }

  result(): WrittenStream {
    const extents = this.#written.map(({ stripeId, ranges }) => ({
      stripeId,
      ...defined(ranges[0], 'range of the run'),
    }));
    return { sizeBytes: this.#sizeBytes, extents, written: this.#written };
  }

  async abandon(): Promise<void> {
    await Promise.all(this.#inFlight);
    // A failed stripe in between leaves a hole in the array.
    for (const stripe of this.#written) if (stripe !== undefined) this.#stripes.abandon(stripe);
  }
}
