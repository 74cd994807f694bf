/** A degraded read of files at hand (src/stripes/localread.ts, native/engine/rebuild.c): one trip, the same bytes, whatever is lost. */
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { nativeJobs } from '../../src/base/nativejobs.ts';
import { systemRandom } from '../../src/base/random.ts';
import { GridRegistry } from '../../src/grid/registry.ts';
import { EmbeddedNode } from '../../src/node/embedded.ts';
import { realDisk } from '../../src/node/realdisk.ts';
import { NativeEngine } from '../../src/stripes/engine/native.ts';
import type { LocalPiece, LostPiece } from '../../src/stripes/engine/types.ts';
import { FragmentSeals } from '../../src/stripes/fragments.ts';
import { Stripes } from '../../src/stripes/store.ts';
import type { WrittenStripe } from '../../src/stripes/types.ts';
import { patternBytes } from '../conformance/codec.ts';
import { Prng } from '../simulation/prng.ts';
import { keys } from './world.ts';

const jobs = nativeJobs();
const CHUNK = 16_384;
const SEALED = 16_400;
const chunkKeys = { aeadKey: patternBytes(32, 5), baseNonce: patternBytes(12, 6) };
const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const close of closers.splice(0).reverse()) await close();
});

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'holdfast-rebuild-'));
  closers.push(() => rm(path, { recursive: true, force: true }));
  return path;
}

function makeEngine(k: number, m: number): NativeEngine {
  const engine = new NativeEngine(jobs!, { profile: { k, m, codecId: 1 } });
  closers.push(() => engine.close());
  return engine;
}

/** A sealed stripe, and its fragments in one file at odd places. */
async function sealedFile(k: number, m: number, chunks: number, final: boolean, prng: Prng) {
  const engine = makeEngine(k, m);
  const lengthBytes = final ? chunks * CHUNK - 1 - prng.below(CHUNK) : chunks * CHUNK;
  const plaintext = patternBytes(lengthBytes, 9);
  const buffer = await engine.acquireWrite();
  buffer.plaintext.set(plaintext);
  const run = {
    ...{ plaintextOffsetBytes: 0, plaintextLengthBytes: lengthBytes },
    ...{ ...chunkKeys, firstChunkIndex: 3, final },
  };
  const shape = await engine.seal(buffer, [run], { k, m, codecId: 1 });
  const { fragmentLengthBytes } = shape;
  const at = Array.from({ length: k + m }, (_, i) => i * (fragmentLengthBytes + 77) + prng.below(77));
  const path = join(await folder(), 'fragments');
  const bytes = Buffer.alloc((k + m) * (fragmentLengthBytes + 77));
  for (const [i, position] of at.entries()) {
    const fragment = buffer.fragments.subarray(i * fragmentLengthBytes, (i + 1) * fragmentLengthBytes);
    bytes.set(fragment, position);
  }
  buffer.release();
  await writeFile(path, bytes);
  const file = await open(path, 'r+');
  closers.push(() => file.close());
  const sealedBytes = shape.payloadLengthBytes;
  return { engine, plaintext, at, file, fragmentLengthBytes, sealedBytes, lengthBytes };
}

