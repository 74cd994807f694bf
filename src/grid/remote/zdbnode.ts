/**
 * A rented 0-db namespace as a FragmentStore, over the plain protocol (facts: 0-db 2.0.7). It has no ranges, so a read fetches the whole value,
 * and the last ones are kept for the reads that follow; it overwrites, so a name is looked at before it is written; it lists in order of
 * insertion, so names are collected and sorted; it does not sync before it answers, and does not say what it is.
 */
import { createHash } from 'node:crypto';
import { bytesEqual, mapKey } from '../../base/bytes.ts';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { Gate } from '../../base/limits.ts';
import { Bulk, RespFailure, type RespValue, SimpleString } from '../../base/resp/values.ts';
import { MIB } from '../../base/units.ts';
import { blake3 } from '../../coding/blake3.ts';
import { FRAGMENT_NAME_BYTES, parseTrailer, TRAILER_BYTES } from '../../coding/trailer.ts';
import { storedLength, validName } from '../../node/fragments.ts';
import type { ListedFragment, ListPage, NodeHello } from '../../node/fragmentstore.ts';
import { KeyTurns } from '../../node/keyturns.ts';
import type { Writer } from '../../node/registers.ts';
import type { Channel } from './channel.ts';
import type { RemoteSeams } from './holdfastnode.ts';
import { Link } from './link.ts';
import { selectNamespace } from './select.ts';
import { addressText, type NodeTarget, type RemoteStore } from './target.ts';

/** Fragments that are on their way to or from the node. */
const MOVING_BYTES_MAX = 16 * MIB;
/** Values kept for reads of other ranges of the same fragment. */
const KEPT_VALUES_MAX = 4;
const UUID_BYTES = 16;

export class ZdbNode implements RemoteStore {
  readonly transport = '0-db, plain';
  readonly registers: readonly Writer[] = [];
  readonly #target: NodeTarget;
  readonly #writes: Link;
  readonly #reads: Link;
  readonly #moving: Gate;
  readonly #turns = new KeyTurns();
  readonly #kept = new Map<string, Buffer>();
  /** Of the last listing that began at the beginning, in order. */
  #listed: readonly ListedFragment[] = [];

  constructor(target: NodeTarget, { clock, random }: RemoteSeams) {
    this.#target = target;
    const begin = (channel: Channel) => selectNamespace(channel, target);
    this.#writes = new Link({ target, clock, random, begin });
    this.#reads = new Link({ target, clock, random, begin });
    this.#moving = new Gate(`queue of ${addressText(target)}`, MOVING_BYTES_MAX);
  }

  useWriter(): void {}

  async fence(): Promise<void> {}

  async hello(): Promise<NodeHello> {
    const reply = await this.#ask(this.#reads, 'NSINFO', Buffer.from(this.#target.namespace));
    const fields = new Map<string, string>();
    for (const line of this.#bytes(reply, 'NSINFO').toString('latin1').split('\n')) {
      const colon = line.indexOf(':');
      if (colon > 0) fields.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
    }
    const number = (name: string) => {
      const value = Number(fields.get(name));
      if (!Number.isFinite(value) || value < 0) throw this.#nonsense(`NSINFO (${name})`);
      return value;
    };
    const usedBytes = number('data_size_bytes');
    const limitBytes = number('data_limits_bytes');
    const diskBytes = fields.has('data_disk_freespace_bytes')
      ? number('data_disk_freespace_bytes')
      : Number.MAX_SAFE_INTEGER;
    const leftBytes = limitBytes === 0 ? diskBytes : Math.min(diskBytes, Math.max(0, limitBytes - usedBytes));
    return {
      nodeUuid: this.#uuid(),
      durable: false,
      durableAppends: 0,
      fragmentCount: number('entries'),
      usedBytes,
      capacityBytes: usedBytes + leftBytes,
      freeBytes: fields.get('locked') === 'yes' ? 0 : leftBytes,
      filesystemId: `0-db at ${addressText(this.#target)}`,
      damagedRecords: 0,
    };
  }

