/**
 * The codecs of this process. Codec 1 is always there and is the default; codec 2 is there when its optional package is.
 * Codec ids are part of the stripe's format and are never given out anew.
 */
import { HoldfastError } from '../base/errors.ts';
import { CAUCHY_CODEC_ID, cauchyCodec } from './cauchy.ts';
import type { Codec } from './codec.ts';
import { loadRonomonCodec } from './ronomon.ts';

export const DEFAULT_CODEC_ID = CAUCHY_CODEC_ID;

const ronomonCodec = loadRonomonCodec();

/** In ascending order of id. */
export const availableCodecs: readonly Codec[] = ronomonCodec ? [cauchyCodec, ronomonCodec] : [cauchyCodec];

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
