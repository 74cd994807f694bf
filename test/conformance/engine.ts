/** What every stripe engine must do. Run it with `engineConformance(name, make)` inside a test file. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytesEqual } from '../../src/base/bytes.ts';
import { blake3 } from '../../src/coding/blake3.ts';
import { availableCodecs } from '../../src/coding/registry.ts';
import { CHUNK_SEALED_BYTES, openRun } from '../../src/crypto/chunked.ts';
import { fragmentView } from '../../src/stripes/engine/kernels.ts';
import { OPEN_CHUNKS_MAX } from '../../src/stripes/engine/memory.ts';
import type { StripeEngine, WriteBuffer } from '../../src/stripes/engine/types.ts';
import { fullPayloadBytes, stripePlaintextBytesMax } from '../../src/stripes/shape.ts';
import type { Profile, SealRun } from '../../src/stripes/types.ts';
import { patternBytes } from './codec.ts';

const profile: Profile = { k: 4, m: 2, codecId: 1 };
const CHUNK = 16_384;

export interface RunSpec {
  readonly lengthBytes: number;
  readonly final: boolean;
  readonly firstChunkIndex?: number;
}

/** Lays the runs out one behind the other in the buffer's plaintext, each with keys of its own. */
export function fillRuns(buffer: WriteBuffer, specs: readonly RunSpec[]): SealRun[] {
  let at = 0;
  return specs.map(({ lengthBytes, final, firstChunkIndex = 0 }, i) => {
    buffer.plaintext.set(patternBytes(lengthBytes, 50 + i), at);
    const run: SealRun = {
      plaintextOffsetBytes: at,
      plaintextLengthBytes: lengthBytes,
      aeadKey: patternBytes(32, 100 + i),
      baseNonce: patternBytes(12, 200 + i),
      firstChunkIndex,
      final,
    };
    at += lengthBytes;
    return run;
  });
}

export function sharedCopy(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}

export interface EngineTraits {
  /** Whether its threads are of JavaScript and see shared memory only. */
  readonly sharedOnly: boolean;
}