describe.skipIf(!jobs?.addon.canSeal())('a degraded read of files at hand', () => {
  test('opens what it rebuilds, at any geometry, for any loss', async () => {
    const prng = new Prng(20_251_125);
    for (let round = 0; round < 60; round++) {
      const k = round % 10 === 9 ? 100 + prng.below(150) : 1 + prng.below(20);
      const m = Math.min(1 + prng.below(6), 255 - k);
      const [final, chunks] = [prng.below(2) === 0, 1 + prng.below(40)];
      const stripe = await sealedFile(k, m, chunks, final, prng);
      const { engine, at, file, fragmentLengthBytes: length } = stripe;
      const order = at
        .map((_, i) => [prng.u32(), i] as const)
        .sort((a, b) => a[0] - b[0])
        .map(([, i]) => i);
      const present = new Set(order.slice(0, k));
      const sources = order
        .slice(0, k)
        .map((index) => ({ index, descriptor: file.fd, positionBytes: at[index]! }));
      const first = prng.below(chunks);
      const count = Math.min(chunks - first, 1 + prng.below(40));
      const isLast = first + count === chunks;
      const end = isLast ? stripe.sealedBytes : (first + count) * SEALED;
      const pieces: (LocalPiece | LostPiece)[] = [];
      for (let from = first * SEALED; from < end; ) {
        const index = Math.floor(from / length);
        const lengthBytes = Math.min(end, (index + 1) * length) - from;
        const offsetBytes = from - index * length;
        pieces.push(
          present.has(index)
            ? { descriptor: file.fd, positionBytes: at[index]! + offsetBytes, lengthBytes }
            : { lostIndex: index, offsetBytes, lengthBytes },
        );
        from += lengthBytes;
      }
      const buffer = await engine.acquireRead();
      const request = {
        ciphertext: new Uint8Array(end - first * SEALED),
        plaintext: new Uint8Array(count * CHUNK),
        ...{ ...chunkKeys, firstChunkIndex: 3 + first, final: final && isLast },
      };
      const opened = await engine.readAndOpen(request, pieces, { k, m, sources });
      buffer.release();
      const expected = stripe.plaintext.subarray(first * CHUNK, isLast ? undefined : (first + count) * CHUNK);
      const what = `${k} + ${m}, ${chunks} chunks, ${first} to ${first + count}`;
      expect(opened, what).toBe(expected.length);
      expect(Buffer.compare(request.plaintext.subarray(0, opened), expected), what).toBe(0);
      for (const close of closers.splice(0).reverse()) await close();
    }
  });

  test('says when a source ends too early or fails a tag', async () => {
    const { engine, at, file, sealedBytes, fragmentLengthBytes } = await sealedFile(
      ...([2, 2, 8, true, new Prng(3)] as const),
    );
    const request = {
      ciphertext: new Uint8Array(fragmentLengthBytes),
      plaintext: new Uint8Array(4 * CHUNK),
      ...{ ...chunkKeys, firstChunkIndex: 3, final: false },
    };
    const lost = [{ lostIndex: 0, offsetBytes: 0, lengthBytes: 2 * SEALED }];
    const whole = { ...request, ciphertext: new Uint8Array(2 * SEALED) };
    const sources = [1, 3].map((index) => ({ index, descriptor: file.fd, positionBytes: at[index]! }));
    expect(sealedBytes).toBeGreaterThan(2 * SEALED);
    expect(await engine.readAndOpen(whole, lost, { k: 2, m: 2, sources })).toBe(2 * CHUNK);
    await file.write(Buffer.from([1, 2, 3]), 0, 3, at[3]! + 20_000);
    await expect(engine.readAndOpen(whole, lost, { k: 2, m: 2, sources })).rejects.toThrow(
      'chunk 4 failed its authentication tag',
    );
    await file.truncate(at[3]! + 1000);
    await expect(engine.readAndOpen(whole, lost, { k: 2, m: 2, sources })).rejects.toThrow();
    const twice = [sources[0]!, sources[0]!];
    await expect(engine.readAndOpen(whole, lost, { k: 2, m: 2, sources: twice })).rejects.toThrow(/sources/);
    await expect(engine.readAndOpen(whole, lost, { k: 3, m: 2, sources })).rejects.toThrow(/sources/);
    const beyond = [{ lostIndex: 4, offsetBytes: 0, lengthBytes: 2 * SEALED }];
    await expect(engine.readAndOpen(whole, beyond, { k: 2, m: 2, sources })).rejects.toThrow(/pieces/);
  });
});

/** A grid of six real nodes that the engine can read in one trip. */
async function world() {
  const profile = { k: 4, m: 2, codecId: 1 };
  const engine = makeEngine(4, 2);
  const grid = new GridRegistry(systemClock, profile);
  const nodes: EmbeddedNode[] = [];
  for (let id = 1; id <= 6; id++) {
    const node = new EmbeddedNode({
      disk: realDisk,
      directory: await folder(),
      clock: systemClock,
      random: systemRandom,
      initialise: true,
    });
    await node.start();
    closers.push(() => node.stop());
    const { nodeUuid } = await node.hello();
    const record = { v: 1, nodeUuid, path: '', onDataFilesystem: true, farm: `farm ${id}`, addedMs: 0 };
    grid.add(id, { ...record, state: 'active' }, node);
    nodes.push(node);
  }
  await grid.probeAll();
  const stripes = await Stripes.create({
    ...{ grid, engine, clock: systemClock, keys, profile },
    positions: { logId: 1, term: 1, start: 1 },
  });
  const damage: [number, string][] = [];
  stripes.onDamage = (_, index, reason) => damage.push([index, reason]);
  return { grid, nodes, stripes, engine, damage };
}

