/**
 * Incremental digests of all that S3 speaks of, one interface for all. Cryptographic hashes are node's (MD5 0.76, SHA-1 1.8,
 * SHA-256 1.5 GB/s a thread), CRCs are in crc.ts. Synchronous: whoever hashes much does it on a worker thread
 * (src/stripes/engine).
 *
 * One MD5 goes as fast in the addon as in node, both wait for each step of it, and a state of the addon's takes longer to
 * make; its gain is in several at once (`md5UpdateMany`), and in one call for bytes that are there whole.
 */
import { createHash } from 'node:crypto';
import { native } from '../base/native.ts';
import { createCrc } from './crc.ts';
import type { BodyDigests, DigestAlgorithm } from './digests.ts';

export interface Digest {
  /** The bytes may lie in shared memory and may change again afterwards. */
  update(bytes: Uint8Array): void;
  /** Raw bytes, big-endian for the CRCs. Called once, at the end. */
  digest(): Buffer;
}

export function createDigest(algorithm: DigestAlgorithm): Digest {
  switch (algorithm) {
    case 'crc32':
    case 'crc32c':
    case 'crc64nvme': {
      const crc = createCrc(algorithm);
      return { update: crc.update, digest: crc.value };
    }
    default: {
      const hash = createHash(algorithm);
      return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() };
    }
  }
}

export interface BodyDigest {
  update(bytes: Uint8Array): void;
  digest(): BodyDigests;
}

/** Several digests over the same bytes: what `algorithms` names and nothing else. An algorithm that is named twice counts once. */
export function createBodyDigest(algorithms: readonly DigestAlgorithm[]): BodyDigest {
  const digests = [...new Set(algorithms)].map((algorithm) => [algorithm, createDigest(algorithm)] as const);
  return {
    update: (bytes) => {
      for (const [, digest] of digests) digest.update(bytes);
    },
    digest: () => Object.fromEntries(digests.map(([algorithm, digest]) => [algorithm, digest.digest()])),
  };
}

/** The digests of a body that is in memory whole; for small ones, where a hop to a worker costs more than the hash. */
export function digestNow(algorithms: readonly DigestAlgorithm[], bytes: Uint8Array): BodyDigests {
  return Object.fromEntries(
    [...new Set(algorithms)].map((algorithm) => [algorithm, digestOf(algorithm, bytes)]),
  );
}

function digestOf(algorithm: DigestAlgorithm, bytes: Uint8Array): Buffer {
  if (algorithm === 'md5') return native().addon?.md5(bytes) ?? createHash('md5').update(bytes).digest();
  const digest = createDigest(algorithm);
  digest.update(bytes);
  return digest.digest();
}
