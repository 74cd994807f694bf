/**
 * From a request body to sealed bytes on the nodes, by size:
 *
 *   up to 32 KiB              gathered, digested and verified inline, then packed with others into one stripe
 *   up to 1 MiB, length known gathered first, so that a slow client holds no stripe buffer
 *   larger, or unknown        cut into stripes (streamwriter.ts)
 *
 * A body of unknown length is gathered up to 32 KiB before it counts as large. What is gathered lies in one bounded memory
 * budget. Large bodies are verified after their last byte, before anything names their stripes.
 */
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import { Gate } from '../base/limits.ts';
import type { Random } from '../base/random.ts';
import { KIB, MIB } from '../base/units.ts';
import { digestNow } from '../coding/digest.ts';
import type { StoredChecksum } from '../metadata/records.ts';
import type { StripeStore } from '../stripes/types.ts';
import { BodyReader, tooLarge } from './bodyreader.ts';
import type { ContentKeys } from './contentkeys.ts';
import type { NewContent } from './contents.ts';
import { digestsFor, etagOfBody } from './etags.ts';
import type { Packer } from './packer.ts';
import { type StreamWriterParts, writeStream } from './streamwriter.ts';
import { noStripes, OwnedStripes, type StripeHold } from './stripehold.ts';
import type { EtagKind, IncomingBody } from './types.ts';

/** design/commits.md: bodies up to here share stripes. */
export const SMALL_BODY_BYTES_MAX = 32 * KIB;
const GATHERED_BODY_BYTES_MAX = MIB;
const GATHER_BUDGET_BYTES = 64 * MIB;
/** Clients slower than 4 MiB/s that send a large body at the same time take turns beyond 48. */
const HEADS_BUDGET_BYTES = 48 * MIB;

export interface StoredBody {
  readonly sizeBytes: number;
  /** Of the kind that was asked for. */
  readonly etag: string;
  readonly checksum: StoredChecksum | undefined;
  /** Absent when the body is empty and the caller wants no content for that. */
  readonly content: NewContent | undefined;
  /** Must be ended by the caller. */
  readonly hold: StripeHold;
}

export interface IngestOptions {
  readonly bucketId: Buffer;
  readonly etags: EtagKind;
  /** EntityTooLarge above it. */
  readonly sizeBytesMax: number;
  /** Parts need a content even when they are empty; versions do not. */
  readonly emptyNeedsContent: boolean;
}

/** A body on its way into stripes. `written` may still be pending for small bodies, whose check is done. */
export interface AcceptedBody {
  readonly written: Promise<StoredBody>;
  /** All of it is read and verified; only the packed stripe is being written. */
  readonly small: boolean;
}

export class Ingest {
  readonly #stripes: StripeStore;
  readonly #contentKeys: ContentKeys;
  readonly #packer: Packer;
  readonly #budget = new Gate('bodies being gathered', GATHER_BUDGET_BYTES);
  readonly #streams: StreamWriterParts;
  readonly #random: Random;

  constructor(stripes: StripeStore, contentKeys: ContentKeys, packer: Packer, clock: Clock, random: Random) {
    this.#stripes = stripes;
    const heads = new Gate('heads of large bodies being gathered', HEADS_BUDGET_BYTES);
    this.#streams = { stripes, clock, heads };
    this.#contentKeys = contentKeys;
    this.#packer = packer;
    this.#random = random;
  }

