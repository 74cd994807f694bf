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

/** native/binding/crc.c. Values are finished ones: that of a followed by b is crc(b, crc(a)). */
export interface NativeCrc {
  crc32(bytes: Uint8Array, initial?: number): number;
  crc32c(bytes: Uint8Array, initial?: number): number;
  crc64nvme(bytes: Uint8Array, initial?: bigint): bigint;
  /** The value of two parts, one behind the other, from theirs and the length of the second, at most 2⁵³. */
  crc32Combine(first: number, second: number, secondLengthBytes: number): number;
  crc32cCombine(first: number, second: number, secondLengthBytes: number): number;
  crc64nvmeCombine(first: bigint, second: bigint, secondLengthBytes: number): bigint;
}

/** A running MD5 in native memory; its digest can be taken once. */
export interface NativeMd5State {
  readonly nativeMd5State: unique symbol;
}

/** native/binding/md5.c. */
export interface NativeMd5 {
  md5(bytes: Uint8Array): Buffer;
  md5Create(): NativeMd5State;
  md5Update(state: NativeMd5State, bytes: Uint8Array): void;
  md5Digest(state: NativeMd5State): Buffer;
  /** views[i] into states[i], at most 16 distinct ones side by side; lengths may differ. */
  md5UpdateMany(states: readonly NativeMd5State[], views: readonly Uint8Array[]): void;
  /** For tests and benchmarks: the kernels of this level, and to use one for any number of streams (undefined: the fastest for each). */
  md5Kernels(): string[];
  md5SelectKernel(name?: string): void;
}

/** What native/binding puts on `exports`. Wrong types and lengths throw TypeError and RangeError. */
export interface NativeAddon extends NativeCrc, NativeMd5 {
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
