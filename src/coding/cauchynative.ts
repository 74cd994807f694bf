/**
 * Codec 1 in native code (native/kernels/gf256.h): the same bytes as cauchy.ts, which specifies them. Shards may lie in
 * shared memory and need no alignment. Outputs that overlap anything are refused with RangeError.
 */
import type { Gf256Coder, NativeGf256 } from '../base/native.ts';
import { CAUCHY_CODEC_ID, cauchyCodec } from './cauchy.ts';
import type { Codec } from './codec.ts';
import { checkEncode, planDecode } from './shards.ts';

const SHARDS_END = 256;
/** Geometries whose coders are kept. A grid has one or two; the bound is for tests and tools that try many. */
const CODERS_MAX = 32;

export function createNativeCauchyCodec(addon: NativeGf256): Codec {
  const coders = new Map<number, Gf256Coder>();

  function coderOf(k: number, m: number): Gf256Coder {
    const key = k * SHARDS_END + m;
    let coder = coders.get(key);
    if (!coder) {
      if (coders.size >= CODERS_MAX) coders.clear();
      coder = new addon.Gf256Coder(k, m);
      coders.set(key, coder);
    }
    return coder;
  }

  return {
    id: CAUCHY_CODEC_ID,
    name: 'codec 1 (Cauchy Reed–Solomon, native)',
    columnwise: true,
    supports: cauchyCodec.supports,
    encode(k, m, data, parity) {
      checkEncode(this, k, m, data, parity);
      coderOf(k, m).encode(data, parity);
    },
    decode(k, m, present, wanted) {
      planDecode(this, k, m, present, wanted);
      const indices = new Uint8Array(wanted.size);
      const outputs = new Array<Uint8Array>(wanted.size);
      let count = 0;
      for (const [index, view] of wanted) {
        indices[count] = index;
        outputs[count++] = view;
      }
      coderOf(k, m).decode(present, indices, outputs);
    },
  };
}