export function engineConformance(
  name: string,
  make: () => StripeEngine,
  traits: EngineTraits = { sharedOnly: true },
): void {
  describe(`${name} keeps the engine's contract`, () => {
    let engine: StripeEngine;

    beforeAll(() => {
      engine = make();
    });

    afterAll(() => engine.close());

    async function withBuffer<T>(use: (buffer: WriteBuffer) => Promise<T>): Promise<T> {
      const buffer = await engine.acquireWrite();
      try {
        return await use(buffer);
      } finally {
        buffer.release();
      }
    }

    /** Seals, then checks ranges, roots, zero filling and plaintext with functions that the engine is not made of. */
    async function sealAndCheck(buffer: WriteBuffer, specs: readonly RunSpec[], used = profile) {
      buffer.fragments.fill(0xee);
      const runs = fillRuns(buffer, specs);
      const sealed = await engine.seal(buffer, runs, used);
      const { fragmentLengthBytes, payloadLengthBytes, ranges, roots } = sealed;
      expect(ranges).toHaveLength(runs.length);
      expect(roots).toHaveLength(used.k + used.m);
      for (const [i, root] of roots.entries()) {
        expect(bytesEqual(root, blake3(fragmentView(buffer.fragments, i, fragmentLengthBytes)))).toBe(true);
      }
      for (const [i, run] of runs.entries()) {
        const { offsetBytes, lengthBytes } = ranges[i]!;
        const opened = new Uint8Array(run.plaintextLengthBytes);
        const ciphertext = buffer.fragments.subarray(offsetBytes, offsetBytes + lengthBytes);
        openRun(run, run.firstChunkIndex, ciphertext, run.final, opened);
        const end = run.plaintextOffsetBytes + run.plaintextLengthBytes;
        expect(bytesEqual(opened, buffer.plaintext.subarray(run.plaintextOffsetBytes, end))).toBe(true);
      }
      const filling = buffer.fragments.subarray(payloadLengthBytes, used.k * fragmentLengthBytes);
      expect(filling.every((byte) => byte === 0)).toBe(true);
      return sealed;
    }

    test('a full stripe', () =>
      withBuffer(async (buffer) => {
        const spec = { lengthBytes: stripePlaintextBytesMax(4), final: false, firstChunkIndex: 512 };
        const sealed = await sealAndCheck(buffer, [spec]);
        expect(sealed.payloadLengthBytes).toBe(fullPayloadBytes(4));
        expect(sealed.stripeLengthBytes).toBe(fullPayloadBytes(4));
        expect(sealed.fragmentLengthBytes).toBe(64 * CHUNK_SEALED_BYTES);
      }));

    test('a full stripe at whose end the stream ends has an empty chunk more, and is padded', () =>
      withBuffer(async (buffer) => {
        const sealed = await sealAndCheck(buffer, [{ lengthBytes: stripePlaintextBytesMax(4), final: true }]);
        expect(sealed.payloadLengthBytes).toBe(fullPayloadBytes(4) + 16);
        expect(sealed.stripeLengthBytes).toBe(4_325_376);
        expect(sealed.fragmentLengthBytes).toBe(1_081_344);
      }));

    test.each([0, 1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 100_000])(
      'a stream of %i bytes',
      (lengthBytes) =>
        withBuffer(async (buffer) => {
          const sealed = await sealAndCheck(buffer, [{ lengthBytes, final: true }]);
          const chunks = Math.floor(lengthBytes / CHUNK) + 1;
          expect(sealed.payloadLengthBytes).toBe(lengthBytes + 16 * chunks);
        }),
    );

    test('many streams share a stripe', () =>
      withBuffer(async (buffer) => {
        const specs = [1, 5000, CHUNK, 40_000, 0].map((lengthBytes) => ({ lengthBytes, final: true }));
        const sealed = await sealAndCheck(buffer, [...specs, { lengthBytes: 2 * CHUNK, final: false }]);
        expect(sealed.ranges[1]).toEqual({ offsetBytes: 17, lengthBytes: 5016 });
      }));

    test.each(availableCodecs.map(({ id }) => id))(
      'any m fragments lost come back with codec %i',
      (codecId) =>
        withBuffer(async (buffer) => {
          const used = { ...profile, codecId };
          const sealed = await sealAndCheck(buffer, [{ lengthBytes: 300_000, final: true }], used);
          const views = sealed.roots.map((_, i) =>
            fragmentView(buffer.fragments, i, sealed.fragmentLengthBytes),
          );
          const repair = await engine.acquireRepair();
          const wanted = new Map(
            [1, 5].map((index, i) => [index, fragmentView(repair.fragments, i, sealed.fragmentLengthBytes)]),
          );
          const present = views.map((view, i) => (wanted.has(i) ? undefined : view));
          const roots = await engine.reconstruct(used, present, wanted);
          expect(roots.map((root) => root.toString('hex'))).toEqual(
            [1, 5].map((index) => sealed.roots[index]!.toString('hex')),
          );
          expect(bytesEqual(wanted.get(1)!, views[1]!)).toBe(true);
          repair.release();
        }),
    );

    test('the same payload can be coded again, narrower, in the same buffer', () =>
      withBuffer(async (buffer) => {
        const runs = fillRuns(buffer, [{ lengthBytes: stripePlaintextBytesMax(4), final: true }]);
        const wide = await engine.seal(buffer, runs, profile);
        const payload = Uint8Array.from(buffer.fragments.subarray(0, wide.payloadLengthBytes));
        for (const k of [3, 2, 1]) {
          const narrow = await engine.encode(buffer.fragments, wide.payloadLengthBytes, { ...profile, k });
          expect(narrow.roots).toHaveLength(k + 2);
          expect(narrow.stripeLengthBytes).toBe(wide.stripeLengthBytes);
          expect(k * narrow.fragmentLengthBytes).toBeGreaterThanOrEqual(wide.stripeLengthBytes);
          expect(bytesEqual(buffer.fragments.subarray(0, payload.length), payload)).toBe(true);
        }
        const again = await engine.encode(buffer.fragments, wide.payloadLengthBytes, profile);
        expect(again.roots.map(String)).toEqual(wide.roots.map(String));
      }));

    test('chunks are opened, and a bad one is named', () =>
      withBuffer(async (buffer) => {
        const [run] = fillRuns(buffer, [{ lengthBytes: 20 * CHUNK + 7, final: true, firstChunkIndex: 300 }]);
        const sealed = await engine.seal(buffer, [run!], profile);
        const read = await engine.acquireRead();
        const ciphertext = read.ciphertext.subarray(0, sealed.payloadLengthBytes);
        ciphertext.set(buffer.fragments.subarray(0, sealed.payloadLengthBytes));
        const request = { ...run!, ciphertext, plaintext: read.plaintext };
        expect(await engine.openChunks(request)).toBe(20 * CHUNK + 7);
        const expected = buffer.plaintext.subarray(0, 20 * CHUNK + 7);
        expect(bytesEqual(read.plaintext.subarray(0, expected.length), expected)).toBe(true);

        const part = { ...request, firstChunkIndex: 302, final: false };
        const middle = ciphertext.subarray(2 * CHUNK_SEALED_BYTES, 4 * CHUNK_SEALED_BYTES);
        expect(await engine.openChunks({ ...part, ciphertext: middle })).toBe(2 * CHUNK);

        ciphertext[5 * CHUNK_SEALED_BYTES + 99]! ^= 1;
        ciphertext[9 * CHUNK_SEALED_BYTES + 99]! ^= 1;
        await expect(engine.openChunks(request)).rejects.toMatchObject({
          code: 'AuthenticationFailed',
          message: expect.stringContaining('305'),
        });
        const alone = ciphertext.subarray(5 * CHUNK_SEALED_BYTES, 6 * CHUNK_SEALED_BYTES);
        await expect(
          engine.openChunks({ ...part, firstChunkIndex: 305, ciphertext: alone }),
        ).rejects.toMatchObject({ code: 'AuthenticationFailed' });
        read.release();
      }));

    test('views are hashed wherever they lie', async () => {
      const views = [0, 1, 1000, 200_000].map((length) => patternBytes(length, length));
      const pooled = Buffer.from('a slice of a pool');
      const roots = await engine.hash([...views, sharedCopy(views[3]!), pooled]);
      expect(roots.map(String)).toEqual([...views, views[3]!, pooled].map((view) => String(blake3(view))));
      expect(views[3]).toHaveLength(200_000);
    });

    test.each([0, 10, 32_768, 32_769, 500_000])(
      'a body of %i bytes is digested in pieces',
      async (length) => {
        const body = patternBytes(length, 4);
        const shared = sharedCopy(body);
        for (const source of [body, shared, Buffer.from(body)]) {
          const digester = engine.createDigester(['sha256', 'md5', 'crc32c']);
          for (let at = 0; at < length; at += 70_000) {
            const piece = source.subarray(at, at + 70_000);
            await digester.update(piece);
          }
          const digests = await digester.digest();
          expect(Object.keys(digests).sort()).toEqual(['crc32c', 'md5', 'sha256']);
          expect(digests).toEqual(engine.digestNow(['crc32c', 'sha256', 'md5'], body));
          expect(digests.sha256).toEqual(createHash('sha256').update(body).digest());
          expect(Buffer.isBuffer(digests.md5)).toBe(true);
        }
        expect(bytesEqual(body, shared)).toBe(true);
      },
    );

    test('where no digest is asked for, bytes of any kind and number give none', async () => {
      const digester = engine.createDigester([]);
      const body = patternBytes(500_000, 6);
      for (const piece of [body, sharedCopy(body), new Uint8Array(0)]) await digester.update(piece);
      expect(await digester.digest()).toEqual({});
      engine.createDigester([]).abandon();
      expect(engine.digestNow([], body)).toEqual({});
    });

    test('bytes may change as soon as an update has resolved', async () => {
      const body = patternBytes(400_000, 8);
      const digester = engine.createDigester(['md5']);
      for (const scratch of [new Uint8Array(100_000), new Uint8Array(new SharedArrayBuffer(100_000))]) {
        for (const half of [0, 1]) {
          const at = (scratch.buffer instanceof SharedArrayBuffer ? 200_000 : 0) + half * 100_000;
          scratch.set(body.subarray(at, at + 100_000));
          await digester.update(scratch);
          scratch.fill(0);
        }
      }
      expect((await digester.digest()).md5).toEqual(createHash('md5').update(body).digest());
    });

    test('digests of several bodies at once do not mix, and one may be abandoned', async () => {
      const digesters = [1, 2, 3].map((seed) => ({ seed, digester: engine.createDigester(['crc32c']) }));
      for (let round = 0; round < 3; round++) {
        await Promise.all(
          digesters.map(({ seed, digester }) =>
            digester.update(sharedCopy(patternBytes(50_000, seed + 10 * round))),
          ),
        );
      }
      digesters[1]!.digester.abandon();
      for (const { seed, digester } of [digesters[0]!, digesters[2]!]) {
        const body = Buffer.concat([0, 10, 20].map((round) => patternBytes(50_000, seed + round)));
        expect(await digester.digest()).toEqual(engine.digestNow(['crc32c'], body));
      }
    });

    test('wrong arguments reject with a typed error and harm nothing', () =>
      withBuffer(async (buffer) => {
        const many = Array.from({ length: 3000 }, () => ({ lengthBytes: 1300, final: true }));
        const tooMuch = fillRuns(buffer, many);
        const crowded = [...tooMuch, ...tooMuch];
        await expect(engine.seal(buffer, crowded, profile)).rejects.toMatchObject({
          code: 'InvalidArgument',
        });
        const outside = {
          ...tooMuch[0]!,
          plaintextOffsetBytes: buffer.plaintext.length - 5,
          plaintextLengthBytes: 70_000,
        };
        await expect(engine.seal(buffer, [outside], profile)).rejects.toMatchObject({
          code: 'InternalError',
        });
        await expect(engine.seal(buffer, [], profile)).rejects.toThrow(/payload/);
        const unknown = { ...profile, codecId: 77 };
        await expect(engine.encode(buffer.fragments, 100_000, unknown)).rejects.toMatchObject({
          code: 'NotImplemented',
        });
        const present = [buffer.fragments.subarray(0, 64), ...new Array(5).fill(undefined)];
        await expect(
          engine.reconstruct(profile, present, new Map([[1, buffer.fragments.subarray(64, 128)]])),
        ).rejects.toMatchObject({ code: 'DataUnavailable' });
        await sealAndCheck(buffer, [{ lengthBytes: 70_000, final: true }]);
      }));

    const ownMemory = traits.sharedOnly
      ? 'memory that a worker could not see is refused'
      : 'any memory is seen';
    test(ownMemory, async () => {
      const own = new Uint8Array(100_000);
      const encoded = engine.encode(own, 50_000, profile);
      if (!traits.sharedOnly) {
        const { roots, fragmentLengthBytes } = await encoded;
        expect(bytesEqual(roots[0]!, blake3(own.subarray(0, fragmentLengthBytes)))).toBe(true);
        return;
      }
      await expect(encoded).rejects.toThrow(/shared memory/);
      await expect(
        engine.openChunks({
          ciphertext: own.subarray(0, CHUNK_SEALED_BYTES),
          plaintext: own,
          aeadKey: patternBytes(32, 1),
          baseNonce: patternBytes(12, 1),
          firstChunkIndex: 0,
          final: false,
        }),
      ).rejects.toThrow(/shared memory/);
    });

    test('an aborted job is refused before it starts', () =>
      withBuffer(async (buffer) => {
        const runs = fillRuns(buffer, [{ lengthBytes: 100_000, final: true }]);
        const reason = new Error('gone');
        await expect(engine.seal(buffer, runs, profile, AbortSignal.abort(reason))).rejects.toBe(reason);
        await expect(engine.acquireWrite(AbortSignal.abort(reason))).rejects.toBe(reason);
      }));

    test('a read buffer holds one window', async () => {
      const read = await engine.acquireRead();
      expect(read.plaintext).toHaveLength(OPEN_CHUNKS_MAX * CHUNK);
      expect(read.ciphertext).toHaveLength(OPEN_CHUNKS_MAX * CHUNK_SEALED_BYTES);
      read.release();
    });

    test('may be closed twice while a job is under way', async () => {
      const closing = make();
      const hashing = closing.hash([sharedCopy(patternBytes(4_000_000, 2))]);
      await Promise.all([closing.close(), closing.close()]);
      expect((await hashing).length).toBe(1);
    });

    test('after close everything is refused', async () => {
      const closing = make();
      await closing.close();
      await expect(closing.hash([patternBytes(100_000, 1)])).rejects.toMatchObject({ code: 'ShuttingDown' });
    });
  });
}
