/** Fragments as a gateway makes them, MAC apart (a node cannot check it): bytes ‖ trailer (design/commits.md, "Names"). */
import { blake3 } from '../../src/coding/blake3.ts';
import { FRAGMENT_NAME_BYTES, TRAILER_BYTES } from '../../src/coding/trailer.ts';
import type { Prng } from '../simulation/prng.ts';

export function trailerFor(bytes: Uint8Array): Buffer {
  const trailer = Buffer.alloc(TRAILER_BYTES);
  trailer.set([1, 1, 4, 2, 0, 0], 0);
  trailer.writeUInt16BE(1, 6);
  trailer.writeUInt32BE(bytes.length, 8);
  trailer.writeUInt32BE(bytes.length * 4, 12);
  blake3(bytes).copy(trailer, 16);
  trailer.fill(0x4d, 48);
  return trailer;
}

export interface TestFragment {
  readonly name: Buffer;
  /** bytes, trailer */
  readonly pieces: readonly Uint8Array[];
  readonly stored: Buffer;
}

export function makeFragment(prng: Prng, lengthBytes: number, name?: Buffer): TestFragment {
  const bytes = prng.bytes(lengthBytes);
  const trailer = trailerFor(bytes);
  return {
    name: name ?? prng.bytes(FRAGMENT_NAME_BYTES),
    pieces: [bytes, trailer],
    stored: Buffer.concat([bytes, trailer]),
  };
}
