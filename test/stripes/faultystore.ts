/**
 * A fragment store that misbehaves on demand, around one that does not: slow, stuck, failing, full, forgetful, or lying. Counts what it
 * was asked. The store inside is the real node, or `MemoryStore` where only timing matters.
 */
import { HoldfastError } from '../../src/base/errors.ts';
import { TRAILER_BYTES } from '../../src/coding/trailer.ts';
import type { FragmentStore, ListPage, NodeHello } from '../../src/node/fragmentstore.ts';

/** A fault may wait, throw, or answer 'drop': the call then reports success and does nothing. */
type Fault = (name: Uint8Array) => Promise<'drop' | undefined>;
/** Changes what was read: `stored` is the whole read, at `offsetBytes` of the fragment. */
type Lie = (bytes: Uint8Array, offsetBytes: number, name: Uint8Array) => void;

export interface AskedRead {
  readonly name: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

export class FaultyStore implements FragmentStore {
  readonly inner: FragmentStore;
  faults: { put?: Fault; read?: Fault; delete?: Fault; verify?: Fault; hello?: Fault } = {};
  lie: Lie | undefined;
  /** Reads under another name. */
  alias: ((name: Uint8Array) => Uint8Array) | undefined;
  readonly reads: AskedRead[] = [];
  puts = 0;

  constructor(inner: FragmentStore) {
    this.inner = inner;
  }

  async hello(): Promise<NodeHello> {
    await this.faults.hello?.(Buffer.alloc(0));
    return this.inner.hello();
  }

  async put(name: Uint8Array, pieces: readonly Uint8Array[]): Promise<void> {
    this.puts += 1;
    if ((await this.faults.put?.(name)) === 'drop') return;
    await this.inner.put(name, pieces);
  }

  async read(name: Uint8Array, offsetBytes: number, target: Uint8Array): Promise<void> {
    this.reads.push({
      name: Buffer.from(name).toString('hex'),
      offsetBytes,
      lengthBytes: target.length,
    });
    await this.faults.read?.(name);
    await this.inner.read(this.alias?.(name) ?? name, offsetBytes, target);
    this.lie?.(target, offsetBytes, name);
  }

  async length(name: Uint8Array): Promise<number | undefined> {
    return this.inner.length(name);
  }

  async delete(names: readonly Uint8Array[]): Promise<number> {
    await this.faults.delete?.(names[0] ?? Buffer.alloc(0));
    return this.inner.delete(names);
  }

  async list(after: Uint8Array | undefined, limit: number): Promise<ListPage> {
    return this.inner.list(after, limit);
  }

  async verify(name: Uint8Array): Promise<'intact' | 'corrupt' | 'missing'> {
    await this.faults.verify?.(name);
    return this.inner.verify(name);
  }
}

export const stuck = (): Promise<undefined> => new Promise(() => undefined);
export const drop = async (): Promise<'drop'> => 'drop';
export function failing(code: 'NodeUnavailable' | 'NodeFull' | 'NodeFailed' | 'FragmentMissing'): Fault {
  return async () => {
    throw new HoldfastError(code);
  };
}
/** In the fragment's bytes; the trailer stays right, so that only its root tells. */
export const flipBit: Lie = (bytes) => {
  if (bytes.length === TRAILER_BYTES) return;
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0x10;
};
export const zeros: Lie = (bytes) => void bytes.fill(0);

/** Fragments in a map; `verify` believes what is there. */
export class MemoryStore implements FragmentStore {
  readonly fragments = new Map<string, Buffer>();
  readonly #nodeUuid: string;
  freeBytes = 1e12;

  constructor(nodeUuid: string) {
    this.#nodeUuid = nodeUuid;
  }

  async hello(): Promise<NodeHello> {
    return {
      nodeUuid: this.#nodeUuid,
      durable: true,
      durableAppends: 1,
      fragmentCount: this.fragments.size,
      usedBytes: 0,
      capacityBytes: 1e12,
      freeBytes: this.freeBytes,
      filesystemId: 'memory',
      damagedRecords: 0,
    };
  }

  async put(name: Uint8Array, pieces: readonly Uint8Array[]): Promise<void> {
    if (this.freeBytes === 0) throw new HoldfastError('NodeFull');
    this.fragments.set(keyOf(name), Buffer.concat(pieces));
  }

  async read(name: Uint8Array, offsetBytes: number, target: Uint8Array): Promise<void> {
    const stored = this.fragments.get(keyOf(name));
    if (stored === undefined) throw new HoldfastError('FragmentMissing');
    if (stored.length < offsetBytes + target.length) throw new HoldfastError('FragmentCorrupt');
    target.set(stored.subarray(offsetBytes, offsetBytes + target.length));
  }

  async length(name: Uint8Array): Promise<number | undefined> {
    return this.fragments.get(keyOf(name))?.length;
  }

  async delete(names: readonly Uint8Array[]): Promise<number> {
    return names.filter((name) => this.fragments.delete(keyOf(name))).length;
  }

  async list(): Promise<ListPage> {
    const fragments = [...this.fragments].map(([key, stored]) => ({
      name: Buffer.from(key, 'hex'),
      storedLengthBytes: stored.length,
    }));
    return { fragments, next: undefined };
  }

  async verify(name: Uint8Array): Promise<'intact' | 'missing'> {
    return this.fragments.has(keyOf(name)) ? 'intact' : 'missing';
  }
}

function keyOf(name: Uint8Array): string {
  return Buffer.from(name).toString('hex');
}
