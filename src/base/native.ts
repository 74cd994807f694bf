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

/** Codec 1 for one k + m; keeps prepared matrices. Belongs to the thread that made it. */
export interface Gf256Coder {
  /** Fills m parity shards from k data shards. All of one length; no output may overlap anything else. */
  encode(data: readonly Uint8Array[], parity: readonly Uint8Array[]): void;
  /** The same where the shards of `shardBytes` lie one after the other in one area each. */
  encodeArea(data: Uint8Array, parity: Uint8Array, shardBytes: number): void;
  /**
   * Rebuilds shards: `present` has k + m entries, at least k of them shards; output i receives the shard of index
   * `wanted[i]`, which is not present.
   */
  decode(
    present: readonly (Uint8Array | undefined)[],
    wanted: Uint8Array,
    outputs: readonly Uint8Array[],
  ): void;
}

export interface NativeGf256 {
  /** k ≥ 1, m ≥ 0, k + m ≤ 255. */
  readonly Gf256Coder: new (
    k: number,
    m: number,
  ) => Gf256Coder;
  /** outputs[r] = Σ matrix[r · columns + s] · sources[s] over GF(2⁸)/0x11D. */
  gf256Combine(
    matrix: Uint8Array,
    rows: number,
    columns: number,
    sources: readonly Uint8Array[],
    outputs: readonly Uint8Array[],
  ): void;
}

/** What native/binding puts on `exports`. Wrong types and lengths throw TypeError and RangeError. */
export interface NativeAddon extends NativeGf256 {
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
