/**
 * Codec 2: the code of @ronomon/reed-solomon 6 (k ≤ 24, 1 ≤ m ≤ 6, shards a multiple of 8 bytes), for who asks for it. The
 * package is optional: without it the codec does not exist, and nothing else changes.
 *
 * Its `encode` only runs on libuv's thread pool and answers by callback, which a synchronous kernel on a worker thread
 * cannot wait for. Its `create` (the bit matrix for k and m) and `XOR` are synchronous, and the code is nothing but XORs of
 * packets chosen by that matrix; so the matrix walk is done here and the XORs natively. test/coding/ronomon.test.ts
 * holds the bytes against the package's own `encode`.
 *
 * Parity depends on the shard's length (packets are sized by a cache rule, see `packetBytes`), so no part of a shard can
 * be decoded by itself. The native functions end the process on a failed assertion, for instance for an empty buffer:
 * nothing reaches them unchecked.
 */
import { createRequire } from 'node:module';
import { assert } from '../base/assert.ts';
import { type BitRow, combineBits, invertBits } from './bitmatrix.ts';
import type { Codec } from './codec.ts';
import { checkEncode, planDecode } from './shards.ts';

export const RONOMON_CODEC_ID = 2;
const DATA_SHARDS_MAX = 24;
const PARITY_SHARDS_MAX = 6;
const SHARD_STEP_BYTES = 8;
/** The package's constants for packet sizes; they are part of the format. */
const PACKET_CACHE_BYTES = 1024 * 1024;
const PACKET_BYTES_MIN = 64;

/** The part of the package that is used; every argument must have been checked. */
export interface RonomonBinding {
  /** w, k, m, then m·w rows of k·w bits, a byte each. */
  create(k: number, m: number): Uint8Array;
  XOR(source: Uint8Array, sourceOffset: number, target: Uint8Array, targetOffset: number, size: number): void;
}

/**
 * The codec, or undefined when the package is not installed or was built for something else. `require`, because Node
 * warns of every `import` of an addon.
 */
export function loadRonomonCodec(): Codec | undefined {
  try {
    const load = createRequire(import.meta.url);
    return createRonomonCodec(load('@ronomon/reed-solomon') as RonomonBinding);
  } catch {
    return undefined;
  }
}

interface Geometry {
  /** Packets of a row of packets in one shard. */
  readonly w: number;
  /** Row b + w·i is packet b of parity shard i as a combination of the k·w data packets. */
  readonly parityRows: readonly BitRow[];
}

export function createRonomonCodec(binding: RonomonBinding): Codec {
  const geometries = new Map<number, Geometry>();

  function geometryOf(k: number, m: number): Geometry {
    const key = k * (PARITY_SHARDS_MAX + 1) + m;
    let geometry = geometries.get(key);
    if (!geometry) {
      geometry = parseContext(binding.create(k, m), k, m);
      geometries.set(key, geometry);
    }
    return geometry;
  }

  return {
    id: RONOMON_CODEC_ID,
    name: 'codec 2 (@ronomon/reed-solomon)',
    columnwise: false,
    supports: (k, m) =>
      Number.isInteger(k) &&
      Number.isInteger(m) &&
      k >= 1 &&
      k <= DATA_SHARDS_MAX &&
      m >= 1 &&
      m <= PARITY_SHARDS_MAX,
    encode(k, m, data, parity) {
      const lengthBytes = checkEncode(this, k, m, data, parity);
      checkLength(this, lengthBytes);
      const { w, parityRows } = geometryOf(k, m);
      for (const [i, shard] of parity.entries()) {
        dotPackets(binding, w, parityRows.slice(i * w, (i + 1) * w), data, shard);
      }
    },
    decode(k, m, present, wanted) {
      const { lengthBytes, sources } = planDecode(this, k, m, present, wanted);
      checkLength(this, lengthBytes);
      const geometry = geometryOf(k, m);
      const inverse = wanted.size > 0 ? dataFromSources(geometry, k, sources) : [];
      const views = sources.map((index) => present[index]!);
      for (const [index, target] of wanted) {
        dotPackets(binding, geometry.w, rowsOfShard(geometry, k, index, inverse), views, target);
      }
    },
  };
}

function checkLength(codec: Codec, lengthBytes: number): void {
  assert(
    lengthBytes % SHARD_STEP_BYTES === 0,
    `${codec.name}: shards of ${lengthBytes} bytes are not a multiple of ${SHARD_STEP_BYTES}`,
  );
}

/** With one data shard the package copies instead of coding, whatever its matrix says. */
function parseContext(context: Uint8Array, k: number, m: number): Geometry {
  const w = context[0]!;
  const width = k * w;
  assert(context.length === 3 + width * m * w, 'codec 2: unexpected context of @ronomon/reed-solomon');
  const parityRows = Array.from({ length: m * w }, (_, row) =>
    k === 1
      ? unitRow(width, row % w)
      : Uint8Array.from(context.subarray(3 + row * width, 3 + (row + 1) * width)),
  );
  return { w, parityRows };
}

function unitRow(width: number, position: number): BitRow {
  const row = new Uint8Array(width);
  row[position] = 1;
  return row;
}

/** Every data packet as a combination of the sources' packets. */
function dataFromSources({ w, parityRows }: Geometry, k: number, sources: readonly number[]): BitRow[] {
  return invertBits(
    sources.flatMap((index) =>
      Array.from({ length: w }, (_, packet) =>
        index < k ? unitRow(k * w, index * w + packet) : parityRows[(index - k) * w + packet]!,
      ),
    ),
  );
}

function rowsOfShard({ w, parityRows }: Geometry, k: number, index: number, inverse: BitRow[]): BitRow[] {
  if (index < k) return inverse.slice(index * w, (index + 1) * w);
  return parityRows
    .slice((index - k) * w, (index - k + 1) * w)
    .map((selector) => combineBits(selector, inverse, k * w));
}

/** The size of a packet: as large as the format's cache rule allows. Fixed by the package; changing it changes parity. */
function packetBytes(w: number, k: number, shardLengthBytes: number): number {
  let bytes = shardLengthBytes / w;
  while (bytes > PACKET_BYTES_MIN && bytes % 2 === 0 && (1 + k * w) * bytes > PACKET_CACHE_BYTES) bytes /= 2;
  return bytes;
}

/** target's packet a = XOR of the source packets that rows[a] names, for each stretch of w packets. */
function dotPackets(
  binding: RonomonBinding,
  w: number,
  rows: readonly BitRow[],
  sources: readonly Uint8Array[],
  target: Uint8Array,
): void {
  if (target.length === 0) return;
  target.fill(0);
  const packet = packetBytes(w, sources.length, target.length);
  for (let stretch = 0; stretch < target.length; stretch += w * packet) {
    for (const [a, row] of rows.entries()) {
      for (let column = 0; column < row.length; column++) {
        if (!row[column]) continue;
        const source = sources[Math.floor(column / w)]!;
        binding.XOR(source, stretch + (column % w) * packet, target, stretch + a * packet, packet);
      }
    }
  }
}
