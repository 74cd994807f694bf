import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { systemRandom } from '../../src/base/random.ts';
import {
  openRun,
  plaintextLength,
  STREAM_HEADER_BYTES,
  sealedLength,
  sealRun,
} from '../../src/crypto/chunked.ts';
import {
  beginContent,
  contentContext,
  makeVersionAuthenticator,
  openContent,
  unwrapContentKey,
  verifyVersionAuthenticator,
  wrapContentKey,
} from '../../src/crypto/content.ts';
import { type EpochKey, makeEpoch, openEpoch } from '../../src/crypto/epoch.ts';
import { deriveGridKeys } from '../../src/crypto/gridkeys.ts';
import { open, seal } from '../../src/crypto/seal.ts';
import type { EpochRecord } from '../../src/metadata/records.ts';
import { authenticationFailure, expandOnceMore, fixedRandom, flipped, hex, readVectors } from './support.ts';

const vector = readVectors<{
  suite: number;
  gridId: string;
  generation: number;
  bucketId: string;
  epochId: string;
  contentId: string;
  versionId: string;
  name: string;
  epochKey: string;
  contentKey: string;
  epoch: { wrappingKey: string; salt: string; context: string; symmetric: string; commitment: string };
  wrap: { salt: string; context: string; sealed: string };
  content: { salt: string; context: string; body: string; sealed: string };
  authenticator: { salt: string; context: string; list: string; sealed: string };
}>('keys-sealed.json');
const { gridSecret } = readVectors<{ gridSecret: string }>('keys-derive.json');
const keys = deriveGridKeys({ gridSecret: hex(gridSecret), gridId: hex(vector.gridId), generation: 1 });
const ids = {
  bucketId: hex(vector.bucketId),
  epochId: hex(vector.epochId),
  contentId: hex(vector.contentId),
  versionId: hex(vector.versionId),
};

describe('byte-level vectors', () => {
  const vectorEpoch: EpochKey = {
    gridId: hex(vector.gridId),
    generation: vector.generation,
    suite: vector.suite,
    bucketId: ids.bucketId,
    epochId: ids.epochId,
    key: hex(vector.epochKey),
  };

  test('epoch record', () => {
    const random = fixedRandom(ids.epochId, hex(vector.epochKey), hex(vector.epoch.salt));
    const { epoch, record } = makeEpoch(keys, ids.bucketId, random, 5);
    expect(epoch).toEqual(vectorEpoch);
    expect(record.symmetric.toString('hex')).toBe(vector.epoch.symmetric);
    expect(record.commitment.toString('hex')).toBe(vector.epoch.commitment);
    expect(keys.epoch.toString('hex')).toBe(vector.epoch.wrappingKey);
    expect(openEpoch(keys, ids.bucketId, ids.epochId, record)).toEqual(vectorEpoch);
    const stored: EpochRecord = { v: 1, ...record };
    expect(stored).toMatchObject({ v: 1, suite: 1, generation: 1, createdMs: 5, recipients: [] });
  });

  test('the commitments once more', () => {
    const commit = Buffer.concat([
      Buffer.from('holdfast/v1/commit\0'),
      hex(vector.gridId),
      Buffer.of(0, 0, 0, 1),
    ]);
    expect(expandOnceMore(hex(vector.epochKey), commit, 32).toString('hex')).toBe(vector.epoch.commitment);
    const label = Buffer.from('c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0');
    for (const [key, part] of [
      [vector.epoch.wrappingKey, { ...vector.epoch, sealed: vector.epoch.symmetric }],
      [vector.epochKey, vector.wrap],
      [vector.contentKey, vector.content],
      [vector.epochKey, vector.authenticator],
    ] as const) {
      const info = Buffer.concat([label, hex(part.salt), hex(part.context)]);
      const header = Buffer.concat([hex(part.salt), expandOnceMore(hex(key), info, 76).subarray(44)]);
      expect(part.sealed.startsWith(header.toString('hex'))).toBe(true);
    }
  });

  test('wrap', () => {
    const random = fixedRandom(hex(vector.wrap.salt));
    const wrap = wrapContentKey(vectorEpoch, ids.contentId, hex(vector.contentKey), random);
    expect(wrap.toString('hex')).toBe(vector.wrap.sealed);
    expect(unwrapContentKey(vectorEpoch, ids.contentId, wrap).toString('hex')).toBe(vector.contentKey);
  });

  test('content', () => {
    const context = contentContext(1, hex(vector.gridId), ids.bucketId, ids.contentId);
    expect(context.toString('hex')).toBe(vector.content.context);
    const random = fixedRandom(hex(vector.content.salt));
    const sealed = seal(hex(vector.contentKey), context, hex(vector.content.body), random);
    expect(sealed.toString('hex')).toBe(vector.content.sealed);
    const begun = beginContent(
      vectorEpoch,
      ids.contentId,
      fixedRandom(hex(vector.contentKey), hex(vector.content.salt), hex(vector.wrap.salt)),
    );
    expect(begun.wrap.toString('hex')).toBe(vector.wrap.sealed);
    expect(begun.header.toString('hex')).toBe(vector.content.sealed.slice(0, 2 * STREAM_HEADER_BYTES));
    expect(openContent(vectorEpoch, ids.contentId, begun)).toEqual(begun.keys);
  });

  test('version authenticator', () => {
    const contents = [{ contentId: ids.contentId, wrap: hex(vector.wrap.sealed) }];
    const random = fixedRandom(hex(vector.authenticator.salt));
    const name = hex(vector.name);
    const made = makeVersionAuthenticator(vectorEpoch, ids.versionId, name, contents, random);
    expect(made.toString('hex')).toBe(vector.authenticator.sealed);
    const list = open(vectorEpoch.key, hex(vector.authenticator.context), made);
    expect(list.toString('hex')).toBe(vector.authenticator.list);
    verifyVersionAuthenticator(vectorEpoch, ids.versionId, name, contents, made);
  });
});

