/**
 * `D(key, label, L)` of design/keys.md, "Notation":
 * HKDF-Expand-SHA-512(key, "holdfast/v1/" ‖ label ‖ 0x00 ‖ gridId16 ‖ u32 generation, L).
 *
 *   derive(G, 'fragment-mac', { gridId, generation: 1 }, 32)
 */
import { assert } from '../base/assert.ts';
import { buildContext, ID_BYTES } from './context.ts';
import { hkdfExpandSha512 } from './hkdf.ts';

/** What every derived key is bound to besides its label. */
export interface KeyScope {
  /** 16 bytes. */
  readonly gridId: Uint8Array;
  /** u32; raised when the grid's keys are rotated. */
  readonly generation: number;
}

/** Labels derived from the root secret use a zero gridId and generation 0. */
export const rootScope: KeyScope = { gridId: Buffer.alloc(ID_BYTES), generation: 0 };

/** `key` must be uniformly random. The result has `lengthBytes` bytes of its own. */
export function derive(key: Uint8Array, label: string, scope: KeyScope, lengthBytes: number): Buffer {
  assert(scope.gridId.length === ID_BYTES, 'gridId has 16 bytes');
  const generation = Buffer.alloc(4);
  generation.writeUInt32BE(scope.generation);
  return hkdfExpandSha512(key, lengthBytes, buildContext(`holdfast/v1/${label}`, scope.gridId, generation));
}
