/**
 * Fixed pools of memory. Writing, reading, degraded reading and healing each have their own, so that slow uploads never
 * hold up reads or repair. A buffer is made when it is first needed and then kept; the most recently released is given out
 * first, so that a quiet server touches few. Its pages count only once they are written to: the part of a write buffer that only
 * a narrower stripe needs costs nothing until there is one.
 */
import { assert, defined } from '../../base/assert.ts';
import { Gate } from '../../base/limits.ts';
import { CHUNK_PLAINTEXT_BYTES, CHUNK_SEALED_BYTES } from '../../crypto/chunked.ts';
import { fragmentAreaBytesMax, stripePlaintextBytesMax } from '../shape.ts';
import type { Profile } from '../types.ts';
import type { BufferCounts, PooledBuffer, ReadBuffer, RepairBuffer, WriteBuffer } from './types.ts';

/** Chunks of one window of a read: 1 MiB of plaintext. */
export const OPEN_CHUNKS_MAX = 64;

/**
 * What is in use at 4 + 2 (more is reserved): about 120 MiB for writing, 96 for reading and 44 for decoding, so that the whole server stays under 512 MiB. Each
 * upload under way holds a write buffer, each download that is being sent a read buffer.
 */
export const defaultBufferCounts: BufferCounts = { write: 12, read: 48, rescue: 4, repair: 3 };

const SPARE_COUNT = 4;
/**
 * Buffers that late reads and writes still use and that the pool has replaced. A node that stops answering holds at most what was under
 * way in it and the few late exchanges that the grid allows; this is room for two such nodes at once. With more, places are missing.
 */
const RETIRED_PER_PLACE = 2;
const RETIRED_MIN = 8;

/** Makes the memory of a pool's area; see BaseEngine. */
export type Allocate = (bytes: number) => ArrayBuffer | SharedArrayBuffer;

/** Memory that threads of JavaScript share. */
export const allocateShared: Allocate = (bytes) => new SharedArrayBuffer(bytes);

/** `count` equal areas, given out in order of asking. */
class MemoryPool {
  readonly #gate: Gate;
  readonly #areaBytes: number;
  readonly #retiredMax: number;
  readonly #allocate: Allocate;
  readonly #free: (ArrayBuffer | SharedArrayBuffer)[] = [];
  #retired = 0;

  constructor(name: string, count: number, areaBytes: number, allocate: Allocate) {
    this.#allocate = allocate;
    this.#gate = new Gate(name, count);
    this.#areaBytes = areaBytes;
    this.#retiredMax = RETIRED_PER_PLACE * count + RETIRED_MIN;
  }

  /** Areas that were replaced and are still in use. */
  get retired(): number {
    return this.#retired;
  }

  /** Areas that nobody holds. */
  get available(): number {
    return this.#gate.available;
  }

  async acquire(
    signal?: AbortSignal,
  ): Promise<PooledBuffer & { readonly memory: ArrayBuffer | SharedArrayBuffer }> {
    await this.#gate.acquire(1, signal);
    const memory = this.#free.pop() ?? this.#allocate(this.#areaBytes);
    let held = true;
    const giveUp = () => {
      assert(held, `${this.#gate.name}: released twice`);
      held = false;
    };
    const release = () => {
      giveUp();
      this.#free.push(memory);
      this.#gate.release();
    };
    const releaseAfter = (settled: Promise<unknown>) => {
      giveUp();
      void this.#await(settled, memory);
    };
    return { memory, release, releaseAfter };
  }

  async #await(settled: Promise<unknown>, memory: ArrayBuffer | SharedArrayBuffer): Promise<void> {
    const retires = this.#retired < this.#retiredMax;
    if (retires) {
      this.#retired += 1;
      this.#gate.release();
    }
    await settled.catch(() => undefined);
    if (retires) this.#retired -= 1;
    else {
      this.#free.push(memory);
      this.#gate.release();
    }
  }
}

type PoolName = keyof BufferCounts;

export class StripeMemory {
  readonly #plaintextBytes: number;
  readonly #pools: Readonly<Record<PoolName, MemoryPool>>;

  constructor(profile: Profile, counts: BufferCounts = defaultBufferCounts, allocate = allocateShared) {
    const { k, m } = profile;
    this.#plaintextBytes = stripePlaintextBytesMax(k);
    const fragmentBytes = fragmentAreaBytesMax(k, m);
    const windowBytes = OPEN_CHUNKS_MAX * (CHUNK_SEALED_BYTES + CHUNK_PLAINTEXT_BYTES);
    this.#pools = {
      write: new MemoryPool('write buffers', counts.write, this.#plaintextBytes + fragmentBytes, allocate),
      read: new MemoryPool('read buffers', counts.read, windowBytes, allocate),
      rescue: new MemoryPool('rescue buffers', counts.rescue, fragmentBytes, allocate),
      repair: new MemoryPool('repair buffers', counts.repair, fragmentBytes, allocate),
      spare: new MemoryPool('spare buffers', counts.spare ?? SPARE_COUNT, fragmentBytes, allocate),
    };
  }

  /** Buffers that nobody holds, of one pool. */
  available(pool: PoolName): number {
    return defined(this.#pools[pool]).available;
  }

  /** Buffers of one pool that were replaced because late exchanges still use them. */
  retired(pool: PoolName): number {
    return this.#pools[pool].retired;
  }

  async acquireWrite(signal?: AbortSignal): Promise<WriteBuffer> {
    const { memory, release, releaseAfter } = await this.#pools.write.acquire(signal);
    return {
      plaintext: new Uint8Array(memory, 0, this.#plaintextBytes),
      fragments: new Uint8Array(memory, this.#plaintextBytes),
      release,
      releaseAfter,
    };
  }

  async acquireRead(signal?: AbortSignal): Promise<ReadBuffer> {
    const { memory, release, releaseAfter } = await this.#pools.read.acquire(signal);
    const plaintextBytes = OPEN_CHUNKS_MAX * CHUNK_PLAINTEXT_BYTES;
    return {
      plaintext: new Uint8Array(memory, 0, plaintextBytes),
      ciphertext: new Uint8Array(memory, plaintextBytes),
      release,
      releaseAfter,
    };
  }

  async acquireRepair(pool: 'rescue' | 'repair' | 'spare', signal?: AbortSignal): Promise<RepairBuffer> {
    const { memory, release, releaseAfter } = await this.#pools[pool].acquire(signal);
    return { fragments: new Uint8Array(memory), release, releaseAfter };
  }
}
