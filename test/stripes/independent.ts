/**
 * The bytes of a stripe's fragments, computed from the words of design/commits.md with other tools than the engine's: @noble/hashes for
 * BLAKE3, node:crypto for GCM, and schoolbook arithmetic in GF(2⁸).
 */
import { createCipheriv } from 'node:crypto';
import { blake3 } from '@noble/hashes/blake3.js';

export interface IndependentStripe {
  readonly locator1: Buffer;
  readonly locator2: Buffer;
  readonly fragmentMac: Buffer;
  readonly generation: number;
  /** 16 bytes with index 0. */
  readonly position: Buffer;
  readonly codec: number;
  readonly k: number;
  readonly m: number;
  /** Each is one chunk of a stream. */
  readonly chunks: readonly {
    readonly aeadKey: Buffer;
    readonly baseNonce: Buffer;
    readonly chunkIndex: number;
    readonly plaintext: Buffer;
  }[];
}

/** Name and stored bytes (fragment ‖ trailer) of every fragment. */
export function fragmentsOf(stripe: IndependentStripe): { readonly name: Buffer; readonly stored: Buffer }[] {
  const { k, m, codec, generation } = stripe;
  const payload = Buffer.concat(stripe.chunks.map(sealChunk));
  const stripeLength = padme(payload.length);
  const f = Math.ceil(Math.ceil(stripeLength / k) / 64) * 64;
  const padded = Buffer.concat([payload, Buffer.alloc(k * f - payload.length)]);
  const data = Array.from({ length: k }, (_, j) => padded.subarray(j * f, (j + 1) * f));
  const parity = Array.from({ length: m }, (_, i) => {
    const bytes = Buffer.alloc(f);
    for (const [j, fragment] of data.entries()) {
      const coefficient = inverse((k + i) ^ j);
      for (let at = 0; at < f; at++) bytes[at] = (bytes[at] ?? 0) ^ multiply(coefficient, fragment[at] ?? 0);
    }
    return bytes;
  });
  return [...data, ...parity].map((bytes, index) => {
    const name = nameOf(stripe, index);
    const body = Buffer.concat([
      Buffer.of(1, codec, k, m, index, 0),
      Buffer.of(generation >> 8, generation & 0xff),
      u32(f),
      u32(stripeLength),
      blake3(bytes),
    ]);
    const mac = blake3(Buffer.concat([name, body]), { key: stripe.fragmentMac });
    return { name, stored: Buffer.concat([bytes, body, mac]) };
  });
}

function sealChunk({
  aeadKey,
  baseNonce,
  chunkIndex,
  plaintext,
}: IndependentStripe['chunks'][number]): Buffer {
  const mixed = BigInt(`0x${baseNonce.toString('hex')}`) ^ BigInt(chunkIndex);
  const nonce = Buffer.from(mixed.toString(16).padStart(24, '0'), 'hex');
  const cipher = createCipheriv('aes-256-gcm', aeadKey, nonce);
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function nameOf({ locator1, locator2, position }: IndependentStripe, index: number): Buffer {
  const p = Buffer.from(position);
  p[1] = index;
  const tag = Buffer.from(blake3(p, { key: locator1 })).subarray(0, 16);
  const mask = blake3(tag, { key: locator2 });
  return Buffer.concat([tag, p.map((byte, i) => byte ^ (mask[i] ?? 0))]);
}

/** By the binary digits: E leading position, the first ⌊log2 E⌋ + 1 digits behind the leading one are kept, the rest rounded up. */
function padme(length: number): number {
  const e = length.toString(2).length - 1;
  const kept = e.toString(2).length;
  let padded = length;
  while (!/^0*$/.test(padded.toString(2).slice(-(e - kept)))) padded += 1;
  return padded;
}

function multiply(a: number, b: number): number {
  let product = 0;
  for (let bit = 0; bit < 8; bit++) if (b & (1 << bit)) product ^= a << bit;
  for (let bit = 14; bit >= 8; bit--) if (product & (1 << bit)) product ^= 0x11d << (bit - 8);
  return product;
}

function inverse(a: number): number {
  for (let b = 1; b < 256; b++) if (multiply(a, b) === 1) return b;
  throw new RangeError('zero has no inverse');
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
