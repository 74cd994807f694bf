/**
 * Positions and the opaque names that nodes see (design/commits.md, "Names"). A name is the deterministic authenticated
 * encryption of a position: Rogaway–Shrimpton SIV with keyed BLAKE3 as the PRF,
 *
 *   T = BLAKE3(k1, P)[0..16]      name = T ‖ (P ⊕ BLAKE3(k2, T)[0..16])
 *
 * so whoever holds both keys turns the listing of a node back into positions without any database, and a name that does
 * not invert belongs to another grid. Positions never repeat, so equal names mean equal positions.
 *
 * Source: Rogaway, Shrimpton, "Deterministic Authenticated-Encryption" (eprint.iacr.org/2006/221), section 4.
 */
import { timingSafeEqual } from 'node:crypto';
import { assert } from '../base/assert.ts';
import { createKeyedBlake3, type KeyedHash } from '../coding/blake3.ts';
import { FRAGMENT_NAME_BYTES } from '../coding/trailer.ts';
import type { RepairKeys } from './gridkeys.ts';

export const POSITION_BYTES = 16;

export const positionKinds = { data: 1, log: 2, run: 3, manifest: 4, probe: 5 } as const;
export type PositionKind = (typeof positionKinds)[keyof typeof positionKinds];
const KIND_MIN = positionKinds.data;
const KIND_MAX = positionKinds.probe;

/** Big-endian: kind u8 ‖ index u8 ‖ log id u16 ‖ term u32 ‖ start u32 ‖ counter u32. */
export interface Position {
  readonly kind: PositionKind;
  /** Of the fragment in its stripe; 0 for what is no stripe. */
  readonly index: number;
  readonly logId: number;
  readonly term: number;
  /** Random for every start of a gateway. */
  readonly start: number;
  /** Runs within a term and start. */
  readonly counter: number;
}

/** 16 bytes. Throws RangeError for a field outside of its width. */
export function encodePosition(position: Position): Buffer {
  assert(position.kind >= KIND_MIN && position.kind <= KIND_MAX, 'a position of no known kind');
  const bytes = Buffer.alloc(POSITION_BYTES);
  bytes.writeUInt8(position.kind, 0);
  bytes.writeUInt8(position.index, 1);
  bytes.writeUInt16BE(position.logId, 2);
  bytes.writeUInt32BE(position.term, 4);
  bytes.writeUInt32BE(position.start, 8);
  bytes.writeUInt32BE(position.counter, 12);
  return bytes;
}

/** Undefined for another length or a kind that this version does not know. */
export function decodePosition(bytes: Uint8Array): Position | undefined {
  const kind = bytes[0] ?? 0;
  if (bytes.length !== POSITION_BYTES || kind < KIND_MIN || kind > KIND_MAX) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    kind: kind as PositionKind,
    index: view.getUint8(1),
    logId: view.getUint16(2),
    term: view.getUint32(4),
    start: view.getUint32(8),
    counter: view.getUint32(12),
  };
}

/** The stripe's identity in metadata: its position with index 0. */
export function stripeIdOf(position: Position): Buffer {
  return encodePosition({ ...position, index: 0 });
}

export class Locator {
  readonly #tag: KeyedHash;
  readonly #mask: KeyedHash;

  constructor(tag: KeyedHash, mask: KeyedHash) {
    this.#tag = tag;
    this.#mask = mask;
  }

  nameOf(position: Position): Buffer {
    return this.#seal(encodePosition(position));
  }

  /** Name of fragment `index` of a stripe (position with index 0, 16 bytes). */
  fragmentName(stripeId: Uint8Array, index: number): Buffer {
    assert(stripeId.length === POSITION_BYTES && stripeId[1] === 0, 'a stripe id is a position with index 0');
    const position = Buffer.alloc(POSITION_BYTES);
    position.set(stripeId);
    position.writeUInt8(index, 1);
    return this.#seal(position);
  }

  /** The position behind a name; undefined when it is not of this grid, or of a kind that a later version made. */
  invert(name: Uint8Array): Position | undefined {
    if (name.length !== FRAGMENT_NAME_BYTES) return undefined;
    const tag = name.subarray(0, POSITION_BYTES);
    const position = this.#masked(tag, name.subarray(POSITION_BYTES));
    const expected = this.#tag(position).subarray(0, POSITION_BYTES);
    return timingSafeEqual(tag, expected) ? decodePosition(position) : undefined;
  }

  #seal(position: Buffer): Buffer {
    const name = Buffer.alloc(FRAGMENT_NAME_BYTES);
    const tag = this.#tag(position).subarray(0, POSITION_BYTES);
    name.set(tag);
    name.set(this.#masked(tag, position), POSITION_BYTES);
    return name;
  }

  /** `bytes` ⊕ BLAKE3(k2, tag)[0..16]: its own inverse. */
  #masked(tag: Uint8Array, bytes: Uint8Array): Buffer {
    const mask = this.#mask(tag);
    const masked = Buffer.alloc(POSITION_BYTES);
    for (let i = 0; i < POSITION_BYTES; i++) masked[i] = (mask[i] ?? 0) ^ (bytes[i] ?? 0);
    return masked;
  }
}

export async function createLocator(keys: Pick<RepairKeys, 'locator1' | 'locator2'>): Promise<Locator> {
  return new Locator(await createKeyedBlake3(keys.locator1), await createKeyedBlake3(keys.locator2));
}
