/**
 * What a record is found by. On disk it has a namespace and a key of up to 255 bytes; the index has 32 bytes and a tag of 16 bits. A key of
 * 32 bytes, as fragments have, stands for itself. Of any other the index has the BLAKE3 of namespace ‖ key, and a bit of the tag
 * says so, so that the two kinds never meet.
 */
import { blake3 } from '../coding/blake3.ts';
import { FRAGMENT_NAME_BYTES } from '../coding/trailer.ts';

const HASHED = 0x8000;
/** Where fragments of an embedded node lie; the namespace "default" of a daemon. */
export const DEFAULT_NAMESPACE = 0;
/** Settings of namespaces, and what else a node has to remember. */
export const SYSTEM_NAMESPACE = 0x7fff;
/** Ids of namespaces are below it. */
export const NAMESPACE_LIMIT = SYSTEM_NAMESPACE;

export interface Address {
  readonly namespace: number;
  readonly key: Uint8Array;
  /** 32 bytes. */
  readonly name: Uint8Array;
  readonly tag: number;
}

export function addressOf(namespace: number, key: Uint8Array): Address {
  if (key.length === FRAGMENT_NAME_BYTES) return { namespace, key, name: key, tag: namespace };
  const name = blake3(Uint8Array.of(namespace >>> 8, namespace & 0xff), key);
  return { namespace, key, name, tag: namespace | HASHED };
}

export function namespaceOf(tag: number): number {
  return tag & ~HASHED;
}

/** Whether the index has the key itself. */
export function isPlain(tag: number): boolean {
  return (tag & HASHED) === 0;
}

/** With its own memory, for what outlives the buffer that the key was read into. */
export function copyOf(address: Address): Address {
  const key = Buffer.from(address.key);
  return { ...address, key, name: isPlain(address.tag) ? key : address.name };
}
