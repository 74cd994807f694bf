/**
 * The digests of one body on native threads, where MD5 goes many bodies at a time (native/engine/digest.h). The first bytes are only kept
 * (copied) until it is clear that the body is larger than what is digested faster here than elsewhere.
 */
import { assert } from '../../base/assert.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { NativeDigest } from '../../base/native.ts';
import { NativeJobError, type NativeJobs } from '../../base/nativejobs.ts';
import { digestNow } from '../../coding/digest.ts';
import type { BodyDigests, DigestAlgorithm } from '../../coding/digests.ts';
import { allSettled } from '../exchange.ts';
import type { BodyDigester } from '../types.ts';
import { DIGEST_INLINE_BYTES_MAX } from './digester.ts';
import { DigestGather } from './digestgather.ts';
import { ownCopy } from './shared.ts';

/** As in native/engine/digest.h. */
const bits: Readonly<Record<DigestAlgorithm, number>> = {
  md5: 1,
  sha1: 2,
  sha256: 4,
  crc32: 8,
  crc32c: 16,
  crc64nvme: 32,
};

export class NativeDigester implements BodyDigester {
  readonly #jobs: NativeJobs;
  readonly #algorithms: readonly DigestAlgorithm[];
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  #digest: NativeDigest | undefined;
  #ended = false;
  readonly #gather: DigestGather;
  #leave: (() => void) | undefined;

  constructor(jobs: NativeJobs, gather: DigestGather, algorithms: readonly DigestAlgorithm[]) {
    this.#jobs = jobs;
    this.#gather = gather;
    this.#algorithms = [...new Set(algorithms)];
  }

  async update(bytes: Uint8Array): Promise<void> {
    assert(!this.#ended, 'a digest that has ended takes no more bytes');
    if (this.#digest === undefined && this.#keptBytes + bytes.length <= DIGEST_INLINE_BYTES_MAX) {
      this.#kept.push(ownCopy(bytes));
      this.#keptBytes += bytes.length;
      return;
    }
    this.#digest ??= this.#jobs.addon.digestNew(this.#algorithms.reduce((sum, name) => sum | bits[name], 0));
    const digest = this.#digest;
    const pieces = [...this.#kept.splice(0), bytes];
    if (DigestGather.isLarge(bytes)) {
      this.#leave ??= this.#gather.begin();
      await this.#gather.turn();
    }
    const take = (piece: Uint8Array) =>
      this.#jobs.run((id) => this.#jobs.addon.digestUpdate(id, digest, piece), digest, piece);
    try {
      await allSettled(pieces.map(take));
    } catch (error) {
      if (!(error instanceof NativeJobError)) throw error;
      throw new HoldfastError('InternalError', { detail: `stripe engine: ${error.message}`, cause: error });
    }
  }

  async digest(): Promise<BodyDigests> {
    assert(!this.#ended, 'a digest ends once');
    this.#end();
    const digest = this.#digest;
    if (digest === undefined) return digestNow(this.#algorithms, Buffer.concat(this.#kept));
    return Object.fromEntries(
      this.#algorithms.map((name) => [name, this.#jobs.addon.digestValue(digest, bits[name])]),
    );
  }

  #end(): void {
    this.#ended = true;
    this.#leave?.();
    this.#leave = undefined;
  }

  abandon(): void {
    this.#end();
    this.#kept = [];
    this.#digest = undefined;
  }
}
