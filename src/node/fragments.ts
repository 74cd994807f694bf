/** The fragments of one namespace of an open node: what a gateway sees of it. */
import { assert } from '../base/assert.ts';
import { bytesEqual } from '../base/bytes.ts';
import { HoldfastError, hasCode } from '../base/errors.ts';
import { FRAGMENT_NAME_BYTES, TRAILER_BYTES } from '../coding/trailer.ts';
import type { Address } from './address.ts';
import { appendSpanBytes } from './committer.ts';
import { LOOKUPS_MAX, type Location, type NodeCore } from './core.ts';
import {
  type FragmentStore,
  type HeldBytes,
  type ListPage,
  STORED_FRAGMENT_BYTES_MAX,
} from './fragmentstore.ts';
import type { Guard } from './guard.ts';
import { Listing } from './listing.ts';
import { HASH_SLICE_BYTES } from './trailercheck.ts';

/** Names deleted at once; more are taken in turns. */
const DELETES_IN_FLIGHT_MAX = 1024;

/** @throws InvalidArgument */
export function validName(name: Uint8Array): void {
  if (name.length !== FRAGMENT_NAME_BYTES) {
    throw new HoldfastError('InvalidArgument', {
      detail: `a fragment name has ${FRAGMENT_NAME_BYTES} bytes, not ${name.length}`,
    });
  }
}

/** Bytes of all pieces. @throws InvalidArgument when no stored fragment has that many */
export function storedLength(pieces: readonly Uint8Array[]): number {
  let lengthBytes = 0;
  for (const piece of pieces) lengthBytes += piece.length;
  if (lengthBytes < TRAILER_BYTES || lengthBytes > STORED_FRAGMENT_BYTES_MAX) {
    throw new HoldfastError('InvalidArgument', {
      detail: `a stored fragment has ${TRAILER_BYTES} to ${STORED_FRAGMENT_BYTES_MAX} bytes, not ${lengthBytes}`,
    });
  }
  return lengthBytes;
}

export class Fragments implements Omit<FragmentStore, 'hello'> {
  readonly #core: NodeCore;
  readonly #guard: Guard;
  readonly #namespace: number;
  readonly #listing: Listing;

  constructor(core: NodeCore, guard: Guard, namespace: number) {
    this.#core = core;
    this.#guard = guard;
    this.#namespace = namespace;
    this.#listing = new Listing(core.index, namespace);
  }

