/** What native jobs do with arguments that are wrong, or that change while they are read: they refuse, and never touch other memory. */
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type NativeAddon, native } from '../../src/base/native.ts';
import { blake3 } from '../../src/coding/blake3.ts';
import { packedRun, requireJobs, silentSocket } from './somejobs.ts';
import { badLengths, mustRefuse, noBytes, noNumbers } from './wrong-arguments.ts';

const { addon: found, reason } = native();
const CHUNK = 16_384;
const SEALED = 16_400;
const KEYS = new Uint8Array(44);

/** The list, whose last entry takes the memory of the victims away when it is read. */
function treacherous(list: readonly Uint8Array[], victims: readonly Uint8Array[]): Uint8Array[] {
  const last = list.at(-1)!;
  return Object.defineProperty([...list], list.length - 1, {
    get() {
      for (const view of victims) structuredClone(view, { transfer: [view.buffer as ArrayBuffer] });
      return last;
    },
  });
}

describe.skipIf(!found)(`arguments of native jobs${found ? '' : ` (skipped: ${reason})`}`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-arguments-'));
  const witness = join(directory, 'witness');
  let addon: NativeAddon;
  let file: number;
  beforeAll(() => {
    addon = requireJobs().addon as NativeAddon;
    writeFileSync(witness, '');
    file = openSync(join(directory, 'file'), 'w+');
  });
  afterAll(() => {
    if (file !== undefined) closeSync(file);
    rmSync(directory, { recursive: true, force: true });
  });

  describe('a getter that detaches what was read before it', () => {
    const views = (count: number) => Array.from({ length: count }, () => new Uint8Array(1000));
    const [sourceIndices, wantedIndices] = [Uint8Array.of(2, 3), Uint8Array.of(0, 1)];

    test('in the sources of reconstruct', () => {
      const [sources, wanted] = [views(2), views(2)];
      const list = treacherous(sources, [sources[0]!]);
      mustRefuse(RangeError, () =>
        addon.reconstruct(undefined, 2, 2, sourceIndices, list, wantedIndices, wanted, new Uint8Array(64)),
      );
    });

    test('in the wanted of reconstruct: a source, a wanted one, or the indices', () => {
      for (const victim of ['source', 'wanted', 'indices'] as const) {
        const [sources, wanted] = [views(2), views(2)];
        const indices = sourceIndices.slice();
        const victims = { source: sources[1]!, wanted: wanted[0]!, indices };
        const list = treacherous(wanted, [victims[victim]]);
        mustRefuse(RangeError, () =>
          addon.reconstruct(undefined, 2, 2, indices, sources, wantedIndices, list, new Uint8Array(64)),
        );
      }
    });

    test('in the parts of an append: the rest is written', () => {
      const [first, last] = [new Uint8Array(100_000).fill(1), new Uint8Array(10).fill(2)];
      expect(addon.append(undefined, file, 0, treacherous([first, last], [first]), witness, undefined)).toBe(
        16,
      );
      expect(fstatSync(file).size).toBe(10);
    });

    test('in the views of hashAll', () => {
      const roots = new Uint8Array(64);
      const [first, last] = [new Uint8Array(100_000).fill(1), new Uint8Array(10).fill(2)];
      expect(addon.hashAll(undefined, treacherous([first, last], [first]), roots)).toBe(0);
      expect(Buffer.from(roots)).toEqual(Buffer.concat([blake3(new Uint8Array(0)), blake3(last)]));
    });
  });

  describe('a view whose memory was taken away', () => {
    test('counts as empty', () => {
      const view = new Uint8Array(SEALED);
      structuredClone(view, { transfer: [view.buffer] });
      mustRefuse(RangeError, () => addon.hashAll(undefined, [new Uint8Array(1)], view));
      mustRefuse(RangeError, () => addon.openChunks(undefined, new Uint8Array(SEALED), view, KEYS, 0, false));
      mustRefuse(RangeError, () => addon.encode(undefined, view, 0, 1, 0, 64, new Uint8Array(32)));
    });
  });

  test('room for the plaintext is exact', () => {
    for (const chunks of [1, 2, 5]) {
      for (const [rest, final] of [
        [0, false],
        [16, true],
        [17, true],
        [1000, true],
      ] as const) {
        const sealed = new Uint8Array(chunks * SEALED + rest);
        const needed = chunks * CHUNK + Math.max(0, rest - 16);
        for (const missing of [1, 15, 16]) {
          mustRefuse(RangeError, () =>
            addon.openChunks(undefined, sealed, new Uint8Array(needed - missing), KEYS, 0, final),
          );
        }
        expect(addon.openChunks(undefined, sealed, new Uint8Array(needed), KEYS, 0, final)).toBeLessThan(0);
      }
    }
  });

  test('results overlap nothing', () => {
    const area = new Uint8Array(4 * SEALED);
    const part = (from: number, length: number) => area.subarray(from, from + length);
    const roots = new Uint8Array(64);
    mustRefuse(RangeError, () =>
      addon.seal(
        undefined,
        part(0, CHUNK),
        part(CHUNK - 1, 2 * SEALED),
        packedRun(CHUNK),
        1,
        1,
        SEALED,
        roots,
      ),
    );
    mustRefuse(RangeError, () => addon.encode(undefined, part(0, 2000), 1, 1, 1, 1000, part(1999, 64)));
    mustRefuse(RangeError, () => addon.hashAll(undefined, [part(0, 100)], part(80, 32)));
    mustRefuse(RangeError, () =>
      addon.openChunks(undefined, part(0, SEALED), part(100, CHUNK), KEYS, 0, false),
    );
  });

  test('nothing at all is no run of chunks', () => {
    const nothing = new Uint8Array(0);
    for (const final of [true, false]) {
      expect(addon.openChunks(undefined, nothing, nothing, KEYS, 0, final)).toBeLessThan(0);
      const pieces = new Float64Array(0);
      expect(addon.readAndOpen(undefined, nothing, nothing, KEYS, 0, final, pieces)).toBeLessThan(0);
    }
  });

  test('runs lie inside the plaintext and before the last chunk of a stream', () => {
    const seal = (run: Buffer) =>
      addon.seal(
        undefined,
        new Uint8Array(CHUNK),
        new Uint8Array(2 * SEALED),
        run,
        1,
        1,
        SEALED,
        new Uint8Array(64),
      );
    const lastChunk = 2 ** 38 - 2;
    expect(seal(packedRun(CHUNK, lastChunk))).toBe(SEALED);
    mustRefuse(RangeError, () => seal(packedRun(CHUNK, lastChunk + 1)));
    mustRefuse(RangeError, () => seal(packedRun(CHUNK).fill(0xff, 56, 64)));
    mustRefuse(RangeError, () => seal(packedRun(2 * CHUNK)));
    mustRefuse(RangeError, () => seal(packedRun(CHUNK).fill(0xff, 48, 52)));
    mustRefuse(RangeError, () => seal(packedRun(CHUNK - 1)));
    mustRefuse(RangeError, () => seal(packedRun(CHUNK).subarray(1)));
  });

  test('numbers', () => {
    const [fragments, roots] = [new Uint8Array(4000), new Uint8Array(64)];
    const bytes = new Uint8Array(SEALED);
    const digest = addon.digestNew(1);
    for (const bad of [...badLengths, 2 ** 53, 2 ** 53 + 2, -0.5]) {
      mustRefuse(RangeError, () => addon.encode(bad, fragments, 1, 1, 1, 64, roots));
      mustRefuse(RangeError, () => addon.encode(undefined, fragments, bad, 1, 1, 64, roots));
      mustRefuse(RangeError, () => addon.encode(undefined, fragments, 1, bad, 1, 64, roots));
      mustRefuse(RangeError, () => addon.encode(undefined, fragments, 1, 1, bad, 64, roots));
      mustRefuse(RangeError, () => addon.encode(undefined, fragments, 1, 1, 1, bad, roots));
      mustRefuse(RangeError, () => addon.openChunks(undefined, bytes, fragments, KEYS, bad, false));
      mustRefuse(RangeError, () => addon.append(undefined, bad, 0, [], witness, undefined));
      mustRefuse(RangeError, () => addon.append(undefined, file, 0, [], witness, bad));
      mustRefuse(RangeError, () => addon.allocatePages(bad));
      mustRefuse(RangeError, () => addon.sendBytes(undefined, bad, bytes, 1));
      mustRefuse(RangeError, () => addon.sendBytes(undefined, 0, bytes, bad));
      mustRefuse(RangeError, () => addon.digestNew(bad));
      mustRefuse(RangeError, () => addon.digestValue(digest, bad));
      mustRefuse(RangeError, () => addon.inletOpen(bad));
      mustRefuse(RangeError, () =>
        addon.readAndOpen(
          undefined,
          bytes,
          new Uint8Array(CHUNK),
          KEYS,
          0,
          false,
          Float64Array.of(file, 0, bad),
        ),
      );
      const rebuild = (pieces: Float64Array, k: number, m: number, sources: Float64Array) =>
        addon.rebuildAndOpen(
          ...([undefined, bytes, new Uint8Array(CHUNK), KEYS, 0, false, pieces, k, m, sources] as const),
        );
      const lost = Float64Array.of(-1, 0, SEALED);
      const sound = Float64Array.of(1, file, 0);
      mustRefuse(RangeError, () => rebuild(Float64Array.of(-1, bad, SEALED), 1, 1, sound));
      mustRefuse(RangeError, () => rebuild(Float64Array.of(-1, 0, bad), 1, 1, sound));
      mustRefuse(RangeError, () => rebuild(Float64Array.of(-3, 0, SEALED), 1, 1, sound));
      mustRefuse(RangeError, () => rebuild(Float64Array.of(-1, 2 ** 30 - SEALED + 1, SEALED), 1, 1, sound));
      mustRefuse(RangeError, () => rebuild(lost, bad, 1, sound));
      mustRefuse(RangeError, () => rebuild(lost, 1, bad, sound));
      mustRefuse(RangeError, () => rebuild(lost, 1, 1, Float64Array.of(bad, file, 0)));
      mustRefuse(RangeError, () => rebuild(lost, 2, 1, Float64Array.of(1, file, 0, 1, file, 0)));
      const at = Float64Array.of(bad < 0 || Number.isNaN(bad) ? bad : 2 ** 60, 0, SEALED);
      mustRefuse(RangeError, () =>
        addon.readAndOpen(undefined, bytes, new Uint8Array(CHUNK), KEYS, 0, false, at),
      );
    }
    for (const bad of noNumbers as number[]) {
      mustRefuse(TypeError, () => addon.encode(bad, fragments, 1, 1, 1, 64, roots));
      mustRefuse(TypeError, () => addon.encode(undefined, fragments, bad, 1, 1, 64, roots));
      mustRefuse(TypeError, () => addon.append(undefined, file, bad, [], witness, undefined));
    }
    mustRefuse(RangeError, () => addon.encode(undefined, fragments, 1, 200, 56, 64, roots));
    mustRefuse(RangeError, () => addon.encode(undefined, fragments, 1, 1, 1, 2001, roots));
  });

  test('things that are no bytes, lists or handles', () => {
    const roots = new Uint8Array(32);
    for (const bad of noBytes as Uint8Array[]) {
      mustRefuse(TypeError, () => addon.hashAll(undefined, [bad], roots));
      mustRefuse(TypeError, () => addon.append(undefined, file, 0, [bad], witness, undefined));
      mustRefuse(TypeError, () => addon.openChunks(undefined, bad, roots, KEYS, 0, false));
      mustRefuse(TypeError, () => addon.digestUpdate(1, bad as never, roots));
      mustRefuse(TypeError, () => addon.inletClose(bad as never));
      mustRefuse(TypeError, () => addon.inletReceive(1, addon.digestNew(1) as never, roots, 1));
    }
    for (const bad of ['list', 7, {}, new Uint8Array(3), undefined] as never[]) {
      mustRefuse(TypeError, () => addon.hashAll(undefined, bad, roots));
      mustRefuse(TypeError, () => addon.append(undefined, file, 0, bad, witness, undefined));
    }
    for (const bad of ['', 'x'.repeat(5000), 'a\0b', 7] as string[]) {
      mustRefuse(TypeError, () => addon.append(undefined, file, 0, [], bad, undefined));
    }
    mustRefuse(RangeError, () => addon.hashAll(undefined, new Array(256).fill(roots), roots));
    mustRefuse(TypeError, () => addon.append(undefined, file, 0, new Array(20_000), witness, undefined));
  });

  test('a digest gives one value at a time, each once', () => {
    const digest = addon.digestNew(1 + 16);
    for (const none of [0, 2, 3, 17, 63]) expect(() => addon.digestValue(digest, none)).toThrow(/algorithm/);
    expect(addon.digestValue(digest, 1).toString('hex')).toBe('d41d8cd98f00b204e9800998ecf8427e');
    expect(addon.digestValue(digest, 16).toString('hex')).toBe('00000000');
    expect(() => addon.digestValue(digest, 1)).toThrow(/algorithm/);
  });

  test('a digest and a receive take an id', async () => {
    const socket = await silentSocket();
    const inlet = addon.inletOpen(socket.descriptor);
    mustRefuse(TypeError, () => addon.digestUpdate(undefined, addon.digestNew(1), new Uint8Array(8)));
    if (inlet) {
      mustRefuse(TypeError, () => addon.inletReceive(undefined, inlet, new Uint8Array(8), 1));
      mustRefuse(RangeError, () => addon.inletReceive(1, inlet, new Uint8Array(0), 1));
      addon.inletClose(inlet);
      addon.inletClose(inlet);
    }
    socket.close();
  });

  test('before start, on a thread of its own', async () => {
    const source = `
      const { parentPort } = require('node:worker_threads');
      const addon = require('node-gyp-build')(process.cwd());
      const [bytes, roots] = [new Uint8Array(64), new Uint8Array(64)];
      const calls = [
        () => addon.encode(1, bytes, 1, 1, 1, 32, roots),
        () => addon.encode(undefined, bytes, 1, 1, 1, 32, roots),
        () => addon.hashAll(1, [bytes], roots.subarray(32)),
        () => addon.append(1, 0, 0, [], '/', undefined),
        () => addon.digestUpdate(1, addon.digestNew(1), bytes),
        () => addon.inletOpen(0),
      ];
      parentPort.postMessage(calls.map((call) => { try { return call(); } catch (error) { return error.code; } }));
    `;
    const worker = new Worker(source, { eval: true });
    const answers = await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    expect(answers).toEqual(new Array(6).fill('ERR_NOT_STARTED'));
  });

  test('start takes threads and a function, once', () => {
    for (const bad of [0, -1, 257, Number.NaN]) {
      mustRefuse(RangeError, () => addon.start(bad, 1, () => undefined));
      mustRefuse(RangeError, () => addon.start(1, bad, () => undefined));
    }
    expect(() => addon.start(1, 1, () => undefined)).toThrow(/started on this thread before/);
  });
});
