/** Random calls of the native CRCs against their portable twins: zlib, WebAssembly and polynomial arithmetic in BigInts. */
import type { NativeAddon } from '../../src/base/native.ts';
import {
  type CrcAlgorithm,
  combinePortably,
  crcAlgorithms,
  createPortableCrc,
} from '../../src/coding/crc.ts';
import { crc32cByTable } from '../../src/node/crc32c.ts';
import { atLevels, requireAddon } from './levels.ts';
import { Random } from './random-source.ts';
import {
  badCrc32s,
  badCrc64s,
  badLengths,
  mustRefuse,
  noBigInts,
  noBytes,
  noNumbers,
} from './wrong-arguments.ts';

const ARENA_BYTES = 1 << 20;
const CALLS_PER_LEVEL = 100;

interface Call {
  readonly addon: NativeAddon;
  readonly random: Random;
  readonly arena: Uint8Array;
}

/** Mostly short, sometimes a few steps of the widest kernel, rarely all there is. */
function randomView({ random, arena }: Call): Uint8Array {
  const lengthMax = random.pick([1, 40, 40, 40, 300, 300, 3000, random.below(200) === 0 ? ARENA_BYTES : 300]);
  const length = random.below(lengthMax + 1);
  const start = random.below(ARENA_BYTES - length + 1);
  return arena.subarray(start, start + length);
}

/** Big-endian, for both widths. */
export function nativeCrc(addon: NativeAddon, algorithm: CrcAlgorithm, ...pieces: Uint8Array[]): Buffer {
  if (algorithm === 'crc64nvme') {
    return bytesOf64(pieces.reduce((crc, piece) => addon.crc64nvme(piece, crc), 0n));
  }
  return bytesOf32(pieces.reduce((crc, piece) => addon[algorithm](piece, crc), 0));
}

export function portableCrc(algorithm: CrcAlgorithm, ...pieces: Uint8Array[]): Buffer {
  const crc = createPortableCrc(algorithm);
  for (const piece of pieces) crc.update(piece);
  return crc.value();
}

export function nativeCombine(
  addon: NativeAddon,
  algorithm: CrcAlgorithm,
  first: Buffer,
  second: Buffer,
  secondLengthBytes: number,
): Buffer {
  if (algorithm === 'crc64nvme') {
    const [a, b] = [first.readBigUInt64BE(), second.readBigUInt64BE()];
    return bytesOf64(addon.crc64nvmeCombine(a, b, secondLengthBytes));
  }
  const [a, b] = [first.readUInt32BE(), second.readUInt32BE()];
  return bytesOf32(addon[`${algorithm}Combine`](a, b, secondLengthBytes));
}

function bytesOf32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function bytesOf64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

function mustEqual(what: string, actual: Buffer, expected: Buffer): void {
  if (actual.equals(expected)) return;
  throw new Error(`${what}: ${actual.toString('hex')} instead of ${expected.toString('hex')}`);
}

function update(call: Call): void {
  const algorithm = call.random.pick(crcAlgorithms);
  const pieces = Array.from({ length: 1 + call.random.below(3) }, () => randomView(call));
  const what = `${algorithm} of ${pieces.map((piece) => `${piece.length} at ${piece.byteOffset}`)}`;
  mustEqual(what, nativeCrc(call.addon, algorithm, ...pieces), portableCrc(algorithm, ...pieces));
}

function byTable(call: Call): void {
  const bytes = randomView(call).subarray(0, 5000);
  const before = call.random.next();
  const [actual, expected] = [
    call.addon.crc32c(bytes, before),
    crc32cByTable(bytes, 0, bytes.length, before),
  ];
  if (actual !== expected)
    throw new Error(`crc32c after ${before} of ${bytes.length}: ${actual}, ${expected}`);
}

function combine(call: Call): void {
  const { random, addon } = call;
  const algorithm = random.pick(crcAlgorithms);
  const widthBytes = algorithm === 'crc64nvme' ? 8 : 4;
  const [first, second] = [Buffer.alloc(widthBytes), Buffer.alloc(widthBytes)];
  random.fill(first);
  random.fill(second);
  const length = random.next() % 2 ** random.below(33);
  const lengthBytes = random.pick([
    length,
    random.next() * 2 ** random.below(22) + length,
    Number.MAX_SAFE_INTEGER - length,
  ]);
  mustEqual(
    `${algorithm} combined with ${lengthBytes} bytes`,
    nativeCombine(addon, algorithm, first, second, lengthBytes),
    combinePortably(algorithm, first, second, lengthBytes),
  );
}

function wrong({ addon, random, arena }: Call): void {
  const name = random.pick(['crc32', 'crc32c'] as const);
  const bytes = arena.subarray(0, random.below(100));
  const view = random.pick(noBytes) as Uint8Array;
  const noNumber = random.pick(noNumbers) as number;
  const noBigInt = random.pick(noBigInts) as bigint;
  const length = random.pick(badLengths);
  random.pick([
    () => mustRefuse(TypeError, () => addon[name](view)),
    () => mustRefuse(TypeError, () => addon.crc64nvme(view, 1n)),
    () => mustRefuse(TypeError, () => addon[name](bytes, noNumber)),
    () => mustRefuse(TypeError, () => addon.crc64nvme(bytes, noBigInt)),
    () => mustRefuse(RangeError, () => addon[name](bytes, random.pick(badCrc32s))),
    () => mustRefuse(RangeError, () => addon.crc64nvme(bytes, random.pick(badCrc64s))),
    () => mustRefuse(RangeError, () => addon[`${name}Combine`](1, 2, length)),
    () => mustRefuse(TypeError, () => addon[`${name}Combine`](1, noNumber, 3)),
    () => mustRefuse(RangeError, () => addon.crc64nvmeCombine(1n, 2n, length)),
    () => mustRefuse(TypeError, () => addon.crc64nvmeCombine(noBigInt, 2n, 3)),
  ])();
}

const kinds = [update, update, update, update, byTable, combine, wrong];

/** Runs calls at all levels in turn. @throws with the seed and the number of the call that failed */
export function randomCrc(calls: number, seed: number): void {
  const addon = requireAddon();
  const random = new Random(seed);
  const arenas = [new Uint8Array(ARENA_BYTES), new Uint8Array(new SharedArrayBuffer(ARENA_BYTES))];
  for (const arena of arenas) random.fill(arena);
  let n = 0;
  atLevels(addon, Math.ceil(calls / CALLS_PER_LEVEL), (level) => {
    for (let i = 0; i < CALLS_PER_LEVEL && n < calls; i++, n++) {
      const kind = random.pick(kinds);
      try {
        kind({ addon, random, arena: random.pick(arenas) });
      } catch (error) {
        throw new Error(`seed ${seed}, call ${n} (${kind.name}) at level ${level}: ${error}`, {
          cause: error,
        });
      }
    }
  });
}
