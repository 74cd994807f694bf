/**
 * The three CRCs of S3 (docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html): CRC-32
 * (ISO-HDLC, zlib's), CRC-32C (Castagnoli, RFC 3720) and CRC-64/NVME (NVM command set; reveng.sourceforge.io/crc-catalogue
 * has all three). All are reflected, start from all ones and end inverted, so the CRC of a concatenation follows from the CRCs
 * of its parts: that is how full-object checksums of multipart uploads are made without reading the object.
 *
 * They run in the native addon (native/kernels/crc.c: 66 GB/s a thread with AVX-512, and 45 ns a call, so that it is taken for
 * any length). Without it CRC-32 is zlib's (3 to 5 GB/s); the other two run in hash-wasm (1.7 and 1.1), one module instance for
 * all digests of a thread, with the state of each digest (8 or 12 bytes) put back before each update.
 */

import { crc32 } from 'node:zlib';
import { createCRC32, createCRC64, type IHasher } from 'hash-wasm';
import { assert } from '../base/assert.ts';
import { type NativeCrc, native } from '../base/native.ts';

export const crcAlgorithms = ['crc32', 'crc32c', 'crc64nvme'] as const;
export type CrcAlgorithm = (typeof crcAlgorithms)[number];

/** An incremental CRC; `value` is big-endian, 4 or 8 bytes. */
export interface RunningCrc {
  update(bytes: Uint8Array): void;
  value(): Buffer;
}

interface Parameters {
  readonly widthBits: number;
  /** Reflected: the coefficient of x⁰ is the highest bit. */
  readonly polynomial: bigint;
}

const parameters: Readonly<Record<CrcAlgorithm, Parameters>> = {
  crc32: { widthBits: 32, polynomial: 0xedb88320n },
  crc32c: { widthBits: 32, polynomial: 0x82f63b78n },
  crc64nvme: { widthBits: 64, polynomial: 0x9a6c9329ac4bc9b5n },
};

const castagnoli = await createCRC32(0x82f63b78);
const nvme = await createCRC64('9a6c9329ac4bc9b5');

export function createCrc(algorithm: CrcAlgorithm): RunningCrc {
  const { addon } = native();
  if (addon === undefined) return createPortableCrc(algorithm);
  return algorithm === 'crc64nvme' ? createNativeCrc64(addon) : createCrc32(addon[algorithm]);
}

/** Without the addon. */
export function createPortableCrc(algorithm: CrcAlgorithm): RunningCrc {
  if (algorithm === 'crc32') return createCrc32(crc32);
  return createWasmCrc(algorithm === 'crc32c' ? castagnoli : nvme);
}

function createCrc32(crcOf: (bytes: Uint8Array, initial: number) => number): RunningCrc {
  let state = 0;
  return {
    update: (bytes) => {
      state = crcOf(bytes, state);
    },
    value: () => bytesOf32(state),
  };
}

function createNativeCrc64(addon: NativeCrc): RunningCrc {
  let state = 0n;
  return {
    update: (bytes) => {
      state = addon.crc64nvme(bytes, state);
    },
    value: () => bytesOf64(state),
  };
}

function createWasmCrc(hasher: IHasher): RunningCrc {
  let state = hasher.init().save();
  return {
    update: (bytes) => {
      state = hasher.load(state).update(bytes).save();
    },
    value: () => Buffer.from(hasher.load(state).digest('binary')),
  };
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

/**
 * The CRC of A ‖ B from the CRCs of A and of B and the length of B: crc(A)·x^(8·length) ⊕ crc(B) modulo the polynomial. The
 * initial and final inversions cancel out.
 */
export function combineCrcs(
  algorithm: CrcAlgorithm,
  first: Uint8Array,
  second: Uint8Array,
  secondLengthBytes: number,
): Buffer {
  const widthBytes = parameters[algorithm].widthBits / 8;
  assert(
    first.length === widthBytes && second.length === widthBytes,
    `a ${algorithm} has ${widthBytes} bytes`,
  );
  assert(Number.isSafeInteger(secondLengthBytes) && secondLengthBytes >= 0, 'a length is a whole number');
  const { addon } = native();
  if (addon === undefined) return combinePortably(algorithm, first, second, secondLengthBytes);
  const [a, b] = [toBigInt(first), toBigInt(second)];
  if (algorithm === 'crc64nvme') return bytesOf64(addon.crc64nvmeCombine(a, b, secondLengthBytes));
  const combine = algorithm === 'crc32' ? addon.crc32Combine : addon.crc32cCombine;
  return bytesOf32(combine(Number(a), Number(b), secondLengthBytes));
}

/** Without the addon: 20 to 35 µs, or 5 for the same length as last time, as parts mostly are. */
export function combinePortably(
  algorithm: CrcAlgorithm,
  first: Uint8Array,
  second: Uint8Array,
  secondLengthBytes: number,
): Buffer {
  const shifted = multiplyModulo(algorithm, toBigInt(first), powerOfX(algorithm, secondLengthBytes));
  const combined = shifted ^ toBigInt(second);
  return algorithm === 'crc64nvme' ? bytesOf64(combined) : bytesOf32(Number(combined));
}

function toBigInt(bytes: Uint8Array): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** Product of two reflected polynomials modulo the algorithm's. */
function multiplyModulo(algorithm: CrcAlgorithm, a: bigint, b: bigint): bigint {
  const { widthBits, polynomial } = parameters[algorithm];
  let product = 0n;
  let multiple = b;
  for (let bit = 1n << BigInt(widthBits - 1); bit > 0n; bit >>= 1n) {
    if (a & bit) product ^= multiple;
    multiple = multiple & 1n ? (multiple >> 1n) ^ polynomial : multiple >> 1n;
  }
  return product;
}

/** For each algorithm x^(8·2ⁱ), made as far as lengths have needed it: at most 53 entries. */
const powers: Record<CrcAlgorithm, bigint[]> = { crc32: [], crc32c: [], crc64nvme: [] };

let lastPower: { algorithm: CrcAlgorithm; lengthBytes: number; power: bigint } | undefined;

/** x^(8·lengthBytes) modulo the algorithm's polynomial, reflected. */
function powerOfX(algorithm: CrcAlgorithm, lengthBytes: number): bigint {
  if (lastPower?.algorithm !== algorithm || lastPower.lengthBytes !== lengthBytes) {
    lastPower = { algorithm, lengthBytes, power: computePowerOfX(algorithm, lengthBytes) };
  }
  return lastPower.power;
}

function computePowerOfX(algorithm: CrcAlgorithm, lengthBytes: number): bigint {
  const known = powers[algorithm];
  const { widthBits } = parameters[algorithm];
  let result = 1n << BigInt(widthBits - 1);
  let remaining = lengthBytes;
  for (let i = 0; remaining > 0; i++, remaining = Math.floor(remaining / 2)) {
    const previous = known[i - 1];
    // x⁸ has the coefficient eight places below that of x⁰.
    known[i] ??=
      previous === undefined ? 1n << BigInt(widthBits - 9) : multiplyModulo(algorithm, previous, previous);
    if (remaining % 2 === 1) result = multiplyModulo(algorithm, result, known[i]!);
  }
  return result;
}
