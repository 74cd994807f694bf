/**
 * The codecs of this process. Codec 1 is always there and is the default, in native code where the addon is; codec 2 is
 * there when its optional package is.
 * Codec ids are part of the stripe's format and are never given out anew.
 */
import { HoldfastError } from '../base/errors.ts';
import { native } from '../base/native.ts';
import { CAUCHY_CODEC_ID, cauchyCodec } from './cauchy.ts';
import { createNativeCauchyCodec } from './cauchynative.ts';
import type { Codec } from './codec.ts';
import { loadRonomonCodec } from './ronomon.ts';

export const DEFAULT_CODEC_ID = CAUCHY_CODEC_ID;

const { addon } = native();
const defaultCodec = addon ? createNativeCauchyCodec(addon) : cauchyCodec;
const ronomonCodec = loadRonomonCodec();

/** In ascending order of id. */
export const availableCodecs: readonly Codec[] = ronomonCodec ? [defaultCodec, ronomonCodec] : [defaultCodec];

/** @throws NotImplemented when this process has no such codec */
export function codecById(id: number): Codec {
  const codec = availableCodecs.find((candidate) => candidate.id === id);
  if (!codec) {
    throw new HoldfastError('NotImplemented', {
      detail: `codec ${id} is not available here (codec 2 needs the optional package @ronomon/reed-solomon)`,
    });
  }
  return codec;
}