  async put(name: Uint8Array, pieces: readonly Uint8Array[]): Promise<void> {
    this.#guard.assertServing();
    const address = this.#address(name);
    const lengthBytes = storedLength(pieces);
    const leave = await this.#core.enter(address);
    try {
      const stored = this.#core.locate(address);
      if (stored && (await this.#alreadyHolds(name, stored, pieces, lengthBytes))) return;
      this.#guard.assertServing();
      const replaced = this.#core.locate(address);
      if (replaced) {
        this.#guard.admit(this.#core.committer.queuedBytes + appendSpanBytes(lengthBytes));
        await this.#core.tombstone(address, replaced);
      }
      await this.#core.store(address, pieces, lengthBytes, () =>
        this.#guard.admit(this.#core.committer.queuedBytes),
      );
    } finally {
      leave();
    }
  }

  async read(name: Uint8Array, offsetBytes: number, target: Uint8Array): Promise<void> {
    this.#guard.assertServing();
    const address = this.#address(name);
    for (let lookup = 1; ; lookup++) {
      const location = this.#core.locate(address);
      if (!location) throw this.#missing(name);
      if (offsetBytes + target.length > location.lengthBytes) throw this.#tooShort(name, location);
      try {
        if ((await this.#core.read(location, offsetBytes, target)) === target.length) return;
        if (this.#core.isAt(address, location)) throw this.#tooShort(name, location);
      } catch (error) {
        if (error instanceof HoldfastError) throw error;
        const moved = !this.#core.isAt(address, location);
        if (!moved || lookup >= LOOKUPS_MAX) throw this.#guard.unavailable(error);
      }
    }
  }

  hold(name: Uint8Array, offsetBytes: number, lengthBytes: number): HeldBytes | undefined {
    if (this.#guard.refusal()) return undefined;
    const location = this.#core.locate(this.#address(name));
    if (!location || offsetBytes + lengthBytes > location.lengthBytes) return undefined;
    return this.#core.hold(location, offsetBytes);
  }

  async length(name: Uint8Array): Promise<number | undefined> {
    this.#guard.assertServing();
    return this.#core.locate(this.#address(name))?.lengthBytes;
  }

  async delete(names: readonly Uint8Array[]): Promise<number> {
    this.#guard.assertServing();
    for (const name of names) validName(name);
    let deleted = 0;
    for (let from = 0; from < names.length; from += DELETES_IN_FLIGHT_MAX) {
      const some = names.slice(from, from + DELETES_IN_FLIGHT_MAX);
      const found = await Promise.all(some.map((name) => this.#deleteOne(name)));
      for (const was of found) if (was) deleted++;
    }
    return deleted;
  }

  async list(after: Uint8Array | undefined, limit: number): Promise<ListPage> {
    this.#guard.assertServing();
    if (!Number.isSafeInteger(limit) || limit < 1) {
      throw new HoldfastError('InvalidArgument', { detail: `a page has at least one name, not ${limit}` });
    }
    return this.#listing.page(after, limit);
  }

  async verify(name: Uint8Array): Promise<'intact' | 'corrupt' | 'missing'> {
    this.#guard.assertServing();
    const address = this.#address(name);
    for (let lookup = 1; ; lookup++) {
      const location = this.#core.locate(address);
      if (!location) return 'missing';
      try {
        const intact = await this.#core.isIntact(location);
        if (intact) return 'intact';
        if (this.#core.isAt(address, location) || lookup >= LOOKUPS_MAX) return 'corrupt';
      } catch (error) {
        if (this.#core.isAt(address, location) || lookup >= LOOKUPS_MAX) throw this.#guard.unavailable(error);
      }
    }
  }

  async #deleteOne(name: Uint8Array): Promise<boolean> {
    const address = this.#address(name);
    const leave = await this.#core.enter(address);
    try {
      this.#guard.assertServing();
      const location = this.#core.locate(address);
      if (!location) return false;
      await this.#core.tombstone(address, location);
      return true;
    } finally {
      leave();
    }
  }

  /**
   * True when exactly this is stored; false when what is stored is damaged and may be replaced.
   * @throws FragmentConflict when other, intact content is stored
   */
  async #alreadyHolds(
    name: Uint8Array,
    stored: Location,
    pieces: readonly Uint8Array[],
    lengthBytes: number,
  ): Promise<boolean> {
    await this.#guard.checkDirectory();
    const same = stored.lengthBytes === lengthBytes && (await this.#sameBytes(name, stored, pieces));
    if (same) return true;
    if ((await this.verify(name)) !== 'intact') return false;
    throw new HoldfastError('FragmentConflict', {
      detail: `node ${this.#guard.nodeUuid} already holds other, intact content under ${Buffer.from(name).toString('hex')}`,
    });
  }

  async #sameBytes(name: Uint8Array, stored: Location, pieces: readonly Uint8Array[]): Promise<boolean> {
    const memory = Buffer.allocUnsafeSlow(Math.min(HASH_SLICE_BYTES, stored.lengthBytes));
    let offsetBytes = 0;
    for (const piece of pieces) {
      for (let at = 0; at < piece.length; at += memory.length) {
        const wanted = piece.subarray(at, at + memory.length);
        const found = memory.subarray(0, wanted.length);
        try {
          await this.read(name, offsetBytes, found);
        } catch (error) {
          if (hasCode(error, 'NodeUnavailable', 'FragmentCorrupt')) return false;
          throw error;
        }
        if (!bytesEqual(wanted, found)) return false;
        offsetBytes += wanted.length;
      }
    }
    assert(offsetBytes === stored.lengthBytes);
    return true;
  }

  #missing(name: Uint8Array): HoldfastError {
    return new HoldfastError('FragmentMissing', {
      detail: `node ${this.#guard.nodeUuid} has no fragment ${Buffer.from(name).toString('hex')}`,
    });
  }

  #tooShort(name: Uint8Array, location: Location): HoldfastError {
    return new HoldfastError('FragmentCorrupt', {
      detail: `fragment ${Buffer.from(name).toString('hex')} on node ${this.#guard.nodeUuid} has ${location.lengthBytes} bytes or fewer, less than asked for`,
    });
  }

  #address(name: Uint8Array): Address {
    validName(name);
    return { namespace: this.#namespace, key: name, name, tag: this.#namespace };
  }
}
