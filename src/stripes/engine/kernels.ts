/**
 * The work itself, synchronous and without state: what inline.ts calls directly and worker.ts on behalf of workers.ts. A
 * request holds nothing but numbers and views, so that it can be posted to a thread; a view in shared memory is posted by
 * reference.
 */
import { assert } from '../../base/assert.ts';
import { HoldfastError } from '../../base/errors.ts';
import { BLAKE3_BYTES, blake3 } from '../../coding/blake3.ts';
import { codecById } from '../../coding/registry.ts';
import { openRun, sealedLength, sealedRunLength, sealRun } from '../../crypto/chunked.ts';
import { stripeShape } from '../shape.ts';
import type { PayloadRange, Profile, SealRun } from '../types.ts';
import type { OpenRequest } from './types.ts';

export interface SealJob {
  readonly kind: 'seal';
  readonly plaintext: Uint8Array;
  readonly fragments: Uint8Array;
  readonly runs: readonly SealRun[];
  readonly profile: Profile;
}

export interface EncodeJob {
  readonly kind: 'encode';
  readonly fragments: Uint8Array;
  readonly payloadLengthBytes: number;
  readonly profile: Profile;
}

export interface ReconstructJob {
  readonly kind: 'reconstruct';
  readonly profile: Profile;
  readonly present: readonly (Uint8Array | undefined)[];
  readonly wanted: ReadonlyMap<number, Uint8Array>;
}

export interface HashJob {
  readonly kind: 'hash';
  readonly views: readonly Uint8Array[];
}

export interface OpenJob extends OpenRequest {
  readonly kind: 'open';
}

export type KernelJob = SealJob | EncodeJob | ReconstructJob | HashJob | OpenJob;

/** Where the sealed runs will lie, known before anything is computed. */
export function payloadRanges(runs: readonly SealRun[]): PayloadRange[] {
  let offsetBytes = 0;
  return runs.map((run) => {
    const lengthBytes = sealedRunLength(run.plaintextLengthBytes, run.final);
    const range = { offsetBytes, lengthBytes };
    offsetBytes += lengthBytes;
    return range;
  });
}

/** Fragment `index` of those that lie side by side in `fragments`. */
export function fragmentView(fragments: Uint8Array, index: number, fragmentLengthBytes: number): Uint8Array {
  return fragments.subarray(index * fragmentLengthBytes, (index + 1) * fragmentLengthBytes);
}

/** Runs a job. Returns the roots one behind the other, or for `open` the plaintext's length. */
export function runKernel(job: KernelJob): Uint8Array | number {
  switch (job.kind) {
    case 'seal':
      return seal(job);
    case 'encode':
      return encode(job);
    case 'reconstruct':
      codecById(job.profile.codecId).decode(job.profile.k, job.profile.m, job.present, job.wanted);
      return roots([...job.wanted.values()]);
    case 'hash':
      return roots(job.views);
    case 'open':
      return openRun(job, job.firstChunkIndex, job.ciphertext, job.final, job.plaintext);
  }
}

/**
 * Checks that everything lies inside the buffer; returns the length of the payload.
 * @throws InvalidArgument when the sealed runs exceed it
 */
export function checkSeal({ plaintext, fragments, runs, profile }: SealJob): number {
  const ranges = payloadRanges(runs);
  const payloadLengthBytes = ranges.reduce((sum, range) => sum + range.lengthBytes, 0);
  if (payloadLengthBytes > sealedLength(plaintext.length)) {
    throw new HoldfastError('InvalidArgument', {
      detail: `runs of ${payloadLengthBytes} sealed bytes are more than a stripe holds`,
    });
  }
  checkRoom(fragments, payloadLengthBytes, profile);
  for (const { plaintextOffsetBytes, plaintextLengthBytes } of runs) {
    const end = plaintextOffsetBytes + plaintextLengthBytes;
    assert(plaintextOffsetBytes >= 0 && end <= plaintext.length, 'a run lies inside the plaintext');
  }
  return payloadLengthBytes;
}

function seal(job: SealJob): Uint8Array {
  const { plaintext, fragments, runs, profile } = job;
  const payloadLengthBytes = checkSeal(job);
  for (const [i, { offsetBytes, lengthBytes }] of payloadRanges(runs).entries()) {
    const run = runs[i]!;
    sealRun(
      run,
      run.firstChunkIndex,
      plaintext.subarray(run.plaintextOffsetBytes, run.plaintextOffsetBytes + run.plaintextLengthBytes),
      run.final,
      fragments.subarray(offsetBytes, offsetBytes + lengthBytes),
    );
  }
  return encode({ kind: 'encode', fragments, payloadLengthBytes, profile });
}

function encode({ fragments, payloadLengthBytes, profile }: EncodeJob): Uint8Array {
  checkRoom(fragments, payloadLengthBytes, profile);
  const { k, m, codecId } = profile;
  const { fragmentLengthBytes } = stripeShape(payloadLengthBytes, k);
  fragments.fill(0, payloadLengthBytes, k * fragmentLengthBytes);
  const views = Array.from({ length: k + m }, (_, i) => fragmentView(fragments, i, fragmentLengthBytes));
  codecById(codecId).encode(k, m, views.slice(0, k), views.slice(k));
  return roots(views);
}

export function checkRoom(fragments: Uint8Array, payloadLengthBytes: number, { k, m }: Profile): void {
  const neededBytes = (k + m) * stripeShape(payloadLengthBytes, k).fragmentLengthBytes;
  if (neededBytes > fragments.length) {
    throw new HoldfastError('InvalidArgument', {
      detail: `a payload of ${payloadLengthBytes} bytes coded ${k} + ${m} does not fit a stripe buffer`,
    });
  }
}

function roots(views: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(views.length * BLAKE3_BYTES);
  for (const [i, view] of views.entries()) all.set(blake3(view), i * BLAKE3_BYTES);
  return all;
}

/** The roots that a kernel returned, as buffers of their own. */
export function splitRoots(all: Uint8Array): Buffer[] {
  return Array.from({ length: all.length / BLAKE3_BYTES }, (_, i) =>
    Buffer.from(all.subarray(i * BLAKE3_BYTES, (i + 1) * BLAKE3_BYTES)),
  );
}
