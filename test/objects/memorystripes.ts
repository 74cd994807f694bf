/**
 * A StripeStore in memory: it really seals and opens, counts what is held, and poisons memory that was given back, so that a
 * use after release is seen. Stripes are small, so that a few hundred KiB already make a large object.
 */
import { assert } from '../../src/base/assert.ts';
import { mapKey } from '../../src/base/bytes.ts';
import { HoldfastError } from '../../src/base/errors.ts';
import { Gate } from '../../src/base/limits.ts';
import type { Random } from '../../src/base/random.ts';
import { createBodyDigest } from '../../src/coding/digest.ts';
import type { DigestAlgorithm } from '../../src/coding/digests.ts';
import {
  CHUNK_PLAINTEXT_BYTES,
  CHUNK_SEALED_BYTES,
  openRun,
  sealedRunLength,
  sealRun,
  TAG_BYTES,
} from '../../src/crypto/chunked.ts';
import { RECORD_FORMAT, type StripeRecord } from '../../src/metadata/records.ts';
import type {
  BodyDigester,
  OpenedPiece,
  OpenRun,
  PayloadRange,
  PayloadSource,
  SealRun,
  StripeBuffer,
  StripeStore,
  WrittenStripe,
} from '../../src/stripes/types.ts';

const POISON = 0xee;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

export interface MemoryStripesOptions {
  readonly random: Random;
  readonly chunksPerStripe?: number;
  readonly openChunksMax?: number;
  readonly buffers?: number;
}

export class MemoryStripes implements StripeStore {
  readonly stripePlaintextBytesMax: number;
  readonly openChunksMax: number;
  readonly payloads = new Map<string, Buffer>();
  readonly inFlight = new Set<string>();
  readonly pinned = new Map<string, number>();
  readonly pool: Gate;
  /** Called before each write; may throw or wait. */
  beforeWrite: (runs: readonly SealRun[]) => Promise<void> | void = () => {};
  beforeOpen: (run: OpenRun) => Promise<void> | void = () => {};
  writes = 0;
  opens = 0;
  openPieces = 0;
  openPiecesMax = 0;
  digesters = 0;
  /** What each digester was asked for. */
  readonly digested: (readonly DigestAlgorithm[])[] = [];
  onDamage = () => {};
  readonly #random: Random;

  constructor({ random, chunksPerStripe = 8, openChunksMax = 3, buffers = 6 }: MemoryStripesOptions) {
    this.#random = random;
    this.stripePlaintextBytesMax = chunksPerStripe * CHUNK_PLAINTEXT_BYTES;
    this.openChunksMax = openChunksMax;
    this.pool = new Gate('test stripes', buffers);
  }

  get payloadBytesMax(): number {
    return (this.stripePlaintextBytesMax / CHUNK_PLAINTEXT_BYTES) * CHUNK_SEALED_BYTES + TAG_BYTES;
  }

  async acquire(signal?: AbortSignal): Promise<StripeBuffer> {
    await this.pool.acquire(1, signal);
    const plaintext = new Uint8Array(this.stripePlaintextBytesMax).fill(POISON);
    let released = false;
    return {
      plaintext,
      release: () => {
        assert(!released, 'a stripe buffer is released once');
        released = true;
        plaintext.fill(POISON);
        this.pool.release();
      },
    };
  }

  createDigester(algorithms: readonly DigestAlgorithm[]): BodyDigester {
    const digest = createBodyDigest(algorithms);
    this.digesters += 1;
    this.digested.push(algorithms);
    let open = true;
    const end = () => {
      assert(open, 'a digester ends once');
      open = false;
      this.digesters -= 1;
    };
    return {
      update: async (bytes) => {
        assert(open, 'no update after the end');
        await turn();
        digest.update(bytes);
      },
      digest: async () => {
        end();
        return digest.digest();
      },
      abandon: end,
    };
  }