const bucketId = randomBytes(16);
const { epoch, record } = makeEpoch(keys, bucketId, systemRandom, 0);
const otherEpoch = makeEpoch(keys, bucketId, systemRandom, 0).epoch;

describe('an epoch record', () => {
  test('opens for its bucket, id, grid and generation only', () => {
    expect(openEpoch(keys, bucketId, epoch.epochId, record)).toEqual(epoch);
    const foreign = deriveGridKeys({ gridSecret: randomBytes(32), gridId: keys.gridId, generation: 1 });
    const otherGrid = { ...keys, gridId: randomBytes(16) };
    const attempts = [
      () => openEpoch(keys, randomBytes(16), epoch.epochId, record),
      () => openEpoch(keys, bucketId, otherEpoch.epochId, record),
      () => openEpoch(foreign, bucketId, epoch.epochId, record),
      () => openEpoch(otherGrid, bucketId, epoch.epochId, record),
      () => openEpoch({ ...keys, generation: 2 }, bucketId, epoch.epochId, record),
    ];
    for (const attempt of attempts) expect(attempt).toThrow(authenticationFailure);
  });

  test('is refused when altered, without its commitment, or sealed to recipients only', () => {
    const openAltered = (changes: object) => () =>
      openEpoch(keys, bucketId, epoch.epochId, { ...record, ...changes });
    const { symmetric, commitment } = record;
    expect(openAltered({ symmetric: flipped(symmetric, 100) })).toThrow(authenticationFailure);
    expect(openAltered({ symmetric: symmetric.subarray(0, 90) })).toThrow(authenticationFailure);
    expect(openAltered({ commitment: flipped(commitment, 0) })).toThrow(authenticationFailure);
    expect(openAltered({ commitment: Buffer.alloc(0) })).toThrow(authenticationFailure);
    expect(openAltered({ suite: 2 })).toThrow(expect.objectContaining({ code: 'FormatTooNew' }));
    expect(openAltered({ symmetric: undefined })).toThrow(expect.objectContaining({ code: 'AccessDenied' }));
  });
});

