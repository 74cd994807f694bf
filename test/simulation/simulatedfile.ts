/**
 * One file of the simulated disk: what programs see, what is on stable storage, and the unsynced operations between
 * the two. A sector of 512 bytes is written whole or not at all, in any order relative to other sectors, as some
 * past state of the cached sector; the size is metadata of its own. That is what POSIX permits and journalled file
 * systems do without data=journal.
 */
import type { Prng } from './prng.ts';

export const SECTOR_BYTES = 512;

class Content {
  bytes: Buffer = Buffer.alloc(0);
  sizeBytes = 0;

  write(data: Uint8Array, position: number): void {
    const end = position + data.length;
    this.#reserve(end);
    this.bytes.set(data, position);
    this.sizeBytes = Math.max(this.sizeBytes, end);
  }

  resize(sizeBytes: number): void {
    this.#reserve(sizeBytes);
    if (sizeBytes < this.sizeBytes) this.bytes.fill(0, sizeBytes, this.sizeBytes);
    this.sizeBytes = sizeBytes;
  }

  copy(): Content {
    const copy = new Content();
    copy.bytes = Buffer.from(this.bytes.subarray(0, this.sizeBytes));
    copy.sizeBytes = this.sizeBytes;
    return copy;
  }

  #reserve(sizeBytes: number): void {
    if (sizeBytes <= this.bytes.length) return;
    const grown = Buffer.alloc(Math.max(sizeBytes, this.bytes.length * 2, 4096));
    this.bytes.copy(grown);
    this.bytes = grown;
  }
}

interface Operation {
  readonly kind: 'write' | 'resize';
  readonly position: number;
  readonly data: Uint8Array;
  readonly sizeAfterBytes: number;
}

export interface Loss {
  readonly kind: 'everything' | 'nothing' | 'sectors' | 'recent';
}

function apply(content: Content, operation: Operation): void {
  if (operation.kind === 'write') content.write(operation.data, operation.position);
  else content.resize(operation.position);
}

/** Applies to one sector of `content` what `operation` did to that sector. The size is left alone. */
function applyToSector(content: Content, operation: Operation, sector: number): void {
  const from = sector * SECTOR_BYTES;
  const to = Math.min(from + SECTOR_BYTES, content.bytes.length);
  if (operation.kind === 'resize') {
    content.bytes.fill(0, Math.min(to, Math.max(from, operation.position)), to);
    return;
  }
  const start = Math.max(from, operation.position);
  const end = Math.min(to, operation.position + operation.data.length);
  if (start < end) {
    content.bytes.set(operation.data.subarray(start - operation.position, end - operation.position), start);
  }
}

export class SimulatedInode {
  readonly cached: Content;
  readonly #durable: Content;
  #unsynced: Operation[] = [];
  /** Byte ranges [from, to) that cannot be read until they are written again. */
  badRanges: { from: number; to: number }[] = [];

  constructor(content: Content = new Content()) {
    this.cached = content;
    this.#durable = content.copy();
  }

  write(data: Uint8Array, position: number): void {
    const copy = Uint8Array.from(data);
    this.cached.write(copy, position);
    this.badRanges = this.badRanges.filter((r) => r.from < position || r.to > position + copy.length);
    this.#unsynced.push({ kind: 'write', position, data: copy, sizeAfterBytes: this.cached.sizeBytes });
  }

  resize(sizeBytes: number): void {
    this.cached.resize(sizeBytes);
    this.#unsynced.push({
      kind: 'resize',
      position: sizeBytes,
      data: new Uint8Array(0),
      sizeAfterBytes: sizeBytes,
    });
  }

  sync(): void {
    for (const operation of this.#unsynced) apply(this.#durable, operation);
    this.#unsynced = [];
  }

  /**
   * A failed fsync: the pages are marked clean although they never reached the disk. Some are dropped from the cache,
   * so that reads show the old bytes; the others stay visible until the power goes.
   */
  failSync(prng: Prng): void {
    const lost = this.#unsynced;
    this.#unsynced = [];
    if (!prng.chance(0.5)) return;
    for (const operation of lost) {
      if (operation.kind === 'resize') continue;
      for (const sector of this.#sectorsOf(operation)) {
        if (!prng.chance(0.5)) continue;
        const from = sector * SECTOR_BYTES;
        const to = Math.min(from + SECTOR_BYTES, this.cached.sizeBytes);
        if (from < to) this.cached.bytes.fill(0, from, to);
        if (from < Math.min(to, this.#durable.sizeBytes)) {
          this.#durable.bytes.copy(this.cached.bytes, from, from, Math.min(to, this.#durable.sizeBytes));
        }
      }
    }
  }

  /** A rotten sector: what is on stable storage changes, and with it what is read. */
  flipBit(position: number, bit: number): void {
    for (const content of [this.cached, this.#durable]) {
      if (position < content.sizeBytes) content.bytes[position] = content.bytes[position]! ^ (1 << bit);
    }
  }

  /** The file as found after the power came back. */
  afterPowerCut(loss: Loss, prng: Prng): SimulatedInode {
    const result = this.#durable.copy();
    const operations = this.#unsynced;
    if (loss.kind === 'nothing') {
      for (const operation of operations) apply(result, operation);
    } else if (loss.kind !== 'everything' && operations.length > 0) {
      const certain = loss.kind === 'recent' ? prng.below(operations.length) : 0;
      for (const operation of operations.slice(0, certain)) apply(result, operation);
      this.#applySome(result, operations.slice(certain), prng);
    }
    const inode = new SimulatedInode(result);
    inode.badRanges = this.badRanges.map((range) => ({ ...range }));
    return inode;
  }

  #applySome(result: Content, operations: readonly Operation[], prng: Prng): void {
    const sizes = [result.sizeBytes, ...operations.map((operation) => operation.sizeAfterBytes)];
    const finalSizeBytes = prng.chance(0.5) ? sizes.at(-1)! : prng.pick(sizes);
    const bySector = new Map<number, Operation[]>();
    const beforeBytes = result.sizeBytes;
    result.resize(Math.max(beforeBytes, ...sizes));
    for (const operation of operations) {
      for (const sector of this.#sectorsOf(operation)) {
        const list = bySector.get(sector);
        if (list) list.push(operation);
        else bySector.set(sector, [operation]);
      }
    }
    const survival = prng.pick([0.1, 0.5, 0.9, 0.99]);
    for (const [sector, list] of bySector) {
      const count = prng.chance(survival) ? list.length : prng.below(list.length);
      for (const operation of list.slice(0, count)) applyToSector(result, operation, sector);
    }
    result.resize(finalSizeBytes);
  }

  *#sectorsOf(operation: Operation): Generator<number> {
    const end =
      operation.kind === 'write' ? operation.position + operation.data.length : this.cached.bytes.length;
    for (let s = Math.floor(operation.position / SECTOR_BYTES); s * SECTOR_BYTES < end; s++) yield s;
  }
}