  /**
   * Resolves when a small body is verified and handed to the packer, or when a large one is written and verified.
   * @throws EntityTooLarge, IncompleteBody, and what the body's iterator and `verify` throw
   */
  async accept(body: IncomingBody, options: IngestOptions): Promise<AcceptedBody> {
    const { lengthBytes, signal } = body;
    if (lengthBytes !== undefined && lengthBytes > options.sizeBytesMax) {
      throw tooLarge(lengthBytes, options.sizeBytesMax);
    }
    const reader = new BodyReader(body, options.sizeBytesMax);
    try {
      if (lengthBytes !== undefined && lengthBytes > GATHERED_BODY_BYTES_MAX) {
        return { small: false, written: Promise.resolve(await this.#storeLarge(reader, body, options)) };
      }
      const roomBytes = lengthBytes ?? SMALL_BODY_BYTES_MAX;
      return await this.#withBudget(roomBytes, signal, (keep) =>
        this.#gather(reader, body, options, roomBytes, keep),
      );
    } catch (error) {
      await reader.cancel();
      throw error;
    }
  }

  /** Holds `bytes` of the budget until `work` settles, or until the promise given to `keep` does. */
  async #withBudget<T>(
    bytes: number,
    signal: AbortSignal,
    work: (keep: (until: Promise<unknown>) => void) => Promise<T>,
  ): Promise<T> {
    if (bytes > 0) await this.#budget.acquire(bytes, signal);
    let until: Promise<unknown> = Promise.resolve();
    try {
      return await work((promise) => {
        until = promise;
      });
    } finally {
      const release = () => bytes > 0 && this.#budget.release(bytes);
      until.then(release, release);
    }
  }

  async #gather(
    reader: BodyReader,
    body: IncomingBody,
    options: IngestOptions,
    roomBytes: number,
    keep: (until: Promise<unknown>) => void,
  ): Promise<AcceptedBody> {
    const memory = Buffer.allocUnsafeSlow(roomBytes);
    const gathered = memory.subarray(0, await reader.fill(memory));
    const whole = await reader.atEnd();
    if (body.lengthBytes !== undefined && (!whole || gathered.length !== body.lengthBytes)) {
      throw new HoldfastError('IncompleteBody');
    }
    if (!whole || gathered.length > SMALL_BODY_BYTES_MAX) {
      reader.prepend(gathered);
      return { small: false, written: Promise.resolve(await this.#storeLarge(reader, body, options)) };
    }
    const digests = digestNow(digestsFor(options.etags, body.algorithms), gathered);
    const facts = {
      sizeBytes: gathered.length,
      checksum: body.verify(digests),
      etag: etagOfBody(options.etags, digests, this.#random),
    };
    if (gathered.length === 0 && !options.emptyNeedsContent) {
      const stored = { ...facts, content: undefined, hold: noStripes };
      return { small: true, written: Promise.resolve(stored) };
    }
    const written = this.#pack(gathered, options.bucketId).then((packed) => ({ ...facts, ...packed }));
    keep(written);
    return { small: true, written };
  }

  async #pack(
    plaintext: Buffer,
    bucketId: Buffer,
  ): Promise<{ readonly content: NewContent; readonly hold: StripeHold }> {
    const key = this.#contentKeys.fresh(bucketId);
    const { stripe, range } = await this.#packer.pack(plaintext, key.keys);
    const extents = [{ stripeId: stripe.stripeId, ...range }];
    return { content: { key, sizeBytes: plaintext.length, extents }, hold: stripe.member() };
  }

  async #storeLarge(reader: BodyReader, body: IncomingBody, options: IngestOptions): Promise<StoredBody> {
    const key = this.#contentKeys.fresh(options.bucketId);
    const digester = this.#stripes.createDigester(digestsFor(options.etags, body.algorithms));
    const source = { reader, lengthBytes: body.lengthBytes, signal: body.signal };
    const stream = await writeStream(this.#streams, source, key.keys, digester).catch((error: unknown) => {
      digester.abandon();
      throw error;
    });
    const hold = new OwnedStripes(this.#stripes, stream.written);
    try {
      const digests = await digester.digest();
      const checksum = body.verify(digests);
      const { sizeBytes, extents } = stream;
      return {
        sizeBytes,
        etag: etagOfBody(options.etags, digests, this.#random),
        checksum,
        content: { key, sizeBytes, extents },
        hold,
      };
    } catch (error) {
      hold.end(false);
      throw error;
    }
  }
}
