/**
 * The argument checks that every codec makes before its kernel runs. They matter most for codec 2, whose native code ends
 * the process when it is called wrongly. Sources and outputs must not overlap; that is the caller's business.
 */
import { assert } from '../base/assert.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Codec } from './codec.ts';

/** Checks the arguments of `encode`; returns the common length of all shards in bytes. */
export function checkEncode(
  codec: Codec,
  k: number,
  m: number,
  data: readonly Uint8Array[],
  parity: readonly Uint8Array[],
): number {
  checkGeometry(codec, k, m);
  assert(data.length === k, `${codec.name}: ${data.length} data shards given, k is ${k}`);
  assert(parity.length === m, `${codec.name}: ${parity.length} parity shards given, m is ${m}`);
  const lengthBytes = data[0]!.length;
  checkLengths(codec, [...data, ...parity], lengthBytes);
  return lengthBytes;
}

export interface DecodePlan {
  readonly lengthBytes: number;
  /** Indices of the k shards to compute from: data shards first, since they cost least. */
  readonly sources: readonly number[];
}

/**
 * Checks the arguments of `decode` and chooses the sources.
 * @throws DataUnavailable when fewer than k shards are present
 */
export function planDecode(
  codec: Codec,
  k: number,
  m: number,
  present: readonly (Uint8Array | undefined)[],
  wanted: ReadonlyMap<number, Uint8Array>,
): DecodePlan {
  checkGeometry(codec, k, m);
  assert(present.length === k + m, `${codec.name}: ${present.length} shards given, k + m is ${k + m}`);
  const sources: number[] = [];
  for (let i = 0; i < k + m && sources.length < k; i++) if (present[i]) sources.push(i);
  if (sources.length < k) {
    throw new HoldfastError('DataUnavailable', {
      detail: `${codec.name}: ${sources.length} shards are present, ${k} are needed`,
    });
  }
  const lengthBytes = present[sources[0]!]!.length;
  for (const index of wanted.keys()) {
    assert(Number.isInteger(index) && index >= 0 && index < k + m, `${codec.name}: no shard ${index}`);
    assert(!present[index], `${codec.name}: shard ${index} is both present and wanted`);
  }
  checkLengths(codec, [...present.filter((shard) => shard !== undefined), ...wanted.values()], lengthBytes);
  return { lengthBytes, sources };
}

function checkGeometry(codec: Codec, k: number, m: number): void {
  if (!codec.supports(k, m)) {
    throw new HoldfastError('InvalidArgument', { detail: `${codec.name} cannot code ${k} + ${m}` });
  }
}

function checkLengths(codec: Codec, shards: readonly Uint8Array[], lengthBytes: number): void {
  for (const shard of shards) {
    assert(
      shard.length === lengthBytes,
      `${codec.name}: shards of ${shard.length} and ${lengthBytes} bytes in one call`,
    );
  }
}
