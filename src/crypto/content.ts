/**
 * Content keys and versions under an epoch key (design/keys.md, "Hierarchy"). Every content, that is a simple object's
 * body or one part, has a random key of its own:
 *
 *   wrap           Seal(epoch key, "wrap" ‖ 0x00 ‖ suite u16 ‖ bucketId16 ‖ epochId16 ‖ contentId16, content key)
 *   content        Seal(content key, "content" ‖ 0x00 ‖ suite u16 ‖ gridId16 ‖ bucketId16 ‖ contentId16, body)
 *   authenticator  Seal(epoch key, "version" ‖ 0x00 ‖ suite u16 ‖ bucketId16 ‖ epochId16 ‖ versionId16 ‖ SHA-384(name),
 *                  (contentId16 ‖ SHA-384(wrap)) of every content in order)
 *
 * The content does not depend on the object's name, so renames and copies inside a bucket never touch data; the
 * authenticator ties the name to its contents, so that whoever can write metadata cannot exchange them.
 */
import { hash } from 'node:crypto';
import { assert } from '../base/assert.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { newStreamHeader, openStreamHeader, type StreamKeys } from './chunked.ts';
import { buildIdContext, ID_BYTES, KEY_BYTES, requireSuite } from './context.ts';
import type { EpochKey } from './epoch.ts';
import { open, seal } from './seal.ts';

const SHA384_BYTES = 48;
const LIST_ENTRY_BYTES = ID_BYTES + SHA384_BYTES;

export interface VersionContent {
  readonly contentId: Uint8Array;
  /** As in the content's record. */
  readonly wrap: Uint8Array;
}

function wrapContext(epoch: EpochKey, contentId: Uint8Array): Buffer {
  return buildIdContext('wrap', epoch.suite, epoch.bucketId, epoch.epochId, contentId);
}

/** The context of a content's stream. */
export function contentContext(
  suite: number,
  gridId: Uint8Array,
  bucketId: Uint8Array,
  contentId: Uint8Array,
): Buffer {
  return buildIdContext('content', suite, gridId, bucketId, contentId);
}

/** 104 bytes. */
export function wrapContentKey(
  epoch: EpochKey,
  contentId: Uint8Array,
  contentKey: Uint8Array,
  random: Random,
): Buffer {
  assert(contentKey.length === KEY_BYTES, 'a content key has 32 bytes');
  return seal(epoch.key, wrapContext(epoch, contentId), contentKey, random);
}

/** @throws AuthenticationFailed when the wrap is not of this epoch, bucket and content */
export function unwrapContentKey(epoch: EpochKey, contentId: Uint8Array, wrap: Uint8Array): Buffer {
  const contentKey = open(epoch.key, wrapContext(epoch, contentId), wrap);
  if (contentKey.length !== KEY_BYTES) {
    throw new HoldfastError('AuthenticationFailed', { detail: 'a wrapped content key has a wrong length' });
  }
  return contentKey;
}

export interface NewContent {
  /** For the content's record. */
  readonly suite: number;
  readonly wrap: Buffer;
  readonly header: Buffer;
  /** For sealing the body. */
  readonly keys: StreamKeys;
}

/** A fresh content key, wrapped, and the header and keys of its stream. The content key itself is forgotten. */
export function beginContent(epoch: EpochKey, contentId: Uint8Array, random: Random): NewContent {
  const contentKey = random.bytes(KEY_BYTES);
  const context = contentContext(epoch.suite, epoch.gridId, epoch.bucketId, contentId);
  const { header, keys } = newStreamHeader(random, contentKey, context);
  const wrap = wrapContentKey(epoch, contentId, contentKey, random);
  contentKey.fill(0);
  return { suite: epoch.suite, wrap, header, keys };
}

/**
 * The keys of a content's stream, from its record.
 * @throws AuthenticationFailed when wrap or header belong elsewhere, FormatTooNew for an unknown suite
 */
export function openContent(
  epoch: EpochKey,
  contentId: Uint8Array,
  record: { readonly suite: number; readonly wrap: Uint8Array; readonly header: Uint8Array },
): StreamKeys {
  requireSuite(record.suite, 'a content');
  const contentKey = unwrapContentKey(epoch, contentId, record.wrap);
  const context = contentContext(record.suite, epoch.gridId, epoch.bucketId, contentId);
  const keys = openStreamHeader(record.header, contentKey, context);
  contentKey.fill(0);
  return keys;
}

function versionContext(epoch: EpochKey, versionId: Uint8Array, name: Uint8Array): Buffer {
  const ids = buildIdContext('version', epoch.suite, epoch.bucketId, epoch.epochId, versionId);
  return Buffer.concat([ids, hash('sha384', name, 'buffer')]);
}

function versionList(contents: readonly VersionContent[]): Buffer {
  const list = Buffer.alloc(contents.length * LIST_ENTRY_BYTES);
  contents.forEach((content, i) => {
    assert(content.contentId.length === ID_BYTES, 'a content id has 16 bytes');
    list.set(content.contentId, i * LIST_ENTRY_BYTES);
    list.set(hash('sha384', content.wrap, 'buffer'), i * LIST_ENTRY_BYTES + ID_BYTES);
  });
  return list;
}

/**
 * Authenticates that the object called `name` (UTF-8) consists of `contents` in this order. 72 + 64 bytes per content,
 * and 16 more for every 16 KiB.
 */
export function makeVersionAuthenticator(
  epoch: EpochKey,
  versionId: Uint8Array,
  name: Uint8Array,
  contents: readonly VersionContent[],
  random: Random,
): Buffer {
  return seal(epoch.key, versionContext(epoch, versionId, name), versionList(contents), random);
}

/** @throws AuthenticationFailed when name, version, epoch, or any content or its place differ */
export function verifyVersionAuthenticator(
  epoch: EpochKey,
  versionId: Uint8Array,
  name: Uint8Array,
  contents: readonly VersionContent[],
  authenticator: Uint8Array,
): void {
  const list = open(epoch.key, versionContext(epoch, versionId, name), authenticator);
  if (!list.equals(versionList(contents))) {
    throw new HoldfastError('AuthenticationFailed', {
      detail: 'a version does not consist of the contents that it was made with',
    });
  }
}

/** What an authenticator says of one content. */
export interface AuthenticContent {
  readonly contentId: Buffer;
  /** SHA-384 of the wrap in the content's record. */
  readonly wrapHash: Buffer;
}

/**
 * The list itself, for who compares contents only as they are read: a multipart version may have ten thousand.
 * @throws AuthenticationFailed when name, version or epoch differ
 */
export function openVersionAuthenticator(
  epoch: EpochKey,
  versionId: Uint8Array,
  name: Uint8Array,
  authenticator: Uint8Array,
): AuthenticContent[] {
  const list = open(epoch.key, versionContext(epoch, versionId, name), authenticator);
  assert(list.length % LIST_ENTRY_BYTES === 0, 'an authentic list has whole entries');
  return Array.from({ length: list.length / LIST_ENTRY_BYTES }, (_, i) => {
    const entry = list.subarray(i * LIST_ENTRY_BYTES, (i + 1) * LIST_ENTRY_BYTES);
    return { contentId: entry.subarray(0, ID_BYTES), wrapHash: entry.subarray(ID_BYTES) };
  });
}
