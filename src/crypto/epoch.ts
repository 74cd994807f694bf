/**
 * Epoch keys (design/keys.md, "Hierarchy"): 32 random bytes, new every few minutes for each bucket. Content keys are
 * wrapped under them, and they are sealed under D(G, "epoch"). The recipients of a bucket come with the recovery words.
 *
 *   symmetric   = Seal(D(G, "epoch"), "epoch" ‖ 0x00 ‖ suite u16 ‖ bucketId16 ‖ epochId16, epoch key)
 *   commitment  = D(epoch key, "commit", 32), checked after opening
 */
import { timingSafeEqual } from 'node:crypto';
import { HoldfastError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { buildIdContext, ID_BYTES, KEY_BYTES, requireSuite, SUITE_COBBLESTONE_256 } from './context.ts';
import { derive, type KeyScope } from './derive.ts';
import type { GridKeys } from './gridkeys.ts';
import { open, seal } from './seal.ts';

/** An epoch whose key is known, with everything that its wraps are bound to. */
export interface EpochKey extends KeyScope {
  readonly suite: number;
  readonly bucketId: Buffer;
  readonly epochId: Buffer;
  /** 32 bytes. */
  readonly key: Buffer;
}

/** The fields of an EpochRecord (src/metadata/records.ts) that this layer makes and reads. */
export interface SealedEpoch {
  readonly suite: number;
  readonly generation: number;
  /** Absent in a sealed bucket. */
  readonly symmetric?: Buffer;
  readonly commitment: Buffer;
}

/** What goes into metadata; put the record's format beside it. */
export interface NewSealedEpoch extends SealedEpoch {
  readonly createdMs: number;
  readonly symmetric: Buffer;
  readonly recipients: readonly [];
}

export interface NewEpoch {
  readonly epoch: EpochKey;
  readonly record: NewSealedEpoch;
}

function epochContext(suite: number, bucketId: Uint8Array, epochId: Uint8Array): Buffer {
  return buildIdContext('epoch', suite, bucketId, epochId);
}

function commitmentOf(epochKey: Uint8Array, scope: KeyScope): Buffer {
  return derive(epochKey, 'commit', scope, KEY_BYTES);
}

export function makeEpoch(keys: GridKeys, bucketId: Uint8Array, random: Random, nowMs: number): NewEpoch {
  const suite = SUITE_COBBLESTONE_256;
  const epoch: EpochKey = {
    gridId: keys.gridId,
    generation: keys.generation,
    suite,
    bucketId: Buffer.from(bucketId),
    epochId: random.bytes(ID_BYTES),
    key: random.bytes(KEY_BYTES),
  };
  const context = epochContext(suite, bucketId, epoch.epochId);
  return {
    epoch,
    record: {
      suite,
      generation: keys.generation,
      createdMs: nowMs,
      symmetric: seal(keys.epoch, context, epoch.key, random),
      recipients: [],
      commitment: commitmentOf(epoch.key, keys),
    },
  };
}

/**
 * Opens the symmetric copy.
 * @throws AccessDenied when there is none (a sealed bucket), FormatTooNew for an unknown suite, AuthenticationFailed when
 *   the record is not of this grid, key generation, bucket and epoch
 */
export function openEpoch(
  keys: GridKeys,
  bucketId: Uint8Array,
  epochId: Uint8Array,
  record: SealedEpoch,
): EpochKey {
  requireSuite(record.suite, 'an epoch');
  if (record.generation !== keys.generation) {
    throw new HoldfastError('AuthenticationFailed', {
      detail: `an epoch was sealed under key generation ${record.generation}, this gateway holds ${keys.generation}`,
    });
  }
  if (!record.symmetric) {
    throw new HoldfastError('AccessDenied', {
      detail: 'the bucket is sealed: only its recipients can read it',
    });
  }
  const key = open(keys.epoch, epochContext(record.suite, bucketId, epochId), record.symmetric);
  const scope: KeyScope = { gridId: keys.gridId, generation: record.generation };
  const commitment = commitmentOf(key, scope);
  if (record.commitment.length !== commitment.length || !timingSafeEqual(commitment, record.commitment)) {
    throw new HoldfastError('AuthenticationFailed', {
      detail: 'an epoch key does not match its commitment',
    });
  }
  return {
    ...scope,
    suite: record.suite,
    bucketId: Buffer.from(bucketId),
    epochId: Buffer.from(epochId),
    key,
  };
}