describe('a content', () => {
  const contentId = randomBytes(16);
  const otherId = randomBytes(16);
  const content = beginContent(epoch, contentId, systemRandom);

  test('seals and opens its body', () => {
    const body = randomBytes(40_000);
    const sealed = Buffer.alloc(sealedLength(body.length));
    sealRun(content.keys, 0, body, true, sealed);
    const opened = Buffer.alloc(plaintextLength(sealed.length));
    openRun(openContent(epoch, contentId, content), 0, sealed, true, opened);
    expect(opened.equals(body)).toBe(true);
  });

  test('its wrap is good in no other place', () => {
    const other = beginContent(epoch, otherId, systemRandom);
    const elsewhere = { ...epoch, bucketId: randomBytes(16) };
    const attempts = [
      () => openContent(epoch, contentId, { ...content, wrap: other.wrap }),
      () => openContent(epoch, contentId, { ...content, header: other.header }),
      () => openContent(epoch, otherId, content),
      () => openContent(otherEpoch, contentId, content),
      () => openContent({ ...otherEpoch, key: epoch.key }, contentId, content),
      () => openContent(elsewhere, contentId, content),
      () => openContent({ ...epoch, gridId: randomBytes(16) }, contentId, content),
      () => openContent(epoch, contentId, { ...content, wrap: content.wrap.subarray(0, -1) }),
      () => openContent(epoch, contentId, { ...content, header: content.header.subarray(1) }),
    ];
    for (const attempt of attempts) expect(attempt).toThrow(authenticationFailure);
    for (let at = 0; at < content.wrap.length; at += 7) {
      const wrap = flipped(content.wrap, at);
      expect(() => openContent(epoch, contentId, { ...content, wrap })).toThrow(authenticationFailure);
    }
    expect(() => openContent(epoch, contentId, { ...content, suite: 9 })).toThrow(
      expect.objectContaining({ code: 'FormatTooNew' }),
    );
  });

  test('a wrap that holds something else than a key is refused', () => {
    const context = Buffer.concat([
      Buffer.from('wrap\0'),
      Buffer.of(0, 1),
      bucketId,
      epoch.epochId,
      contentId,
    ]);
    const wrap = seal(epoch.key, context, Buffer.alloc(31), systemRandom);
    expect(() => unwrapContentKey(epoch, contentId, wrap)).toThrow(authenticationFailure);
  });
});

describe('a version authenticator', () => {
  const name = Buffer.from('a/b');
  const versionId = randomBytes(16);
  const contents = [1, 2, 3].map(() => {
    const contentId = randomBytes(16);
    return { contentId, wrap: beginContent(epoch, contentId, systemRandom).wrap };
  });
  const made = makeVersionAuthenticator(epoch, versionId, name, contents, systemRandom);
  const [a, b, c] = contents as [(typeof contents)[0], (typeof contents)[0], (typeof contents)[0]];

  test('holds for what it was made for, also for nothing and for 10,000 parts', () => {
    verifyVersionAuthenticator(epoch, versionId, name, contents, made);
    for (const count of [0, 255, 256, 257, 10_000]) {
      const parts = Array.from({ length: count }, (_, i) => ({ ...a, contentId: Buffer.alloc(16, i) }));
      const authenticator = makeVersionAuthenticator(epoch, versionId, name, parts, systemRandom);
      verifyVersionAuthenticator(epoch, versionId, name, parts, authenticator);
    }
  });

  test('does not hold for swapped, dropped, repeated or rewrapped contents, nor elsewhere', () => {
    const rewrapped = { contentId: b.contentId, wrap: beginContent(epoch, b.contentId, systemRandom).wrap };
    for (const list of [[a, c, b], [a, b], [a, b, c, c], [], [a, rewrapped, c]]) {
      expect(() => verifyVersionAuthenticator(epoch, versionId, name, list, made)).toThrow(
        authenticationFailure,
      );
    }
    const attempts = [
      () => verifyVersionAuthenticator(epoch, randomBytes(16), name, contents, made),
      () => verifyVersionAuthenticator(epoch, versionId, Buffer.from('a/c'), contents, made),
      () => verifyVersionAuthenticator(otherEpoch, versionId, name, contents, made),
      () => verifyVersionAuthenticator(epoch, versionId, name, contents, a.wrap),
      () => verifyVersionAuthenticator(epoch, versionId, name, contents, made.subarray(0, -16)),
    ];
    for (const attempt of attempts) expect(attempt).toThrow(authenticationFailure);
  });
});
