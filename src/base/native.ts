/**
 * The native addon (native/), or why there is none. Whoever has a portable twin asks `native()` and falls back to it; results are the
 * same bytes either way. The addon is built by `npm start` where there is a C compiler, or comes prebuilt with the package.
 *
 * HOLDFAST_NATIVE chooses: `off` for the portable TypeScript and WebAssembly kernels, or a level of native/kernels/cpu.h
 * (`portable`, `ssse3`, `avx2`, `avx2-gfni`, `avx512`, `neon`) for the C kernels of that level. Unset or `auto`: the best there is.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { HoldfastError } from './errors.ts';

export const nativeLevels = ['portable', 'ssse3', 'avx2', 'avx2-gfni', 'avx512', 'neon'] as const;
export type NativeLevel = (typeof nativeLevels)[number];

/** One view, or at most 256 that are hashed one behind the other. */
export type NativeBlake3Data = Uint8Array | readonly Uint8Array[];

/** A message in pieces. */
export interface NativeBlake3Hasher {
  update(bytes: Uint8Array): this;
  /** Fills `output` with the hash of what there is so far; more may follow. */
  digest(output: Uint8Array): void;
  reset(): this;
}

/**
 * BLAKE3 (native/binding/blake3.c). Outputs are filled to their length, which may be any where it is the output of a hash, and must not
 * overlap the input. With a `key` (32 bytes) it is the keyed mode. A leaf has `groupBytes`: 1,024 or 16,384.
 */
export interface NativeBlake3 {
  blake3Hash(data: NativeBlake3Data, output: Uint8Array): void;
  blake3Keyed(key: Uint8Array, data: NativeBlake3Data, output: Uint8Array): void;
  /** `context` has at most 4,096 bytes of UTF-8. */
  blake3Derive(context: string, material: NativeBlake3Data, output: Uint8Array): void;
  /** At most 1,024 messages, 32 bytes of `outputs` for each. Those of equal length up to 1 KiB go side by side. */
  blake3Many(list: readonly Uint8Array[], outputs: Uint8Array, key?: Uint8Array): void;
  /** Chaining values (32 bytes each) of whole groups of 16 KiB that are not the whole message. */
  blake3Groups(bytes: Uint8Array, firstChunk: number, output: Uint8Array, key?: Uint8Array): void;
  /** The hash of a message longer than a group: of its groups' chaining values and the rest, shorter than a group. */
  blake3FromGroups(chainingValues: Uint8Array, rest: Uint8Array, output: Uint8Array, key?: Uint8Array): void;
  /** The Bao outboard without its length prefix: the parents in pre-order, 64 bytes each. */
  blake3Outboard(bytes: Uint8Array, groupBytes: number, key?: Uint8Array): { outboard: Buffer; root: Buffer };
  /** The parents above a leaf, root first. */
  blake3Proof(outboard: Uint8Array, length: number, groupBytes: number, leaf: number): Buffer;
  /** Whether `bytes` are that leaf of the message with this root and length. */
  blake3VerifyProof(
    root: Uint8Array,
    length: number,
    groupBytes: number,
    leaf: number,
    bytes: Uint8Array,
    proof: Uint8Array,
    key?: Uint8Array,
  ): boolean;
  /**
   * For messages of some tens of bytes: hash(length) hashes `scratch` (shared memory) from its 33rd byte on into its first 32 bytes.
   */
  blake3Short(scratch: Uint8Array, key?: Uint8Array): (length: number) => void;
  readonly Blake3Hasher: new (key?: Uint8Array) => NativeBlake3Hasher;
}

/** What native/binding puts on `exports`. Wrong types and lengths throw TypeError and RangeError. */
export interface NativeAddon extends NativeBlake3 {
  level(): NativeLevel;
  /** Those that this processor runs, best last. */
  levels(): NativeLevel[];
  /** For tests and benchmarks: while nothing native runs. */
  selectLevel(level: NativeLevel): void;
}

export type NativeState =
  | { readonly addon: NativeAddon; readonly reason?: undefined }
  | { readonly addon?: undefined; readonly reason: string };

const root = fileURLToPath(new URL('../..', import.meta.url));

function load(): NativeState {
  const wanted = process.env['HOLDFAST_NATIVE'] ?? 'auto';
  if (wanted === 'off') return { reason: 'switched off by HOLDFAST_NATIVE' };
  const isLevel = (nativeLevels as readonly string[]).includes(wanted);
  if (wanted !== 'auto' && wanted !== '' && !isLevel) {
    throw new HoldfastError('ConfigInvalid', {
      detail: `HOLDFAST_NATIVE is ${JSON.stringify(wanted)}; it may be auto, off, ${nativeLevels.join(', ')}`,
    });
  }
  let addon: NativeAddon;
  try {
    const require = createRequire(import.meta.url);
    addon = (require('node-gyp-build') as (directory: string) => NativeAddon)(root);
  } catch (error) {
    return { reason: firstLine(error) };
  }
  if (isLevel && addon.level() !== wanted) {
    throw new HoldfastError('ConfigInvalid', {
      detail: `HOLDFAST_NATIVE is ${wanted}, which this processor does not run; it runs ${addon.levels().join(', ')}`,
    });
  }
  return { addon };
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0] ?? text;
}

let state: NativeState | undefined;

/** Loaded once a thread, at the first call. @throws ConfigInvalid for a HOLDFAST_NATIVE that cannot be */
export function native(): NativeState {
  state ??= load();
  return state;
}