  async write(buffer: StripeBuffer, runs: readonly SealRun[]): Promise<WrittenStripe> {
    this.writes += 1;
    await this.beforeWrite(runs);
    const pieces: Buffer[] = [];
    const ranges: PayloadRange[] = [];
    let at = 0;
    for (const run of runs) {
      const from = run.plaintextOffsetBytes;
      const plaintext = buffer.plaintext.subarray(from, from + run.plaintextLengthBytes);
      const sealed = Buffer.alloc(sealedRunLength(plaintext.length, run.final));
      sealRun(run, run.firstChunkIndex, plaintext, run.final, sealed);
      pieces.push(sealed);
      ranges.push({ offsetBytes: at, lengthBytes: sealed.length });
      at += sealed.length;
    }
    await turn();
    return this.#store(Buffer.concat(pieces), ranges);
  }

  async copyPayload(sources: readonly PayloadSource[]): Promise<WrittenStripe> {
    const ranges: PayloadRange[] = [];
    let at = 0;
    const pieces = sources.map(({ stripeId, offsetBytes, lengthBytes }) => {
      ranges.push({ offsetBytes: at, lengthBytes });
      at += lengthBytes;
      return this.#payload(stripeId).subarray(offsetBytes, offsetBytes + lengthBytes);
    });
    await turn();
    return this.#store(Buffer.concat(pieces), ranges);
  }

  #store(payload: Buffer, ranges: readonly PayloadRange[]): WrittenStripe {
    assert(payload.length <= this.payloadBytesMax, 'the payload fits a stripe');
    const stripeId = this.#random.bytes(16);
    const record: StripeRecord = {
      v: RECORD_FORMAT,
      codec: 1,
      k: 4,
      m: 2,
      generation: 1,
      fragmentLengthBytes: Math.ceil(payload.length / 4 / 64) * 64,
      stripeLengthBytes: payload.length,
      nodes: [1, 2, 3, 4, 5, 6],
      good: Buffer.of(0x3f),
      createdMs: 0,
    };
    this.payloads.set(mapKey(stripeId), payload);
    this.inFlight.add(mapKey(stripeId));
    return { stripeId, record, ranges };
  }

  #payload(stripeId: Buffer): Buffer {
    const payload = this.payloads.get(mapKey(stripeId));
    if (payload === undefined) throw new HoldfastError('DataUnavailable', { detail: 'no such stripe' });
    return payload;
  }

  settle(stripeId: Buffer): void {
    assert(this.inFlight.delete(mapKey(stripeId)), 'only a stripe in flight is settled');
  }

  abandon({ stripeId }: WrittenStripe): void {
    assert(this.inFlight.delete(mapKey(stripeId)), 'only a stripe in flight is abandoned');
    this.payloads.delete(mapKey(stripeId));
  }

  async open(run: OpenRun, signal?: AbortSignal): Promise<OpenedPiece> {
    this.opens += 1;
    await this.beforeOpen(run);
    await turn();
    signal?.throwIfAborted();
    assert(
      run.chunkCount >= 1 && run.chunkCount <= this.openChunksMax,
      'a window has a bounded count of chunks',
    );
    assert(this.pinned.has(mapKey(run.stripeId)), 'a stripe is pinned while it is read');
    const payload = this.#payload(run.stripeId);
    const lengthBytes = (run.chunkCount - 1) * CHUNK_SEALED_BYTES + run.lastChunkLengthBytes;
    const sealed = payload.subarray(run.payloadOffsetBytes, run.payloadOffsetBytes + lengthBytes);
    assert(sealed.length === lengthBytes, 'a window lies inside the payload');
    const memory = new Uint8Array(run.chunkCount * CHUNK_PLAINTEXT_BYTES);
    const plaintext = memory.subarray(0, openRun(run, run.firstChunkIndex, sealed, run.final, memory));
    this.openPieces += 1;
    this.openPiecesMax = Math.max(this.openPiecesMax, this.openPieces);
    let released = false;
    return {
      plaintext,
      release: () => {
        assert(!released, 'a piece is released once');
        released = true;
        this.openPieces -= 1;
        memory.fill(POISON);
      },
    };
  }

  pin(stripeId: Buffer): () => void {
    const key = mapKey(stripeId);
    this.pinned.set(key, (this.pinned.get(key) ?? 0) + 1);
    return () => {
      const count = (this.pinned.get(key) ?? 0) - 1;
      assert(count >= 0, 'a pin ends once');
      if (count === 0) this.pinned.delete(key);
      else this.pinned.set(key, count);
    };
  }
}
