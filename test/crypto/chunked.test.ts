import { hash, randomBytes } from 'node:crypto';
import { inflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { systemRandom } from '../../src/base/random.ts';
import {
  CHUNK_INDEX_MAX,
  CHUNK_PLAINTEXT_BYTES,
  CHUNK_SEALED_BYTES,
  chunkCount,
  chunkNonce,
  deriveStreamKeys,
  newStreamHeader,
  openChunk,
  openRun,
  openStreamHeader,
  plaintextLength,
  SALT_BYTES,
  STREAM_HEADER_BYTES,
  sealChunk,
  sealedLength,
  sealedRunLength,
  sealRun,
} from '../../src/crypto/chunked.ts';
import { open, seal, sealedMessageLength } from '../../src/crypto/seal.ts';
import { authenticationFailure as failure, hex, readVectors } from './support.ts';

interface WycheproofTest {
  tcId: number;
  comment: string;
  key: string;
  ctx: string;
  /** Hex of a zlib stream. */
  ct: string;
  aeadKey?: string;
  baseNonce?: string;
  msgLength?: number;
  msgSha512?: string;
  result: 'valid' | 'invalid';
  flags: string[];
}

interface OracleVector {
  comment: string;
  key: string;
  ctx: string;
  msgLength: number;
  header: string;
  sealedLength: number;
  sealedSha512: string;
  lastTag: string;
}

const { tests: wycheproof } = readVectors<{ tests: WycheproofTest[] }>('cobblestone256-wycheproof.json');
const { vectors: oracle } = readVectors<{ vectors: OracleVector[] }>('cobblestone256-pyca.json');

/** The same salt again, to compare whole ciphertexts. */
const saltOf = (ciphertext: Buffer) => ({ bytes: () => Buffer.from(ciphertext.subarray(0, SALT_BYTES)) });

describe('Wycheproof', () => {
  test.each(wycheproof.filter((vector) => vector.result === 'valid'))('$tcId: $comment', (vector) => {
    const [key, context, ciphertext] = [hex(vector.key), hex(vector.ctx), inflateSync(hex(vector.ct))];
    const plaintext = open(key, context, ciphertext);
    expect(plaintext.length).toBe(vector.msgLength);
    expect(hash('sha512', plaintext)).toBe(vector.msgSha512);
    const keys = deriveStreamKeys(key, context, ciphertext.subarray(0, SALT_BYTES));
    expect(keys.aeadKey.toString('hex')).toBe(vector.aeadKey);
    expect(keys.baseNonce.toString('hex')).toBe(vector.baseNonce);
    expect(seal(key, context, plaintext, saltOf(ciphertext)).equals(ciphertext)).toBe(true);
  });

  test.each(wycheproof.filter((vector) => vector.result === 'invalid'))('$tcId: $comment', (vector) => {
    const [key, context, ciphertext] = [hex(vector.key), hex(vector.ctx), inflateSync(hex(vector.ct))];
    const wrongSize = vector.flags.includes('InvalidKeySize');
    expect(() => open(key, context, ciphertext)).toThrow(wrongSize ? 'a stream key has 32 bytes' : failure);
    const readHeader = () => openStreamHeader(ciphertext.subarray(0, STREAM_HEADER_BYTES), key, context);
    if (vector.flags.includes('HeaderFailure')) expect(readHeader).toThrow();
    else expect(readHeader().aeadKey.toString('hex')).toBe(vector.aeadKey);
  });

  test('the file holds what it says', () => {
    expect(wycheproof.filter((vector) => vector.result === 'valid')).toHaveLength(8);
    expect(wycheproof.filter((vector) => vector.result === 'invalid')).toHaveLength(25);
  });
});

test.each(oracle)('the same bytes as pyca/cryptography: $comment', (vector) => {
  const [key, context, header] = [hex(vector.key), hex(vector.ctx), hex(vector.header)];
  const plaintext = Buffer.alloc(
    vector.msgLength,
    Uint8Array.from({ length: 251 }, (_, i) => i),
  );
  const sealed = seal(key, context, plaintext, saltOf(header));
  expect(sealed.subarray(0, STREAM_HEADER_BYTES).equals(header)).toBe(true);
  expect(sealed.length).toBe(STREAM_HEADER_BYTES + vector.sealedLength);
  expect(sealedLength(vector.msgLength)).toBe(vector.sealedLength);
  expect(sealed.subarray(-16).toString('hex')).toBe(vector.lastTag);
  expect(hash('sha512', sealed)).toBe(vector.sealedSha512);
  expect(open(key, context, sealed).equals(plaintext)).toBe(true);
});

const key = randomBytes(32);
const context = Buffer.from('context');
const lengths = [0, 1, 31, 16_383, 16_384, 16_385, 32_767, 32_768, 40_000];

describe.each(lengths)('a message of %i bytes', (lengthBytes) => {
  const plaintext = randomBytes(lengthBytes);
  const sealed = seal(key, context, plaintext, systemRandom);

  test('comes back and has the length that the formulas say', () => {
    expect(open(key, context, sealed).equals(plaintext)).toBe(true);
    expect(sealed.length).toBe(sealedMessageLength(lengthBytes));
    expect(plaintextLength(sealedLength(lengthBytes))).toBe(lengthBytes);
    expect(sealed.length - STREAM_HEADER_BYTES).toBe(lengthBytes + 16 * chunkCount(lengthBytes));
  });

  test('is refused under another key or context', () => {
    expect(() => open(randomBytes(32), context, sealed)).toThrow(failure);
    expect(() => open(key, Buffer.from('contexu'), sealed)).toThrow(failure);
    expect(() => open(key, Buffer.alloc(0), sealed)).toThrow(failure);
  });

  test('is refused when cut anywhere near a boundary, or extended', () => {
    const cuts = [0, 1, 24, 55, 56, 57, 71, sealed.length - 1, sealed.length - 16, sealed.length - 17];
    for (let end = STREAM_HEADER_BYTES; end < sealed.length; end += CHUNK_SEALED_BYTES)
      cuts.push(end, end + 16);
    for (const end of cuts.filter((end) => end >= 0 && end < sealed.length)) {
      expect(() => open(key, context, sealed.subarray(0, end)), `cut at ${end}`).toThrow(failure);
    }
    for (const extra of [1, 15, 16, 17, CHUNK_SEALED_BYTES]) {
      const extended = Buffer.concat([sealed, Buffer.alloc(extra)]);
      expect(() => open(key, context, extended), `extended by ${extra}`).toThrow(failure);
    }
  });

  test('is refused with any byte of the header flipped, and with one byte of each chunk', () => {
    const places = Array.from({ length: STREAM_HEADER_BYTES }, (_, i) => i);
    for (let at = STREAM_HEADER_BYTES; at < sealed.length; at += 8_191) places.push(at);
    places.push(sealed.length - 1);
    for (const at of places) {
      const altered = Buffer.from(sealed);
      altered[at] = (altered[at] ?? 0) ^ 0x80;
      expect(() => open(key, context, altered), `byte ${at}`).toThrow(failure);
    }
  });
});

test('chunks that were reordered, repeated or dropped are refused', () => {
  const sealed = seal(key, context, randomBytes(3 * CHUNK_PLAINTEXT_BYTES + 9), systemRandom);
  const header = sealed.subarray(0, STREAM_HEADER_BYTES);
  const chunk = (index: number) => {
    const start = STREAM_HEADER_BYTES + index * CHUNK_SEALED_BYTES;
    return sealed.subarray(start, start + CHUNK_SEALED_BYTES);
  };
  const build = (...indexes: number[]) => Buffer.concat([header, ...indexes.map(chunk)]);
  expect(open(key, context, build(0, 1, 2, 3)).length).toBe(3 * CHUNK_PLAINTEXT_BYTES + 9);
  for (const order of [
    [1, 0, 2, 3],
    [0, 0, 2, 3],
    [0, 1, 3],
    [0, 1, 2],
    [1, 2, 3],
    [0, 2, 1, 3],
    [0, 1, 2, 3, 3],
  ]) {
    expect(() => open(key, context, build(...order)), order.join()).toThrow(failure);
  }
});

test('chunks of two streams under one key do not mix', () => {
  const first = seal(key, context, randomBytes(20_000), systemRandom);
  const second = seal(key, context, randomBytes(20_000), systemRandom);
  const mixed = Buffer.concat([
    first.subarray(0, 56 + CHUNK_SEALED_BYTES),
    second.subarray(56 + CHUNK_SEALED_BYTES),
  ]);
  expect(() => open(key, context, mixed)).toThrow(failure);
});

test('runs sealed and opened separately, in shared memory, give the same stream', () => {
  const shared = (lengthBytes: number) => new Uint8Array(new SharedArrayBuffer(lengthBytes));
  const plaintext = shared(5 * CHUNK_PLAINTEXT_BYTES);
  plaintext.set(randomBytes(plaintext.length));
  const { header, keys: own } = newStreamHeader(systemRandom, key, context);
  const keys = { aeadKey: shared(32), baseNonce: shared(12) };
  keys.aeadKey.set(own.aeadKey);
  keys.baseNonce.set(own.baseNonce);
  const sealed = shared(sealedLength(plaintext.length));
  const cut = 2 * CHUNK_PLAINTEXT_BYTES;
  const written = sealRun(keys, 0, plaintext.subarray(0, cut), false, sealed);
  expect(written).toBe(2 * CHUNK_SEALED_BYTES);
  sealRun(keys, 2, plaintext.subarray(cut), true, sealed.subarray(written));
  expect(open(key, context, Buffer.concat([header, sealed])).equals(plaintext)).toBe(true);

  const target = shared(cut);
  const middle = sealed.subarray(CHUNK_SEALED_BYTES, 3 * CHUNK_SEALED_BYTES);
  expect(openRun(keys, 1, middle, false, target)).toBe(cut);
  expect(Buffer.compare(target, plaintext.subarray(CHUNK_PLAINTEXT_BYTES, CHUNK_PLAINTEXT_BYTES + cut))).toBe(
    0,
  );
});

test('a run says whether the stream ends in it: full and short last chunks are not exchanged', () => {
  const { keys } = newStreamHeader(systemRandom, key, context);
  const plaintext = randomBytes(CHUNK_PLAINTEXT_BYTES);
  const sealed = Buffer.alloc(sealedRunLength(plaintext.length, true));
  sealRun(keys, 0, plaintext, true, sealed);
  const target = Buffer.alloc(CHUNK_PLAINTEXT_BYTES);
  expect(() => openRun(keys, 0, sealed.subarray(0, CHUNK_SEALED_BYTES), true, target)).toThrow(failure);
  expect(() => openRun(keys, 0, sealed, false, target)).toThrow(failure);
  expect(() => openRun(keys, 0, Buffer.alloc(0), true, target)).toThrow(failure);
  expect(openRun(keys, 0, sealed, true, target)).toBe(CHUNK_PLAINTEXT_BYTES);
  expect(() => sealRun(keys, 0, plaintext.subarray(1), false, sealed)).toThrow('end of a stream');
});

test('a target receives nothing of a chunk whose tag is wrong', () => {
  const { keys } = newStreamHeader(systemRandom, key, context);
  const sealed = Buffer.alloc(100 + 16);
  sealChunk(keys, 5, Buffer.alloc(100, 1), sealed);
  sealed[0] = (sealed[0] ?? 0) ^ 1;
  const target = Buffer.alloc(100, 0xee);
  expect(() => openChunk(keys, 5, sealed, target)).toThrow(failure);
  expect(() => openChunk(keys, 5, Buffer.alloc(15), target)).toThrow(failure);
  expect(() => openChunk(keys, 5, Buffer.alloc(CHUNK_SEALED_BYTES + 1), target)).toThrow(failure);
  expect(target.every((byte) => byte === 0xee)).toBe(true);
});

test('the chunk index is xored into the last five bytes of the nonce and has an end', () => {
  const base = Buffer.from('ffeeddccbbaa998877665544', 'hex');
  for (const index of [0, 1, 255, 256, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 5, CHUNK_INDEX_MAX]) {
    const expected = BigInt(`0x${base.toString('hex')}`) ^ BigInt(index);
    expect(chunkNonce(base, index).toString('hex')).toBe(expected.toString(16).padStart(24, '0'));
  }
  for (const index of [-1, 0.5, CHUNK_INDEX_MAX + 1, Number.NaN]) {
    expect(() => chunkNonce(base, index)).toThrow('out of range');
  }
});

test('lengths that no stream has are refused', () => {
  for (const length of [0, 15, CHUNK_SEALED_BYTES, CHUNK_SEALED_BYTES + 15, 7 * CHUNK_SEALED_BYTES]) {
    expect(() => plaintextLength(length)).toThrow(failure);
  }
});
