/**
 * Random operations of many clients on few keys, with every answer of metadata and nodes delayed at random, while compaction,
 * garbage collection and the sweep of tombs run beside them. Every GET must give exactly what one acknowledged write
 * stored; at the end each key must hold what the order of acknowledgements allows, and all invariants must hold. A seed is
 * printed with each failure.
 */
import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { hasCode } from '../../src/base/errors.ts';
import type { MetadataEngine } from '../../src/metadata/engine.ts';
import type { ObjectService } from '../../src/objects/types.ts';
import { Prng } from '../simulation/prng.ts';
import { checkInvariants } from './invariants.ts';
import { bodyOf, createWorld, pattern, plain, putRequest, readBody, type World } from './world.ts';

const CLIENTS = 12;
const OPERATIONS_PER_CLIENT = 25;
const SEEDS = 6;
const BUCKETS = ['one', 'two'];
const KEYS = ['a', 'b', 'c', 'd'];
const SIZES = [0, 1, 500, 5000, 33_000, 150_000];
/** What racing operations may be answered. */
const EXPECTED = ['NoSuchKey', 'NoSuchUpload', 'PreconditionFailed', 'ConditionalRequestConflict'] as const;

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Uniform in [0, bound). */
function below(prng: Prng, bound: number): number {
  return prng.bytes(4).readUInt32BE() % bound;
}

interface Write {
  readonly startedAt: number;
  endedAt: number;
  /** Hex MD5 of the bytes; undefined for a delete. */
  readonly md5: string | undefined;
}

class History {
  readonly #writes = new Map<string, Write[]>();
  readonly known = new Set<string>();
  #now = 0;

  /** Runs a write of `place`; it counts only when it is acknowledged, or fails in a way that leaves that open. */
  async write(place: string, md5: string | undefined, action: () => Promise<unknown>): Promise<void> {
    if (md5 !== undefined) this.known.add(`${place} ${md5}`);
    const write: Write = { startedAt: this.#now++, endedAt: Number.POSITIVE_INFINITY, md5 };
    await action();
    write.endedAt = this.#now++;
    const writes = this.#writes.get(place) ?? [];
    writes.push(write);
    this.#writes.set(place, writes);
  }

  /** What a place may hold once nothing is in flight: the write that no later one followed. */
  possible(place: string): Set<string | undefined> {
    const writes = this.#writes.get(place) ?? [];
    if (writes.length === 0) return new Set([undefined]);
    const last = writes.filter(({ endedAt }) => !writes.some((other) => other.startedAt > endedAt));
    return new Set(last.map(({ md5 }) => md5));
  }
}

const md5Of = (bytes: Uint8Array) => createHash('md5').update(bytes).digest('hex');

class Client {
  readonly #service: ObjectService;
  readonly #history: History;
  readonly #prng: Prng;
  #unique: number;

  constructor(world: World, history: History, prng: Prng, id: number) {
    this.#service = world.service;
    this.#history = history;
    this.#prng = prng;
    this.#unique = id * 1_000_000;
  }

  async run(): Promise<void> {
    for (let i = 0; i < OPERATIONS_PER_CLIENT; i++) {
      try {
        await this.#step();
      } catch (error) {
        if (!hasCode(error, ...EXPECTED)) throw error;
      }
    }
  }

