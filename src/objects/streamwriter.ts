/**
 * Writes a large body: cuts it into stripe payloads under one stream of chunks. While a stripe is on its way to the nodes the
 * next one fills; at most three stripe buffers belong to one upload. Digests run beside the sealing, in order.
 *
 * Stripe buffers are few, and clients may be slow. So a client proves itself first: what it sends is gathered, up to 1 MiB,
 * in memory of a budget of its own, and copied into a stripe buffer when it is complete. Who is fast enough then fills
 * stripe buffers directly, for at most half a second each; whose buffer is not full by then gets a shorter stripe, and
 * has to prove itself again. Thus no client can keep a buffer from others by sending slowly.
 */
import { defined } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Gate } from '../base/limits.ts';
import { MIB } from '../base/units.ts';
import { CHUNK_PLAINTEXT_BYTES, type ChunkKeys } from '../crypto/chunked.ts';
import type { Extent } from '../metadata/records.ts';
import type { BodyDigester, StripeBuffer, StripeStore, WrittenStripe } from '../stripes/types.ts';
import type { BodyReader, FillDeadline } from './bodyreader.ts';

/** One fills while two are written. */
const STRIPES_IN_FLIGHT_MAX = 2;
const HEAD_BYTES = MIB;
/** 4 MiB/s: whoever needs longer for a head gets stripes of that size. */
const HEAD_MS_MAX = 250;
const FILL_MS_MAX = 500;

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

export interface StreamWriterParts {
  readonly stripes: StripeStore;
  readonly clock: Clock;
  /** Bytes of heads being gathered, for all uploads. */
  readonly heads: Gate;
}

/** On failure everything written is abandoned and the error passed on. The digester stays the caller's. */
export async function writeStream(
  parts: StreamWriterParts,
  source: StreamSource,
  keys: ChunkKeys,
  digester: BodyDigester,
): Promise<WrittenStream> {
  const writer = new StreamWriter(parts, source, keys, digester);
  try {
    await writer.run();
    return writer.result();
  } catch (error) {
    await writer.abandon();
    throw error;
  }
}

interface Filled {
  readonly buffer: StripeBuffer;
  readonly lengthBytes: number;
}

interface FilledStripe extends Filled {
  /** Whether the stream ends here; if not, the length is whole chunks. */
  readonly final: boolean;
}

