/** The object layer over real LevelDB, the real committer and keyring, and stripes in memory; one temp directory each. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mapKey } from '../../src/base/bytes.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { SlotCommitter } from '../../src/commitlog/committer.ts';
import { engineSlotWriter } from '../../src/commitlog/slot.ts';
import { openTerm } from '../../src/commitlog/term.ts';
import { deriveGridKeys } from '../../src/crypto/gridkeys.ts';
import { EpochKeyring } from '../../src/crypto/keyring.ts';
import type { MetadataEngine } from '../../src/metadata/engine.ts';
import { prefixes, prefixRange } from '../../src/metadata/keys.ts';
import { openLevel } from '../../src/metadata/level.ts';
import { decodeRecord, type ObjectAttributes, type TombRecord } from '../../src/metadata/records.ts';
import { type BucketAdministration, createObjects, type ObjectUpkeep } from '../../src/objects/service.ts';
import type { EtagKind, IncomingBody, ObjectService, PutRequest } from '../../src/objects/types.ts';
import { MemoryStripes, type MemoryStripesOptions } from './memorystripes.ts';

export interface World {
  readonly engine: MetadataEngine;
  readonly committer: SlotCommitter;
  readonly stripes: MemoryStripes;
  readonly service: ObjectService;
  readonly buckets: BucketAdministration;
  readonly upkeep: ObjectUpkeep;
  /** Failures of background work; must stay empty. */
  readonly failures: unknown[];
  /** Deletes what tombs name and is due. */
  sweepTombs(nowMs?: number): Promise<number>;
  /** A new process over the same metadata and stripes. */
  restart(): Promise<World>;
  close(): Promise<void>;
}

export interface WorldOptions extends Partial<Omit<MemoryStripesOptions, 'random'>> {
  readonly clock?: Clock;
  readonly newBucketEtags?: EtagKind;
  /** Wraps the engine, for example to read it late. */
  readonly wrapEngine?: (engine: MetadataEngine) => MetadataEngine;
}

const gridSecret = { gridSecret: Buffer.alloc(32, 7), gridId: Buffer.alloc(16, 8), generation: 1 };

export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-objects-'));
  const stripes = new MemoryStripes({ random: systemRandom, ...options });
  return openWorld(directory, stripes, options);
}

async function openWorld(directory: string, stripes: MemoryStripes, options: WorldOptions): Promise<World> {
  const clock = options.clock ?? systemClock;
  const level = await openLevel(directory);
  const engine = options.wrapEngine?.(level) ?? level;
  const committer = new SlotCommitter({
    engine,
    writer: engineSlotWriter(engine),
    clock,
    token: await openTerm(engine, 0, systemRandom),
  });
  const failures: unknown[] = [];
  const keyring = new EpochKeyring({ keys: deriveGridKeys(gridSecret), clock, random: systemRandom });
  const { service, buckets, upkeep } = createObjects({
    engine,
    committer,
    stripes,
    keyring,
    clock,
    random: systemRandom,
    ...(options.newBucketEtags && { newBucketEtags: options.newBucketEtags }),
    onBackgroundError: (error) => failures.push(error),
  });
  const stop = async () => {
    await upkeep.close();
    await committer.close();
    await engine.close();
  };
  return {
    engine,
    committer,
    stripes,
    service,
    buckets,
    upkeep,
    failures,
    sweepTombs: (nowMs = clock.nowMs()) => sweepTombs(engine, committer, stripes, nowMs),
    restart: async () => {
      await stop();
      return openWorld(directory, stripes, options);
    },
    close: async () => {
      await stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function sweepTombs(
  engine: MetadataEngine,
  committer: SlotCommitter,
  stripes: MemoryStripes,
  nowMs: number,
): Promise<number> {
  let swept = 0;
  for (const [key, value] of await readAll(engine, prefixes.tombs())) {
    const id = mapKey(key.subarray(1));
    if (decodeRecord<TombRecord>(value).notBeforeMs > nowMs || stripes.pinned.has(id)) continue;
    stripes.payloads.delete(id);
    await committer.commit([{ type: 'del', key }]);
    swept += 1;
  }
  return swept;
}

export async function readAll(engine: MetadataEngine, prefix: Uint8Array): Promise<[Buffer, Buffer][]> {
  const cursor = engine.cursor(prefixRange(prefix));
  const all: [Buffer, Buffer][] = [];
  try {
    for (let page = await cursor.next(1000); page.length > 0; page = await cursor.next(1000))
      all.push(...page);
  } finally {
    await cursor.close();
  }
  return all;
}

export const plain: ObjectAttributes = { headers: {}, metadata: {}, tags: [], storageClass: 'STANDARD' };

export interface BodyOptions {
  /** Of the pieces that the body comes in. */
  readonly pieceBytes?: number;
  readonly lengthBytes?: number | undefined;
  readonly algorithms?: IncomingBody['algorithms'];
  readonly verify?: IncomingBody['verify'];
  readonly signal?: AbortSignal;
  /** Throws after so many bytes. */
  readonly failsAtBytes?: number;
}

/** A body whose pieces all lie in the same memory, which is overwritten for the next piece, as a socket's may be. */
export function bodyOf(bytes: Uint8Array, options: BodyOptions = {}): IncomingBody {
  const { pieceBytes = 10_000, failsAtBytes = Number.POSITIVE_INFINITY } = options;
  async function* pieces(): AsyncGenerator<Uint8Array, void, void> {
    const memory = Buffer.alloc(pieceBytes);
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      if (at >= failsAtBytes) throw new Error('the client went away');
      const piece = bytes.subarray(at, at + pieceBytes);
      memory.set(piece);
      yield memory.subarray(0, piece.length);
      memory.fill(0xdd);
    }
  }
  return {
    lengthBytes: 'lengthBytes' in options ? options.lengthBytes : bytes.length,
    algorithms: options.algorithms ?? [],
    verify: options.verify ?? (() => undefined),
    signal: options.signal ?? new AbortController().signal,
    [Symbol.asyncIterator]: pieces,
  };
}

export function putRequest(
  bucket: string,
  key: string,
  bytes: Uint8Array,
  options: BodyOptions & Partial<PutRequest> = {},
): PutRequest {
  const { headers, metadata, tags, storageClass } = { ...plain, ...options };
  return {
    bucket,
    key,
    headers,
    metadata,
    tags,
    storageClass,
    body: bodyOf(bytes, options),
    ...(options.conditions && { conditions: options.conditions }),
  };
}

export async function readBody(
  stream: AsyncIterable<Uint8Array>,
  pause: () => Promise<void> | void = () => {},
): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) {
    await pause();
    pieces.push(Buffer.from(piece));
  }
  return Buffer.concat(pieces);
}

export async function getBytes(
  service: ObjectService,
  bucket: string,
  key: string,
  request: {
    readonly range?: Parameters<ObjectService['getObject']>[0]['range'];
    readonly partNumber?: number;
  } = {},
): Promise<Buffer> {
  const body = await service.getObject({ bucket, key, ...request });
  return readBody(body.stream(new AbortController().signal));
}

/** Bytes that differ everywhere, so that a shifted or swapped chunk is seen. */
export function pattern(lengthBytes: number, seed = 0): Buffer {
  const bytes = Buffer.alloc(lengthBytes);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let i = 0; i < lengthBytes; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}
