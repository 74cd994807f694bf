/**
 * What a node can check of a fragment without keys: `bytes ‖ trailer` (80 bytes; design/commits.md, "Names"), of which the
 * format, the length and the BLAKE3 root matter here. The MAC is for who holds the repair keys.
 */
import { Gate } from '../base/limits.ts';
import { blake3, createStreamingBlake3, type StreamingBlake3 } from '../coding/blake3.ts';
import { parseTrailer, TRAILER_BYTES, type Trailer } from '../coding/trailer.ts';
import { crc32c } from './crc32c.ts';

/** At most this much is hashed in one turn of the event loop, 0.03 ms with the addon and 0.4 without. */
export const HASH_SLICE_BYTES = 256 * 1024;

/** The trailer, when these last 80 bytes of a stored value are one and belong to its length. */
function fittingTrailer(bytes: Uint8Array, storedLengthBytes: number): Trailer | undefined {
  const trailer = parseTrailer(bytes);
  return trailer?.fragmentLengthBytes === storedLengthBytes - TRAILER_BYTES ? trailer : undefined;
}

export function trailerFits(bytes: Uint8Array, storedLengthBytes: number): boolean {
  return fittingTrailer(bytes, storedLengthBytes) !== undefined;
}

/** The last 80 bytes of the concatenated pieces; shorter when there are fewer. */
export function trailerOfPieces(pieces: readonly Uint8Array[]): Uint8Array {
  const last = pieces.at(-1);
  if (last && last.length >= TRAILER_BYTES) return last.subarray(last.length - TRAILER_BYTES);
  const joined = Buffer.concat(pieces);
  return joined.subarray(Math.max(0, joined.length - TRAILER_BYTES));
}

/** Checks a stored fragment that is in memory, in one turn. `trailerCrc` is the CRC-32C of its trailer. */
export function storedFragmentIsIntact(stored: Uint8Array, trailerCrc: number): boolean {
  const bytesLength = stored.length - TRAILER_BYTES;
  if (bytesLength < 0) return false;
  const trailer = stored.subarray(bytesLength);
  if (crc32c(trailer) !== trailerCrc) return false;
  const root = fittingTrailer(trailer, stored.length)?.root;
  return root !== undefined && blake3(stored.subarray(0, bytesLength)).equals(root);
}

/** Reads `target.length` bytes from `offsetBytes` of a stored fragment; false when they are not all there. */
export type ReadStored = (target: Buffer, offsetBytes: number) => Promise<boolean>;

/** Checks stored fragments where they lie, one after the other, a slice per turn of the event loop. */
export class FragmentVerifier {
  readonly #hasher: StreamingBlake3;
  readonly #slice = Buffer.allocUnsafeSlow(HASH_SLICE_BYTES);
  readonly #turn = new Gate('fragment verification', 1);

  private constructor(hasher: StreamingBlake3) {
    this.#hasher = hasher;
  }

  static async create(): Promise<FragmentVerifier> {
    return new FragmentVerifier(await createStreamingBlake3());
  }

  /** `trailerCrc` is checked where the record that holds it can be read. */
  async isIntact(
    storedLengthBytes: number,
    trailerCrc: number | undefined,
    read: ReadStored,
  ): Promise<boolean> {
    await this.#turn.acquire();
    try {
      return await this.#check(storedLengthBytes, trailerCrc, read);
    } finally {
      this.#turn.release();
    }
  }

  /** Whether the CRC-32C of the whole value is this one. */
  async matchesCrc(lengthBytes: number, valueCrc: number, read: ReadStored): Promise<boolean> {
    await this.#turn.acquire();
    try {
      let crc = 0;
      for (let at = 0; at < lengthBytes; at += HASH_SLICE_BYTES) {
        const slice = this.#slice.subarray(0, Math.min(HASH_SLICE_BYTES, lengthBytes - at));
        if (!(await read(slice, at))) return false;
        crc = crc32c(slice, 0, slice.length, crc);
      }
      return crc === valueCrc;
    } finally {
      this.#turn.release();
    }
  }

  async #check(
    storedLengthBytes: number,
    trailerCrc: number | undefined,
    read: ReadStored,
  ): Promise<boolean> {
    const bytesLength = storedLengthBytes - TRAILER_BYTES;
    const trailer = Buffer.alloc(TRAILER_BYTES);
    if (bytesLength < 0 || !(await read(trailer, bytesLength))) return false;
    const root = fittingTrailer(trailer, storedLengthBytes)?.root;
    if (!root) return false;
    if (trailerCrc !== undefined && crc32c(trailer) !== trailerCrc) return false;
    this.#hasher.init();
    for (let at = 0; at < bytesLength; at += HASH_SLICE_BYTES) {
      const slice = this.#slice.subarray(0, Math.min(HASH_SLICE_BYTES, bytesLength - at));
      if (!(await read(slice, at))) return false;
      this.#hasher.update(slice);
    }
    return this.#hasher.digest().equals(root);
  }
}
