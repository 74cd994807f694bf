/**
 * An erasure codec. Shards are equally long views; implementations are synchronous kernels without state per call and
 * run on worker threads. Every implementation passes test/conformance/codec.ts.
 */
export interface Codec {
  /** Codec id in trailers and stripe records: 1 Cauchy over GF(2⁸)/0x11D (design/commits.md), 2 @ronomon/reed-solomon. */
  readonly id: number;
  readonly name: string;
  /** Whether a byte range of shards can be decoded by itself. False for codec 2. */
  readonly columnwise: boolean;
  /** Whether this codec can do k + m; codec 1: every k ≥ 1, m ≥ 0 with k + m ≤ 255. */
  supports(k: number, m: number): boolean;
  /** Fills `parity` (m shards) from `data` (k shards). All of one length; codec 2 wants a multiple of 8. */
  encode(k: number, m: number, data: readonly Uint8Array[], parity: readonly Uint8Array[]): void;
  /**
   * Rebuilds shards. `present` has k + m entries: shards known to be good, undefined where there is none; at least k
   * must be there. `wanted` maps the index of each shard to rebuild to the view that receives it.
   */
  decode(
    k: number,
    m: number,
    present: readonly (Uint8Array | undefined)[],
    wanted: ReadonlyMap<number, Uint8Array>,
  ): void;
}
