/** Digests for tests, plain and slow: the CRCs bit by bit from their polynomials, the rest from node. */
import { createHash } from 'node:crypto';
import type { BodyDigests, DigestAlgorithm } from '../../src/coding/digests.ts';

function crc(data: Uint8Array, polynomial: bigint, bits: bigint): Buffer {
  const mask = (1n << bits) - 1n;
  const table = Array.from({ length: 256 }, (_, index) => {
    let value = BigInt(index);
    for (let bit = 0; bit < 8; bit++) value = value & 1n ? (value >> 1n) ^ polynomial : value >> 1n;
    return value;
  });
  let value = mask;
  for (const byte of data) value = (table[Number((value ^ BigInt(byte)) & 0xffn)] ?? 0n) ^ (value >> 8n);
  return Buffer.from((value ^ mask).toString(16).padStart(Number(bits) / 4, '0'), 'hex');
}

export function digestOf(data: Uint8Array, algorithm: DigestAlgorithm): Buffer {
  if (algorithm === 'crc32') return crc(data, 0xedb88320n, 32n);
  if (algorithm === 'crc32c') return crc(data, 0x82f63b78n, 32n);
  if (algorithm === 'crc64nvme') return crc(data, 0x9a6c9329ac4bc9b5n, 64n);
  return createHash(algorithm).update(data).digest();
}

export function digestsOf(data: Uint8Array, algorithms: readonly DigestAlgorithm[]): BodyDigests {
  const entries = algorithms.map((algorithm) => [algorithm, digestOf(data, algorithm)] as const);
  return { md5: digestOf(data, 'md5'), ...Object.fromEntries(entries) };
}