  async put(name: Uint8Array, pieces: readonly Uint8Array[]): Promise<void> {
    validName(name);
    const bytes = storedLength(pieces);
    if (!this.#moving.tryAcquire(bytes)) await this.#moving.acquire(bytes);
    const leave = await this.#turns.enter(mapKey(name));
    try {
      const found = await this.#get(this.#writes, name).catch(orCorrupt);
      if (found instanceof Buffer) {
        if (holds(found, pieces)) return;
        if (isIntact(found)) {
          throw new HoldfastError('FragmentConflict', {
            detail: `0-db at ${addressText(this.#target)} already holds other, intact content under ${hex(name)}`,
          });
        }
      }
      const reply = await this.#ask(this.#writes, 'SET', name, pieces);
      if (reply !== null && !(reply instanceof Bulk)) throw this.#nonsense('SET');
    } finally {
      this.#kept.delete(mapKey(name));
      leave();
      this.#moving.release(bytes);
    }
  }

  async read(name: Uint8Array, offsetBytes: number, target: Uint8Array): Promise<void> {
    validName(name);
    const value = await this.#value(name);
    if (value === undefined) {
      throw new HoldfastError('FragmentMissing', {
        detail: `0-db at ${addressText(this.#target)} has no fragment ${hex(name)}`,
      });
    }
    if (offsetBytes + target.length > value.length) {
      throw new HoldfastError('FragmentCorrupt', {
        detail: `fragment ${hex(name)} at ${addressText(this.#target)} has ${value.length} bytes, less than asked for`,
      });
    }
    target.set(value.subarray(offsetBytes, offsetBytes + target.length));
  }

  async length(name: Uint8Array): Promise<number | undefined> {
    validName(name);
    const reply = await this.#ask(this.#reads, 'LENGTH', name);
    if (reply === null) return undefined;
    if (typeof reply !== 'number' || reply < 0) throw this.#nonsense('LENGTH');
    return reply;
  }

  async delete(names: readonly Uint8Array[]): Promise<number> {
    for (const name of names) validName(name);
    let deleted = 0;
    const channel = await this.#writes.channel();
    const replies = await Promise.all(names.map((name) => channel.ask('DEL', name)));
    for (const [i, reply] of replies.entries()) {
      this.#kept.delete(mapKey(names[i]!));
      if (reply instanceof SimpleString) deleted += 1;
      else if (!(reply instanceof RespFailure)) throw this.#nonsense('DEL');
      else if (reply.text !== 'Key not found') throw this.#error(reply.text);
    }
    return deleted;
  }

  async list(after: Uint8Array | undefined, limit: number): Promise<ListPage> {
    if (after === undefined) this.#listed = await this.#scanAll();
    const from = after === undefined ? 0 : firstAfter(this.#listed, after);
    const fragments = this.#listed.slice(from, from + limit);
    const isLast = from + fragments.length >= this.#listed.length;
    return { fragments, next: isLast ? undefined : fragments.at(-1)!.name };
  }

  async verify(name: Uint8Array): Promise<'intact' | 'corrupt' | 'missing'> {
    validName(name);
    this.#kept.delete(mapKey(name));
    const value = await this.#value(name).catch(orCorrupt);
    return value === undefined ? 'missing' : value !== 'corrupt' && isIntact(value) ? 'intact' : 'corrupt';
  }

  async close(): Promise<void> {
    this.#writes.close();
    this.#reads.close();
    this.#kept.clear();
  }

  /** The whole value, from those that were read last or from the node. */
  async #value(name: Uint8Array): Promise<Buffer | undefined> {
    const key = mapKey(name);
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    await this.#moving.acquire(MIB);
    try {
      const value = await this.#get(this.#reads, name);
      if (value === undefined) return undefined;
      this.#kept.set(key, value);
      const [oldest] = this.#kept.keys();
      if (this.#kept.size > KEPT_VALUES_MAX) this.#kept.delete(oldest!);
      return value;
    } finally {
      this.#moving.release(MIB);
    }
  }

  async #get(link: Link, name: Uint8Array): Promise<Buffer | undefined> {
    const reply = await this.#ask(link, 'GET', name);
    return reply === null ? undefined : this.#bytes(reply, 'GET');
  }

  /** Every name in the namespace, 36 bytes each and what the engine adds; names of other lengths are not ours. */
  async #scanAll(): Promise<ListedFragment[]> {
    const found = new Map<string, ListedFragment>();
    const channel = await this.#reads.channel();
    let cursor: Buffer | undefined;
    for (;;) {
      const page = await channel.ask(...(cursor === undefined ? ['SCAN'] : ['SCAN', cursor]));
      if (page instanceof RespFailure) {
        if (page.text === 'No more data') break;
        throw this.#error(page.text);
      }
      const [next, entries] = Array.isArray(page) ? (page as readonly RespValue[]) : [];
      if (!(next instanceof Bulk) || !Array.isArray(entries) || entries.length === 0)
        throw this.#nonsense('SCAN');
      for (const entry of entries as readonly (readonly RespValue[])[]) {
        const [key, length] = Array.isArray(entry) ? (entry as readonly RespValue[]) : [];
        if (!(key instanceof Bulk) || typeof length !== 'number') throw this.#nonsense('SCAN');
        if (key.length !== FRAGMENT_NAME_BYTES) continue;
        const name = Buffer.from(key.toBuffer());
        found.set(mapKey(name), { name, storedLengthBytes: length });
      }
      cursor = Buffer.from(next.toBuffer());
    }
    return [...found.values()].sort((a, b) => Buffer.compare(a.name, b.name));
  }

