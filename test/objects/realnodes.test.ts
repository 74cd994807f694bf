/** The object layer over the real stripe layer and six embedded nodes: what stripes in memory cannot show. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { SlotCommitter } from '../../src/commitlog/committer.ts';
import { engineSlotWriter } from '../../src/commitlog/slot.ts';
import { openTerm } from '../../src/commitlog/term.ts';
import { deriveGridKeys } from '../../src/crypto/gridkeys.ts';
import { EpochKeyring } from '../../src/crypto/keyring.ts';
import { EmbeddedNodes } from '../../src/gateway/embeddednodes.ts';
import { NodeIds } from '../../src/gateway/gridnodes.ts';
import { GridRegistry } from '../../src/grid/registry.ts';
import { openLevel } from '../../src/metadata/level.ts';
import { realDisk } from '../../src/node/realdisk.ts';
import { createObjects, type Objects } from '../../src/objects/service.ts';
import { InlineEngine } from '../../src/stripes/engine/inline.ts';
import { Stripes } from '../../src/stripes/store.ts';
import { bodyOf, getBytes, pattern, plain, putRequest, readBody } from './world.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const profile = { k: 4, m: 2, codecId: 1 };
const parts = { clock: systemClock, random: systemRandom };
const gridSecret = { gridSecret: Buffer.alloc(32, 7), gridId: Buffer.alloc(16, 8), generation: 1 };

let objects: Objects;
let nodes: EmbeddedNodes;
const closers: (() => Promise<unknown>)[] = [];
const failures: unknown[] = [];

beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-realnodes-'));
  closers.push(() => rm(directory, { recursive: true, force: true }));
  const engine = await openLevel(join(directory, 'metadata'));
  closers.push(() => engine.close());
  const registry = new GridRegistry(systemClock, profile);
  nodes = new EmbeddedNodes({
    ...parts,
    dataDirectory: directory,
    ids: new NodeIds(),
    disk: realDisk,
    registry,
    log: pino({ level: 'silent' }),
    capacityBytes: undefined,
  });
  closers.push(() => nodes.close());
  const paths = [1, 2, 3, 4, 5, 6].map((number) => join(directory, `node-${number}`));
  await nodes.open(new Map(), { paths, byDefault: false });
  const token = await openTerm(engine, 0, systemRandom);
  const committer = new SlotCommitter({
    engine,
    clock: systemClock,
    token,
    writer: engineSlotWriter(engine),
  });
  closers.push(() => committer.close());
  nodes.committer = committer;
  const keys = deriveGridKeys(gridSecret);
  const stripes = await Stripes.create({
    ...parts,
    grid: registry,
    engine: new InlineEngine({ profile }),
    keys,
    profile,
    positions: { logId: 1, ...token },
  });
  objects = createObjects({
    ...parts,
    engine,
    committer,
    stripes,
    keyring: new EpochKeyring({ ...parts, keys }),
    onBackgroundError: (error) => failures.push(error),
  });
  closers.push(() => objects.upkeep.close());
  await objects.service.createBucket('bucket', 'us-east-1');
});

afterAll(async () => {
  for (const close of closers.reverse()) await close();
  expect(failures).toEqual([]);
});

it.each([
  0,
  1,
  16 * KIB,
  32 * KIB,
  32 * KIB + 1,
  MIB,
  4 * MIB - 1,
  4 * MIB,
  4 * MIB + 1,
  12 * MIB,
  21 * MIB + 7,
])('a body of %i bytes comes back whole and by range', async (size) => {
  const bytes = pattern(size, size);
  await objects.service.putObject(putRequest('bucket', 'k', bytes, { pieceBytes: 64 * KIB }));
  expect((await getBytes(objects.service, 'bucket', 'k')).equals(bytes)).toBe(true);
  for (const firstByte of [0, 16 * KIB - 1, 4 * MIB - 3, 8 * MIB + 1, size - 1]) {
    if (firstByte < 0 || firstByte >= size) continue;
    const range = { firstByte, lastByte: firstByte + 20_000 };
    const expected = bytes.subarray(firstByte, firstByte + 20_001);
    expect((await getBytes(objects.service, 'bucket', 'k', { range })).equals(expected)).toBe(true);
  }
});

it('small bodies are packed, thinned out and compacted', async () => {
  const { service, upkeep } = objects;
  const bodies = Array.from({ length: 200 }, (_, i) => pattern(100 + 37 * i, i));
  await Promise.all(bodies.map((bytes, i) => service.putObject(putRequest('bucket', `s${i}`, bytes))));
  const gone = bodies.map((_, i) => i).filter((i) => i % 10 !== 0);
  await Promise.all(gone.map((i) => service.deleteObject('bucket', `s${i}`)));
  const result = await upkeep.compactSharedStripes({ bytesMax: 100 * MIB });
  expect(result.compacted).toBeGreaterThan(0);
  for (let i = 0; i < bodies.length; i += 10) {
    expect((await getBytes(service, 'bucket', `s${i}`)).equals(bodies[i] as Buffer)).toBe(true);
  }
});

it('many slow readers of large objects do not keep others from reading small ones', async () => {
  const { service } = objects;
  const bytes = pattern(20 * MIB, 5);
  await service.putObject(putRequest('bucket', 'large', bytes, { pieceBytes: 64 * KIB }));
  const signal = new AbortController().signal;
  const slow = await Promise.all(
    Array.from({ length: 12 }, async () =>
      (await service.getObject({ bucket: 'bucket', key: 'large' })).stream(signal),
    ),
  );
  for (const stream of slow) await stream.next();
  expect((await getBytes(service, 'bucket', 's0')).equals(pattern(100, 0))).toBe(true);
  for (const stream of slow) await stream.return();
});

it('parts, copies and completion work over real stripes', async () => {
  const { service } = objects;
  const pointer = { bucket: 'bucket', key: 'm', uploadId: '' };
  pointer.uploadId = await service.createUpload({ ...pointer, ...plain });
  const bodies = [pattern(9 * MIB, 1), pattern(5 * MIB, 2), pattern(3, 3)];
  const results = await Promise.all(
    bodies.map((bytes, i) => service.uploadPart(pointer, i + 1, bodyOf(bytes, { pieceBytes: 64 * KIB }))),
  );
  const parts = results.map(({ etag }, i) => ({ partNumber: i + 1, etag, checksums: {} }));
  await service.completeUpload({ ...pointer, parts });
  await service.copyObject({ source: pointer, bucket: 'bucket', key: 'copy' });
  await service.deleteObject('bucket', 'm');
  expect((await getBytes(service, 'bucket', 'copy')).equals(Buffer.concat(bodies))).toBe(true);
});

it('two nodes may stop in the middle of a read', async () => {
  const { service } = objects;
  const bytes = pattern(20 * MIB, 5);
  const body = await service.getObject({ bucket: 'bucket', key: 'large' });
  let received = 0;
  const stopping = async () => {
    received += 1;
    if (received === 2) await Promise.all([nodes.stop(1), nodes.stop(4)]);
  };
  expect((await readBody(body.stream(new AbortController().signal), stopping)).equals(bytes)).toBe(true);
  expect((await getBytes(service, 'bucket', 's0')).equals(pattern(100, 0))).toBe(true);
  await service.putObject(putRequest('bucket', 'narrow', pattern(5 * MIB)));
  expect((await getBytes(service, 'bucket', 'narrow')).equals(pattern(5 * MIB))).toBe(true);
});
