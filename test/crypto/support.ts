/** Shared by the tests of this folder: vectors, fixed randomness, and derivations written once more with @noble/hashes. */
import { readFileSync } from 'node:fs';
import { hmac } from '@noble/hashes/hmac.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { expect } from 'vitest';
import type { Random } from '../../src/base/random.ts';

export const hex = (text: string): Buffer => Buffer.from(text, 'hex');

export function readVectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8')) as T;
}

/** What every refusal of altered or foreign data looks like. */
export const authenticationFailure: Error = expect.objectContaining({ code: 'AuthenticationFailed' });

/** Hands out the given byte strings in order, and nothing else. */
export function fixedRandom(...values: Buffer[]): Random {
  const left = [...values];
  return {
    bytes: (length) => {
      const next = left.shift();
      if (next?.length !== length) throw new Error(`${length} random bytes were not expected`);
      return Buffer.from(next);
    },
  };
}

/** HKDF-Expand-SHA-512, RFC 5869 section 2.3. */
export function expandOnceMore(key: Uint8Array, info: Uint8Array, lengthBytes: number): Buffer {
  let t: Uint8Array = new Uint8Array();
  let output = Buffer.alloc(0);
  for (let i = 1; output.length < lengthBytes; i++) {
    t = hmac(sha512, key, Buffer.concat([t, info, Buffer.of(i)]));
    output = Buffer.concat([output, t]);
  }
  return output.subarray(0, lengthBytes);
}

/** `bytes` with one bit of byte `at` flipped. */
export function flipped(bytes: Uint8Array, at: number): Buffer {
  const altered = Buffer.from(bytes);
  altered[at] = (altered[at] ?? 0) ^ 1;
  return altered;
}