async function writeOne(stripes: Stripes, lengthBytes: number): Promise<WrittenStripe> {
  const buffer = await stripes.acquire();
  buffer.plaintext.set(patternBytes(lengthBytes, 1));
  const run = { plaintextOffsetBytes: 0, plaintextLengthBytes: lengthBytes };
  const written = await stripes.write(buffer, [{ ...run, ...chunkKeys, firstChunkIndex: 0, final: true }]);
  buffer.release();
  return written;
}

async function readAll(stripes: Stripes, written: WrittenStripe, lengthBytes: number): Promise<Buffer> {
  const chunks = Math.floor(lengthBytes / CHUNK) + 1;
  const parts: Buffer[] = [];
  for (let first = 0; first < chunks; first += stripes.openChunksMax) {
    const chunkCount = Math.min(stripes.openChunksMax, chunks - first);
    const isLast = first + chunkCount === chunks;
    const piece = await stripes.open({
      ...{ stripeId: written.stripeId, record: written.record, payloadOffsetBytes: first * SEALED },
      ...{ chunkCount, lastChunkLengthBytes: isLast ? (lengthBytes % CHUNK) + 16 : SEALED },
      ...{ ...chunkKeys, firstChunkIndex: first, final: isLast },
    });
    parts.push(Buffer.from(piece.plaintext));
    piece.release();
  }
  return Buffer.concat(parts);
}

describe.skipIf(!jobs?.addon.canSeal())('a degraded read over nodes in this process', () => {
  test('takes one trip a window for every loss that is survived, and asks no node by itself', async () => {
    const { grid, nodes, stripes, engine, damage } = await world();
    const lengthBytes = 2_500_000;
    const written = await writeOne(stripes, lengthBytes);
    const expected = patternBytes(lengthBytes, 1);
    const trips = vi.spyOn(engine, 'readAndOpen');
    const asked = nodes.map((node) => vi.spyOn(node, 'read'));
    for (let a = 0; a < 6; a++) {
      for (let b = a; b < 6; b++) {
        const lost = [...new Set([a, b])];
        for (const i of lost) await nodes[i]!.stop();
        await Promise.all(lost.map((i) => grid.probe(i + 1)));
        trips.mockClear();
        const got = await readAll(stripes, written, lengthBytes);
        expect(Buffer.compare(got, expected), `without nodes ${lost}`).toBe(0);
        const windows = Math.ceil((Math.floor(lengthBytes / CHUNK) + 1) / stripes.openChunksMax);
        expect(trips).toHaveBeenCalledTimes(windows);
        for (const i of lost) await nodes[i]!.start();
        await Promise.all(lost.map((i) => grid.probe(i + 1)));
      }
    }
    for (const read of asked) expect(read).not.toHaveBeenCalled();
    expect(damage).toEqual([]);
  });

  test('finds out who lies when what was rebuilt fails its tag', async () => {
    const { grid, nodes, stripes, damage } = await world();
    const lengthBytes = 1_000_000;
    const written = await writeOne(stripes, lengthBytes);
    const holders = written.record.nodes.map((id) => nodes[id - 1]!);
    await holders[0]!.stop();
    await grid.probe(written.record.nodes[0]!);
    const name = (await FragmentSeals.create(keys)).name(written.stripeId, 1);
    const held = holders[1]!.hold(name, 5000, 16)!;
    const path = `/proc/self/fd/${held.descriptor}`;
    const file = await open(path, 'r+');
    await file.write(Buffer.alloc(16, 0x5a), 0, 16, held.positionBytes);
    await file.close();
    held.release();
    const got = await readAll(stripes, written, lengthBytes);
    expect(Buffer.compare(got, patternBytes(lengthBytes, 1))).toBe(0);
    expect(damage.filter(([index]) => index !== 0)).toContainEqual([1, 'corrupt']);
  });
});
