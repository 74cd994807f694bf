/**
 * Names and trailers: what ties a stripe's bytes to the grid. Holds repair keys only; nothing here can decrypt.
 */
import { createKeyedBlake3, type KeyedHash } from '../coding/blake3.ts';
import { TRAILER_BYTES, type Trailer } from '../coding/trailer.ts';
import { sealTrailer, verifyTrailer } from '../crypto/fragmenttrailer.ts';
import type { RepairKeys } from '../crypto/gridkeys.ts';
import { createLocator, type Locator, stripeIdOf } from '../crypto/locator.ts';
import type { StripeRecord } from '../metadata/records.ts';
import type { InventoryEntry } from './surgery.ts';
import type { StripeId } from './types.ts';

export type TrailerGeometry = Pick<
  StripeRecord,
  'codec' | 'k' | 'm' | 'generation' | 'fragmentLengthBytes' | 'stripeLengthBytes'
>;

export class FragmentSeals {
  readonly #locator: Locator;
  readonly #mac: KeyedHash;
  readonly generation: number;

  private constructor(locator: Locator, mac: KeyedHash, generation: number) {
    this.#locator = locator;
    this.#mac = mac;
    this.generation = generation;
  }

  static async create(keys: RepairKeys): Promise<FragmentSeals> {
    return new FragmentSeals(
      await createLocator(keys),
      await createKeyedBlake3(keys.fragmentMac),
      keys.generation,
    );
  }

  name(stripeId: StripeId, index: number): Buffer {
    return this.#locator.fragmentName(stripeId, index);
  }

  trailer(name: Uint8Array, index: number, geometry: TrailerGeometry, root: Uint8Array): Buffer {
    const { codec, k, m, generation, fragmentLengthBytes, stripeLengthBytes } = geometry;
    const bytes = Buffer.alloc(TRAILER_BYTES);
    sealTrailer(
      this.#mac,
      name,
      { codec, k, m, index, keyGeneration: generation, fragmentLengthBytes, stripeLengthBytes, root },
      bytes,
    );
    return bytes;
  }

  /** The trailer when it was made for this fragment of this stripe as the record has it; undefined otherwise. */
  check(name: Uint8Array, index: number, record: TrailerGeometry, bytes: Uint8Array): Trailer | undefined {
    const trailer = verifyTrailer(this.#mac, name, bytes);
    if (trailer === undefined) return undefined;
    const matches =
      trailer.codec === record.codec &&
      trailer.k === record.k &&
      trailer.m === record.m &&
      trailer.index === index &&
      trailer.fragmentLengthBytes === record.fragmentLengthBytes &&
      trailer.stripeLengthBytes === record.stripeLengthBytes;
    return matches ? trailer : undefined;
  }

  invert(name: Buffer): InventoryEntry['fragment'] {
    const position = this.#locator.invert(name);
    if (position === undefined) return undefined;
    const { index, kind, logId, term } = position;
    return { stripeId: stripeIdOf(position), index, kind, logId, term };
  }
}