  async #ask(link: Link, ...request: Parameters<Channel['ask']>): Promise<RespValue> {
    const reply = await (await link.channel()).ask(...request);
    if (reply instanceof RespFailure) throw this.#error(reply.text);
    return reply;
  }

  #bytes(reply: RespValue, command: string): Buffer {
    if (!(reply instanceof Bulk)) throw this.#nonsense(command);
    return reply.toBuffer();
  }

  /** A 0-db has no identity of its own: the address and the namespace have to do. */
  #uuid(): string {
    const { host, port, namespace } = this.#target;
    const hash = createHash('sha256').update(`0-db/${host}/${port}/${namespace}`).digest();
    return hash.subarray(0, UUID_BYTES).toString('hex');
  }

  #error(text: string): HoldfastError {
    const isFull = /No space left|locked|worm/.test(text);
    // A daemon of ours that is spoken to as a 0-db.
    const isDamaged = text === 'The stored value is damaged';
    return new HoldfastError(isFull ? 'NodeFull' : isDamaged ? 'FragmentCorrupt' : 'NodeUnavailable', {
      detail: `0-db at ${addressText(this.#target)}, namespace "${this.#target.namespace}": ${text}`,
    });
  }

  #nonsense(command: string): HoldfastError {
    return new HoldfastError('NodeUnavailable', {
      detail: `0-db at ${addressText(this.#target)} answered ${command} with something that nobody can read`,
    });
  }
}

function orCorrupt(error: unknown): 'corrupt' {
  if (hasCode(error, 'FragmentCorrupt')) return 'corrupt';
  throw error;
}

function hex(name: Uint8Array): string {
  return Buffer.from(name).toString('hex');
}

function holds(found: Buffer, pieces: readonly Uint8Array[]): boolean {
  let at = 0;
  for (const piece of pieces) {
    const part = found.subarray(at, at + piece.length);
    if (part.length !== piece.length || !bytesEqual(part, piece)) return false;
    at += piece.length;
  }
  return at === found.length;
}

function isIntact(stored: Buffer): boolean {
  const bytes = stored.subarray(0, Math.max(0, stored.length - TRAILER_BYTES));
  const trailer = parseTrailer(stored.subarray(bytes.length));
  return trailer?.fragmentLengthBytes === bytes.length && blake3(bytes).equals(trailer.root);
}

function firstAfter(listed: readonly ListedFragment[], after: Uint8Array): number {
  let [low, high] = [0, listed.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (Buffer.compare(listed[middle]!.name, after) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
