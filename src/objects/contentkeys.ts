/**
 * Keys of contents and proofs of versions, on top of the epoch keyring (design/keys.md, "Hierarchy"). Every read goes through
 * here: name → authenticator → content → wrapped key → stream keys, each step verified. What was verified is kept in bounded
 * maps together with the bytes it was verified from, so that a hot GET pays a comparison instead of three derivations and
 * altered metadata is never taken for something that was checked before.
 */
import { hash } from 'node:crypto';
import { mapKey } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import type { ChunkKeys } from '../crypto/chunked.ts';
import {
  type AuthenticContent,
  beginContent,
  makeVersionAuthenticator,
  openContent,
  openVersionAuthenticator,
  type VersionContent,
} from '../crypto/content.ts';
import { ID_BYTES } from '../crypto/context.ts';
import type { EpochKey } from '../crypto/epoch.ts';
import type { CurrentEpoch, EpochKeyring } from '../crypto/keyring.ts';
import type { MetadataEngine } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import {
  type ContentRecord,
  decodeRecord,
  type EpochRecord,
  encodeRecord,
  RECORD_FORMAT,
} from '../metadata/records.ts';
import type { Change } from './change.ts';
import { Lru } from './lru.ts';

/** About 700 bytes each. */
const CONTENT_KEYS_MAX = 16_384;
/** Entries of verified lists, about 200 bytes each; a version of 10,000 parts is 10,000 of them. */
const VERIFIED_ENTRIES_MAX = 65_536;

/** The key of a content that is being written. */
export interface FreshContentKey {
  readonly contentId: Buffer;
  readonly bucketId: Buffer;
  readonly epoch: EpochKey;
  /** To be committed with the content. */
  readonly current: CurrentEpoch;
  readonly suite: number;
  readonly generation: number;
  readonly wrap: Buffer;
  readonly header: Buffer;
  readonly keys: ChunkKeys;
}

export interface SealedVersion {
  readonly versionId: Buffer;
  readonly epochId: Buffer;
  readonly authenticator: Buffer;
  readonly current: CurrentEpoch;
}

interface OpenedContent {
  readonly wrap: Buffer;
  readonly header: Buffer;
  readonly wrapHash: Buffer;
  readonly keys: ChunkKeys;
}

export class ContentKeys {
  readonly #keyring: EpochKeyring;
  readonly #engine: MetadataEngine;
  readonly #random: Random;
  readonly #opened = new Lru<OpenedContent>(CONTENT_KEYS_MAX);
  readonly #verified = new Lru<readonly AuthenticContent[]>(VERIFIED_ENTRIES_MAX, (list) => list.length + 1);

  constructor(keyring: EpochKeyring, engine: MetadataEngine, random: Random) {
    this.#keyring = keyring;
    this.#engine = engine;
    this.#random = random;
  }

  /** A new content id with a fresh key under the bucket's current epoch. */
  fresh(bucketId: Buffer): FreshContentKey {
    const current = this.#keyring.current(bucketId);
    const contentId = this.#random.bytes(ID_BYTES);
    const content = beginContent(current.epoch, contentId, this.#random);
    const { generation } = current.epoch;
    return { contentId, bucketId, epoch: current.epoch, current, generation, ...content };
  }

  /** A new version id with the proof that the object called `name` consists of `contents`. */
  sealVersion(bucketId: Buffer, name: Buffer, contents: readonly VersionContent[]): SealedVersion {
    const current = this.#keyring.current(bucketId);
    const versionId = this.#random.bytes(ID_BYTES);
    const { epoch } = current;
    const authenticator = makeVersionAuthenticator(epoch, versionId, name, contents, this.#random);
    return { versionId, epochId: epoch.epochId, authenticator, current };
  }

  /** Epochs that are not durable yet become so with this commit. */
  putEpochs(change: Change, epochs: readonly CurrentEpoch[]): void {
    const seen = new Set<string>();
    for (const { epoch, record } of epochs) {
      if (record === undefined || seen.has(mapKey(epoch.epochId))) continue;
      seen.add(mapKey(epoch.epochId));
      const value: EpochRecord = { v: RECORD_FORMAT, ...record };
      change.put(keys.epoch(epoch.bucketId, epoch.epochId), encodeRecord(value));
    }
  }

  /** The commit that `putEpochs` was part of is durable. */
  epochsDurable(epochs: readonly CurrentEpoch[]): void {
    for (const { epoch, record } of epochs) if (record !== undefined) this.#keyring.markDurable(epoch);
  }

  async #epoch(bucketId: Buffer, epochId: Buffer): Promise<EpochKey> {
    const cached = this.#keyring.cached(bucketId, epochId);
    if (cached !== undefined) return cached;
    const bytes = await this.#engine.get(keys.epoch(bucketId, epochId));
    if (bytes === undefined) {
      throw new HoldfastError('AuthenticationFailed', { detail: 'the epoch of a version has no record' });
    }
    return this.#keyring.open(bucketId, epochId, decodeRecord<EpochRecord>(bytes));
  }

  /**
   * The contents of the version that is stored under `name`, in order. A version id is never used twice, so what was once
   * verified for these ids and this name stays so; the authenticator is loaded only when it is needed.
   * @throws AuthenticationFailed when the authenticator was made for anything else
   */
  async contentsOf(
    bucketId: Buffer,
    name: Buffer,
    version: { readonly versionId: Buffer; readonly epochId: Buffer },
    loadAuthenticator: () => Promise<Buffer> | Buffer,
  ): Promise<readonly AuthenticContent[]> {
    const key = mapKey(version.versionId) + mapKey(version.epochId) + mapKey(bucketId) + mapKey(name);
    const known = this.#verified.get(key);
    if (known !== undefined) return known;
    const epoch = await this.#epoch(bucketId, version.epochId);
    const contents = openVersionAuthenticator(epoch, version.versionId, name, await loadAuthenticator());
    this.#verified.set(key, contents);
    return contents;
  }

  /**
   * Stream keys of a content, given what the version's authenticator says of it.
   * @throws AuthenticationFailed when its record is not the one that the version was made with
   */
  async open(content: AuthenticContent, record: ContentRecord): Promise<ChunkKeys> {
    const key = mapKey(content.contentId);
    let opened = this.#opened.get(key);
    if (!opened?.wrap.equals(record.wrap) || !opened.header.equals(record.header)) {
      const epoch = await this.#epoch(record.bucketId, record.epochId);
      const streamKeys = openContent(epoch, content.contentId, record);
      const wrapHash = hash('sha384', record.wrap, 'buffer');
      const wrap = Buffer.from(record.wrap);
      opened = { wrap, header: Buffer.from(record.header), wrapHash, keys: streamKeys };
      this.#opened.set(key, opened);
    }
    if (!opened.wrapHash.equals(content.wrapHash)) {
      throw new HoldfastError('AuthenticationFailed', {
        detail: 'a content does not have the key that its version was made with',
      });
    }
    return opened.keys;
  }
}
