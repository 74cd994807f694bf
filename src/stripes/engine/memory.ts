/**
 * Fixed pools of shared memory. Writing, reading, degraded reading and healing each have their own, so that slow uploads never
 * hold up reads or repair. A buffer is made when it is first needed and then kept; the most recently released is given out
 * first, so that a quiet server touches few. Its pages count only once they are written to: the part of a write buffer that only
 * a narrower stripe needs costs nothing until there is one.
 */
import { assert, defined } from '../../base/assert.ts';
import { Gate } from '../../base/limits.ts';
import { CHUNK_PLAINTEXT_BYTES, CHUNK_SEALED_BYTES } from '../../crypto/chunked.ts';
import { fragmentAreaBytesMax, stripePlaintextBytesMax } from '../shape.ts';
import type { Profile } from '../types.ts';
import type { BufferCounts, ReadBuffer, RepairBuffer, WriteBuffer } from './types.ts';

/** Chunks of one window of a read: 1 MiB of plaintext. */
export const OPEN_CHUNKS_MAX = 64;

/**
 * At 4 + 2 about 120 MiB for writing, 96 for reading and 44 for decoding, so that the whole server stays under 512 MiB. Each
 * upload under way holds a write buffer, each download that is being sent a read buffer.
 */
export const defaultBufferCounts: BufferCounts = { write: 12, read: 48, rescue: 4, repair: 3 };

/** `count` equal areas, given out in order of asking. */
class MemoryPool {
  readonly #gate: Gate;
  readonly #areaBytes: number;
  readonly #free: SharedArrayBuffer[] = [];

  constructor(name: string, count: number, areaBytes: number) {
    this.#gate = new Gate(name, count);
    this.#areaBytes = areaBytes;
  }

  /** Areas that nobody holds. */
  get available(): number {
    return this.#gate.available;
  }

  async acquire(
    signal?: AbortSignal,
  ): Promise<{ memory: SharedArrayBuffer; release: () => void; retire: () => void }> {
    await this.#gate.acquire(1, signal);
    const memory = this.#free.pop() ?? new SharedArrayBuffer(this.#areaBytes);
    let held = true;
    const retire = () => {
      assert(held, `${this.#gate.name}: released twice`);
      held = false;
      this.#gate.release();
    };
    const release = () => {
      this.#free.push(memory);
      retire();
    };
    return { memory, release, retire };
  }
}

export class StripeMemory {
  readonly #plaintextBytes: number;
  readonly #pools: Readonly<Record<keyof BufferCounts, MemoryPool>>;

  constructor(profile: Profile, counts: BufferCounts = defaultBufferCounts) {
    const { k, m } = profile;
    this.#plaintextBytes = stripePlaintextBytesMax(k);
    const fragmentBytes = fragmentAreaBytesMax(k, m);
    const windowBytes = OPEN_CHUNKS_MAX * (CHUNK_SEALED_BYTES + CHUNK_PLAINTEXT_BYTES);
    this.#pools = {
      write: new MemoryPool('write buffers', counts.write, this.#plaintextBytes + fragmentBytes),
      read: new MemoryPool('read buffers', counts.read, windowBytes),
      rescue: new MemoryPool('rescue buffers', counts.rescue, fragmentBytes),
      repair: new MemoryPool('repair buffers', counts.repair, fragmentBytes),
    };
  }

  /** Buffers that nobody holds, of one pool. */
  available(pool: keyof BufferCounts): number {
    return defined(this.#pools[pool]).available;
  }

  async acquireWrite(signal?: AbortSignal): Promise<WriteBuffer> {
    const { memory, release, retire } = await this.#pools.write.acquire(signal);
    return {
      plaintext: new Uint8Array(memory, 0, this.#plaintextBytes),
      fragments: new Uint8Array(memory, this.#plaintextBytes),
      release,
      retire,
    };
  }

  async acquireRead(signal?: AbortSignal): Promise<ReadBuffer> {
    const { memory, release } = await this.#pools.read.acquire(signal);
    const plaintextBytes = OPEN_CHUNKS_MAX * CHUNK_PLAINTEXT_BYTES;
    return {
      plaintext: new Uint8Array(memory, 0, plaintextBytes),
      ciphertext: new Uint8Array(memory, plaintextBytes),
      release,
    };
  }

  async acquireRepair(pool: 'rescue' | 'repair', signal?: AbortSignal): Promise<RepairBuffer> {
    const { memory, release } = await this.#pools[pool].acquire(signal);
    return { fragments: new Uint8Array(memory), release };
  }
}