  #pick<T>(items: readonly T[]): T {
    return items[below(this.#prng, items.length)] as T;
  }

  async #step(): Promise<void> {
    const bucket = this.#pick(BUCKETS);
    const key = this.#pick(KEYS);
    const place = `${bucket}/${key}`;
    const service = this.#service;
    switch (below(this.#prng, 10)) {
      case 0:
      case 1:
      case 2:
        return this.#put(bucket, key, place);
      case 3:
        return this.#history.write(place, undefined, () => service.deleteObject(bucket, key));
      case 4:
        return this.#copy(bucket, key, place);
      case 5:
        return this.#multipart(bucket, key, place);
      case 6:
        return service.putTags(bucket, key, [['n', String(this.#unique++)]]);
      default:
        return this.#get(bucket, key, place);
    }
  }

  async #put(bucket: string, key: string, place: string): Promise<void> {
    const bytes = pattern(this.#pick(SIZES), this.#unique++);
    const conditional = below(this.#prng, 4) === 0 ? { conditions: { ifNoneMatch: '*' } as const } : {};
    const unknown = below(this.#prng, 4) === 0 ? { lengthBytes: undefined } : {};
    const request = putRequest(bucket, key, bytes, { ...conditional, ...unknown });
    await this.#history.write(place, md5Of(bytes), () => this.#service.putObject(request));
  }

  /** What is copied is known only afterwards, from the ETag: only simple objects are sources here. */
  async #copy(bucket: string, key: string, place: string): Promise<void> {
    const source = { bucket: this.#pick(BUCKETS), key: this.#pick(KEYS) };
    const { info } = await this.#service.headObject(source);
    const conditions = { ifMatch: [info.etag] };
    const replaceMetadata = { headers: {}, metadata: { n: String(this.#unique++) } };
    const from = { ...source, conditions };
    const isMultipart = info.partCount !== undefined;
    const md5 = isMultipart ? info.metadata['md5'] : info.etag;
    await this.#history.write(place, md5, () =>
      this.#service.copyObject({ source: from, bucket, key, replaceMetadata }),
    );
  }

  async #multipart(bucket: string, key: string, place: string): Promise<void> {
    const bytes = pattern(this.#pick(SIZES), this.#unique++);
    const md5 = md5Of(bytes);
    const uploadId = await this.#service.createUpload({ bucket, key, ...plain, metadata: { md5 } });
    const pointer = { bucket, key, uploadId };
    await this.#service.uploadPart(pointer, 1, bodyOf(pattern(700, this.#unique++)));
    const [{ etag }] = await Promise.all([
      this.#service.uploadPart(pointer, 2, bodyOf(bytes)),
      this.#service.uploadPart(pointer, 1, bodyOf(pattern(40_000, this.#unique++))),
    ]);
    if (below(this.#prng, 4) === 0) return this.#service.abortUpload(pointer);
    const request = { ...pointer, parts: [{ partNumber: 2, etag, checksums: {} }] };
    const again = () => this.#service.completeUpload(request).catch(() => undefined);
    await this.#history.write(place, md5, () =>
      Promise.all([this.#service.completeUpload(request), again()]),
    );
  }

  async #get(bucket: string, key: string, place: string): Promise<void> {
    const body = await this.#service.getObject({ bucket, key });
    const bytes = await readBody(body.stream(new AbortController().signal), async () => {
      if (below(this.#prng, 3) === 0) await turn();
    });
    expect(bytes.length, `length of ${place}`).toBe(body.info.sizeBytes);
    const md5 = md5Of(bytes);
    if (body.info.partCount === undefined) expect(md5, `ETag of ${place}`).toBe(body.info.etag);
    expect(this.#history.known.has(`${place} ${md5}`), `bytes of ${place} were written to it`).toBe(true);
  }
}

/** Answers of reads come late, as they may from a busy disk. */
function slowEngine(engine: MetadataEngine, prng: Prng): MetadataEngine {
  const late = async () => {
    for (let turns = below(prng, 4); turns > 0; turns--) await turn();
  };
  return {
    get: async (key) => {
      const value = await engine.get(key);
      await late();
      return value;
    },
    getMany: (keys) => engine.getMany(keys),
    cursor: (range) => engine.cursor(range),
    batch: async (operations, options) => {
      await engine.batch(operations, options);
      await late();
    },
    compact: (from, to) => engine.compact(from, to),
    close: () => engine.close(),
  };
}

async function upkeep(world: World, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    await world.upkeep.compactSharedStripes({ bytesMax: 1_000_000 });
    await world.upkeep.collectGarbage(20);
    await world.upkeep.buryEmptyStripes();
    // A compaction's fragments stay an hour; here they stay as long as the tomb says.
    await world.sweepTombs();
    await turn();
  }
}

it.each(Array.from({ length: SEEDS }, (_, i) => i + 1))('seed %i', async (seed) => {
  const prng = new Prng(seed);
  const world = await createWorld({ wrapEngine: (engine) => slowEngine(engine, prng) });
  try {
    const pause = async () => {
      for (let turns = below(prng, 5); turns > 0; turns--) await turn();
    };
    world.stripes.beforeWrite = pause;
    world.stripes.beforeOpen = pause;
    for (const bucket of BUCKETS) await world.service.createBucket(bucket, 'us-east-1');
    const history = new History();
    const clients = Array.from({ length: CLIENTS }, (_, id) => new Client(world, history, prng, id + 1));
    let over = false;
    const running = Promise.all(clients.map((client) => client.run())).finally(() => {
      over = true;
    });
    await Promise.all([running, upkeep(world, () => over)]);
    await checkInvariants(world);
    for (const bucket of BUCKETS) {
      for (const key of KEYS) {
        const found = await currentMd5(world.service, bucket, key);
        expect([...history.possible(`${bucket}/${key}`)], `${bucket}/${key}`).toContain(found);
      }
    }
    await deleteAll(world);
    await checkInvariants(world);
    await world.sweepTombs(Number.POSITIVE_INFINITY);
    expect(world.stripes.payloads.size).toBe(0);
  } finally {
    await world.close();
  }
});

async function currentMd5(service: ObjectService, bucket: string, key: string): Promise<string | undefined> {
  try {
    const body = await service.getObject({ bucket, key });
    return md5Of(await readBody(body.stream(new AbortController().signal)));
  } catch (error) {
    if (hasCode(error, 'NoSuchKey')) return undefined;
    throw error;
  }
}

async function deleteAll({ service, upkeep }: World): Promise<void> {
  for (const bucket of BUCKETS) {
    for (const key of KEYS) await service.deleteObject(bucket, key);
    const { uploads } = await service.listUploads({
      bucket,
      prefix: '',
      delimiter: '',
      keyMarker: '',
      uploadIdMarker: '',
      maxUploads: 1000,
    });
    for (const { key, uploadId } of uploads) await service.abortUpload({ bucket, key, uploadId });
    await upkeep.collectGarbage(10_000);
    await service.deleteBucket(bucket);
  }
}