class StreamWriter {
  readonly #parts: StreamWriterParts;
  readonly #stripes: StripeStore;
  readonly #source: StreamSource;
  readonly #keys: ChunkKeys;
  readonly #digester: BodyDigester;
  readonly #written: WrittenStripe[] = [];
  readonly #inFlight: Promise<void>[] = [];
  #digested: Promise<void> = Promise.resolve();
  #sizeBytes = 0;
  #isFast = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(parts: StreamWriterParts, source: StreamSource, keys: ChunkKeys, digester: BodyDigester) {
    this.#parts = parts;
    this.#stripes = parts.stripes;
    this.#source = source;
    this.#keys = keys;
    this.#digester = digester;
  }

  async run(): Promise<void> {
    const { lengthBytes } = this.#source;
    let final = false;
    for (let index = 0; !final; ) {
      if (this.#inFlight.length >= STRIPES_IN_FLIGHT_MAX) await this.#inFlight.shift();
      this.#throwFailure();
      const filled = await this.#fillStripe();
      const stripe = filled && (await this.#findEnd(filled));
      if (stripe === undefined) continue;
      final = stripe.final;
      const firstByte = this.#sizeBytes;
      this.#sizeBytes += stripe.lengthBytes;
      this.#inFlight.push(this.#write(stripe, index, firstByte));
      index += 1;
    }
    await Promise.all(this.#inFlight.splice(0));
    this.#throwFailure();
    if (lengthBytes !== undefined && this.#sizeBytes !== lengthBytes)
      throw new HoldfastError('IncompleteBody');
  }

  /**
   * Whether the body ends with these bytes. Where only the next byte can tell and it does not come in time, the last chunk goes
   * back to the reader and the rest is written without it; undefined when nothing else is left.
   */
  async #findEnd(filled: Filled): Promise<FilledStripe | undefined> {
    const { buffer, lengthBytes } = filled;
    const { reader, lengthBytes: announcedBytes } = this.#source;
    const moreIsCertain = announcedBytes !== undefined && this.#sizeBytes + lengthBytes < announcedBytes;
    if (lengthBytes % CHUNK_PLAINTEXT_BYTES === 0 && moreIsCertain) return { ...filled, final: false };
    const timer = this.#deadline(FILL_MS_MAX);
    try {
      const atEnd = await Promise.race([reader.atEnd(), timer.passed]);
      if (atEnd !== undefined) return { ...filled, final: atEnd };
      const chunksBefore = Math.max(0, Math.ceil(lengthBytes / CHUNK_PLAINTEXT_BYTES) - 1);
      const rest = this.#cutShort(buffer, lengthBytes, chunksBefore * CHUNK_PLAINTEXT_BYTES);
      return rest && { ...rest, final: false };
    } catch (error) {
      buffer.release();
      throw error;
    } finally {
      timer.cancel();
    }
  }

  /** The next stripe's bytes: whole chunks, or up to the end of the body. Undefined: not even one chunk came in time. */
  async #fillStripe(): Promise<Filled | undefined> {
    const head = this.#isFast ? undefined : await this.#gatherHead();
    if (head !== undefined && !this.#isFast) return head;
    const { reader, signal } = this.#source;
    if (head === undefined) await reader.atEnd();
    const buffer = head?.buffer ?? (await this.#stripes.acquire(signal));
    const headBytes = head?.lengthBytes ?? 0;
    const timer = this.#deadline(FILL_MS_MAX);
    try {
      const room = buffer.plaintext.subarray(headBytes, this.#stripes.stripePlaintextBytesMax);
      const lengthBytes = headBytes + (await reader.fill(room, timer));
      const isLate = timer.hasPassed() && lengthBytes < this.#stripes.stripePlaintextBytesMax;
      if (!isLate) return { buffer, lengthBytes };
      return this.#cutShort(buffer, lengthBytes, lengthBytes - (lengthBytes % CHUNK_PLAINTEXT_BYTES));
    } catch (error) {
      buffer.release();
      throw error;
    } finally {
      timer.cancel();
    }
  }

  /** Keeps the first `keptBytes`, whole chunks; what is behind them goes back to the reader. */
  #cutShort(buffer: StripeBuffer, lengthBytes: number, keptBytes: number): Filled | undefined {
    this.#isFast = false;
    this.#source.reader.prepend(Buffer.from(buffer.plaintext.subarray(keptBytes, lengthBytes)));
    if (keptBytes > 0) return { buffer, lengthBytes: keptBytes };
    buffer.release();
    return undefined;
  }

  /** Up to 1 MiB, gathered outside the stripe buffers and then copied into one. Decides whether the client is fast. */
  async #gatherHead(): Promise<Filled> {
    const { reader, signal } = this.#source;
    const { heads, clock } = this.#parts;
    const roomBytes = Math.min(HEAD_BYTES, this.#stripes.stripePlaintextBytesMax);
    await reader.atEnd();
    await heads.acquire(roomBytes, signal);
    try {
      const startedMs = clock.monotonicMs();
      const memory = Buffer.allocUnsafeSlow(roomBytes);
      const lengthBytes = await reader.fill(memory);
      const tookMs = clock.monotonicMs() - startedMs;
      this.#isFast = lengthBytes === roomBytes && tookMs <= HEAD_MS_MAX;
      const buffer = await this.#stripes.acquire(signal);
      buffer.plaintext.set(memory.subarray(0, lengthBytes));
      return { buffer, lengthBytes };
    } finally {
      heads.release(roomBytes);
    }
  }

  #deadline(delayMs: number): FillDeadline & { hasPassed(): boolean; cancel(): void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    let hasPassed = false;
    const timer = this.#parts.clock.schedule(delayMs, () => {
      hasPassed = true;
      resolve();
    });
    const dueMs = this.#parts.clock.monotonicMs() + delayMs;
    const leftMs = () => Math.max(0, Math.ceil(dueMs - this.#parts.clock.monotonicMs()));
    return { passed: promise, leftMs, hasPassed: () => hasPassed, cancel: () => timer.cancel() };
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Never rejects: the first failure is kept for the loop to see. The buffer is released when nobody reads it any more. */
  async #write(
    { buffer, lengthBytes, final }: FilledStripe,
    index: number,
    firstByte: number,
  ): Promise<void> {
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
        firstChunkIndex: firstByte / CHUNK_PLAINTEXT_BYTES,
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
