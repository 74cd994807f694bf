/**
 * Clients of a simulated gateway: each sends one request after the other, chosen by its own generator, to keys that all of them share,
 * and holds every answer against the model. What an answer may be: right, or an error that the state of the machine explains.
 */
import { HoldfastError } from '../../src/base/errors.ts';
import type { ObjectService, RangeRequest, WriteConditions } from '../../src/objects/types.ts';
import { type Body, bodyFrom, describe, type Model, matches, type Value, type Write } from './model.ts';
import { Prng } from './prng.ts';

export const BUCKETS = ['alpha', 'beta'] as const;
const KEYS_PER_BUCKET = 9;
const KIB = 1024;
const MIB = 1024 * KIB;
const PART_BYTES_MIN = 5 * MIB;
const POOL_BYTES = 16 * MIB;
/** Bodies are cut out of it: two that lie elsewhere differ everywhere. */
const pool = new Prng(20_260_101).bytes(POOL_BYTES);

/** A write may be refused like this while something is wrong with the machine. */
const REFUSALS = new Set(['ServiceUnavailable', 'GridUnavailable', 'InsufficientStorage', 'SlowDown']);

export interface ClientContext {
  readonly service: ObjectService;
  readonly model: Model;
  readonly prng: Prng;
  readonly name: string;
  readonly trace: (line: string) => void;
  readonly sleep: (delayMs: number) => Promise<void>;
  /** The process died: answers are worth nothing any more. */
  readonly crashed: () => boolean;
  /** Something was broken since the last time all was well, so that writes may be refused. */
  readonly isTroubled: () => boolean;
  /** Uploads whose parts were all acknowledged and that nobody has tried to complete or abort. */
  readonly openUploads: OpenUpload[];
  readonly withLargeBodies: boolean;
}

export interface OpenUpload {
  readonly key: string;
  readonly uploadId: string;
  readonly parts: readonly { readonly partNumber: number; readonly etag: string; readonly bytes: Buffer }[];
}

export class Client {
  readonly #context: ClientContext;

  constructor(context: ClientContext) {
    this.#context = context;
  }

  /** Sends `count` requests, fewer when the process dies. Rejects when an answer was wrong. */
  async run(count: number): Promise<void> {
    const { prng, crashed, sleep } = this.#context;
    for (let sent = 0; sent < count && !crashed(); sent++) {
      if (prng.chance(0.2)) await sleep(prng.below(3000));
      if (crashed()) return;
      const request = prng.pick(MIX);
      try {
        await this[request]();
      } catch (error) {
        if (crashed()) return;
        throw error;
      }
    }
  }

  async put(): Promise<void> {
    const { service, prng, model } = this.#context;
    const key = this.#key();
    const body = this.#body();
    const conditions = this.#conditions(key);
    const aborts = prng.chance(0.05) && body.bytes.length > 1;
    const write = model.begin(key, body);
    const request = { ...split(key), ...plain, body: this.#incoming(body, aborts), ...conditions.request };
    const label = `put ${key} ${describe(body)}${conditions.label}`;
    const send = () => service.putObject(request);
    const result = await this.#write(label, key, write, send, undefined, (code) => {
      const before = model.possible(key, conditions.startedAt, model.now());
      const failed = before.some((value) => !conditions.holdsFor(value));
      this.#must(failed || !CONDITION_CODES.has(code), `${label} answered ${code}`, before);
    });
    if (result === undefined) return;
    this.#must(result.etag === body.etag, `put ${key} answered another ETag`);
    this.#must(!aborts, `put ${key} was answered although its client went away`);
    this.#checkCondition(conditions, key, write);
  }

  async remove(): Promise<void> {
    const { service, model } = this.#context;
    const key = this.#key();
    const write = model.begin(key, undefined);
    const { bucket, key: name } = split(key);
    await this.#write(`delete ${key}`, key, write, async () => {
      await service.deleteObject(bucket, name);
      return true;
    });
  }

  async copy(): Promise<void> {
    const { service, model } = this.#context;
    const source = this.#key();
    const target = this.#key();
    if (source === target) return;
    const write = model.beginCopy(source, target);
    await this.#write(
      `copy ${source} to ${target}`,
      target,
      write,
      () => service.copyObject({ source: split(source), ...split(target) }),
      ({ etag }) => {
        const made = write.values().find((value) => value?.etag === etag);
        this.#must(made !== undefined, `copy ${source} to ${target} answered ${etag}, which was never there`);
        return made;
      },
      (code) => {
        const before = model.possible(source, write.startedAt, model.now());
        const isExplained = code !== 'NoSuchKey' || before.includes(undefined);
        this.#must(isExplained, `copy of ${source} found nothing`, before);
      },
    );
  }

  async get(): Promise<void> {
    const { prng } = this.#context;
    const key = this.#key();
    const range = prng.chance(0.4) ? this.#range() : undefined;
    const slow = prng.chance(0.1);
    await this.check(key, range, slow ? () => this.#context.sleep(prng.below(500)) : undefined);
  }

  /** Reads and compares with what may be there. */
  async check(key: string, range?: RangeRequest, pause?: () => Promise<void>): Promise<Value> {
    const { service, model, trace, name, crashed } = this.#context;
    const from = model.now();
    let possible: Value[] = [];
    try {
      const body = await service.getObject({ ...split(key), ...(range && { range }) });
      possible = model.possible(key, from, model.now());
      const pieces: Buffer[] = [];
      for await (const piece of body.stream(new AbortController().signal)) {
        pieces.push(Buffer.from(piece));
        if (pause !== undefined) await pause();
      }
      if (crashed()) return undefined;
      const { etag, sizeBytes } = body.info;
      const bytes = Buffer.concat(pieces);
      const read = { etag, sizeBytes, bytes, from: body.range.firstByte };
      const value = possible.find((value) => matches(value, read));
      trace(`${name} get ${key} ${JSON.stringify(range ?? 'all')}: ${etag.slice(0, 8)}`);
      const short = bytes.length !== body.range.lengthBytes;
      this.#must(
        value !== undefined && !short,
        `get ${key} (${bytes.length} of ${sizeBytes} bytes, ${etag})`,
        possible,
      );
      return value;
    } catch (error) {
      if (crashed()) return undefined;
      possible = model.possible(key, from, model.now());
      trace(`${name} get ${key} ${JSON.stringify(range ?? 'all')}: ${messageOf(error)}`);
      if (codeOf(error) === 'NoSuchKey') {
        this.#must(possible.includes(undefined), `get ${key} found nothing`, possible);
        return undefined;
      }
      const unsatisfiable = codeOf(error) === 'InvalidRange' && range !== undefined;
      if (unsatisfiable && possible.some((value) => isUnsatisfiable(range, value))) return undefined;
      throw error;
    }
  }

  async list(): Promise<void> {
    const { service, model, prng, trace, name, crashed } = this.#context;
    const bucket = prng.pick(BUCKETS);
    const maxKeys = prng.pick([2, 5, 1000]);
    let after = '';
    for (;;) {
      const from = model.now();
      const page = await service.listObjects({ bucket, prefix: '', delimiter: '', after, maxKeys });
      if (crashed()) return;
      const to = model.now();
      const found = new Map(page.objects.map((object) => [`${bucket}/${object.key}`, object]));
      trace(`${name} list ${bucket}: ${found.size}`);
      const isOnPage = (key: string) =>
        key.startsWith(`${bucket}/`) &&
        key.slice(bucket.length + 1) > after &&
        (page.next === undefined || key.slice(bucket.length + 1) <= page.next);
      for (const key of model.keys().filter(isOnPage)) {
        const object = found.get(key);
        found.delete(key);
        const possible = model.possible(key, from, to);
        const fits = (value: Value) =>
          object === undefined
            ? value === undefined
            : value?.etag === object.etag && value.bytes.length === object.sizeBytes;
        this.#must(possible.some(fits), `list shows ${key} as ${object?.etag ?? 'nothing'}`, possible);
      }
      this.#must(found.size === 0, `list shows ${[...found.keys()]}, which was never written`);
      if (page.next === undefined) return;
      after = page.next;
    }
  }

  /** Creates an upload and its parts; completes it, aborts it, or leaves it. */
  async multipart(): Promise<void> {
    const { service, prng, openUploads } = this.#context;
    const key = this.#key();
    const target = split(key);
    const uploadId = await this.#attempt(`create upload ${key}`, () =>
      service.createUpload({ ...target, ...plain }),
    );
    if (uploadId === undefined) return;
    const count = this.#context.withLargeBodies && prng.chance(0.3) ? 2 : 1;
    const parts: { partNumber: number; etag: string; bytes: Buffer }[] = [];
    for (let partNumber = 1; partNumber <= count; partNumber++) {
      const body = partNumber < count ? this.#cut(PART_BYTES_MIN + prng.below(70 * KIB)) : this.#body();
      const result = await this.#attempt(`part ${partNumber} of ${key} ${describe(body)}`, () =>
        service.uploadPart({ ...target, uploadId }, partNumber, this.#incoming(body, false)),
      );
      if (result === undefined) return;
      this.#must(result.etag === body.etag, 'a part answered another ETag');
      parts.push({ partNumber, etag: body.etag, bytes: body.bytes });
    }
    const upload = { key, uploadId, parts };
    const what = prng.below(4);
    if (what === 0)
      await this.#attempt(`abort ${key}`, () =>
        service.abortUpload({ ...target, uploadId }).then(() => true),
      );
    else if (what === 1) openUploads.push(upload);
    else await this.complete(upload);
  }

  async complete(upload: OpenUpload): Promise<void> {
    const { service, model } = this.#context;
    const body = assembled(upload);
    const write = model.begin(upload.key, body);
    const parts = upload.parts.map(({ partNumber, etag }) => ({ partNumber, etag, checksums: {} }));
    const request = { ...split(upload.key), uploadId: upload.uploadId, parts };
    const result = await this.#write(`complete ${upload.key} ${describe(body)}`, upload.key, write, () =>
      service.completeUpload(request),
    );
    if (result !== undefined)
      this.#must(result.etag === body.etag, `complete ${upload.key} answered ${result.etag}`);
  }

  async completeOpen(): Promise<void> {
    const { openUploads, prng } = this.#context;
    if (openUploads.length === 0) return;
    const [upload] = openUploads.splice(prng.below(openUploads.length), 1);
    if (upload !== undefined) await this.complete(upload);
  }

  /** Sends a write and tells the model what came of it. undefined: it was refused, and must never be seen. */
  async #write<T>(
    label: string,
    key: string,
    write: Write,
    send: () => Promise<T>,
    resolve: (result: T) => Value = () => undefined,
    refusedWith?: (code: string) => void,
  ): Promise<T | undefined> {
    const { model, crashed } = this.#context;
    const result = await this.#attempt(label, send, (code) => {
      model.refused(key, write);
      refusedWith?.(code);
    });
    if (result !== undefined && !crashed()) model.answered(write, resolve(result));
    return result;
  }

  async #attempt<T>(
    label: string,
    send: () => Promise<T>,
    onRefused?: (code: string) => void,
  ): Promise<T | undefined> {
    const { trace, name, crashed, isTroubled } = this.#context;
    trace(`${name} ${label} …`);
    try {
      const result = await send();
      if (crashed()) return undefined;
      trace(`${name} ${label}: done`);
      return result;
    } catch (error) {
      if (crashed()) return undefined;
      trace(`${name} ${label}: ${messageOf(error)}`);
      const code = codeOf(error);
      onRefused?.(code);
      if (EXPECTED.has(code) || error === clientGone || (REFUSALS.has(code) && isTroubled()))
        return undefined;
      throw error;
    }
  }

  #conditions(key: string): Conditions {
    const { prng, model } = this.#context;
    if (!prng.chance(0.25)) return { request: {}, label: '', holdsFor: () => true, startedAt: 0 };
    const startedAt = model.now();
    if (prng.chance(0.5)) {
      const holdsFor = (value: Value) => value === undefined;
      return { request: { conditions: { ifNoneMatch: '*' } }, label: ' if new', holdsFor, startedAt };
    }
    const possible = model.possible(key, startedAt, model.now());
    const ifMatch = possible[prng.below(possible.length)]?.etag ?? '0'.repeat(32);
    const holdsFor = (value: Value) => value?.etag === ifMatch;
    return { request: { conditions: { ifMatch } }, label: ` if ${ifMatch.slice(0, 8)}`, holdsFor, startedAt };
  }

  /** A conditional write that was answered must have met its condition at some time. */
  #checkCondition({ holdsFor, startedAt, label }: Conditions, key: string, write: Write): void {
    const { model } = this.#context;
    const before = model.possible(key, startedAt, model.now(), write);
    this.#must(before.some(holdsFor), `put ${key}${label} was answered`, before);
  }

  #must(holds: boolean, what: string, possible?: readonly Value[]): void {
    if (holds) return;
    const shown = possible === undefined ? '' : `; possible: ${possible.map(describe).join(', ')}`;
    throw new Error(`${this.#context.name}: ${what}${shown}`);
  }

  #key(): string {
    const { prng } = this.#context;
    return `${prng.pick(BUCKETS)}/${prng.pick(['a', 'ä', 'z/'])}${prng.below(KEYS_PER_BUCKET / 3)}`;
  }

  #body(): Body {
    const { prng, withLargeBodies } = this.#context;
    const dice = prng.below(100);
    if (dice < 6) return this.#cut(0);
    if (dice < 12) return this.#cut(1);
    if (dice < 50) return this.#cut(prng.below(4 * KIB));
    if (dice < 65) return this.#cut(32 * KIB + prng.below(3) - 1);
    if (dice < 90) return this.#cut(prng.below(300 * KIB));
    if (dice < 97 || !withLargeBodies) return this.#cut(prng.below(1300 * KIB));
    return this.#cut(4 * MIB + prng.pick([-1, 0, 1, 70 * KIB, 3 * MIB]));
  }

  #cut(lengthBytes: number): Body {
    const at = this.#context.prng.below(POOL_BYTES - lengthBytes);
    return bodyFrom(pool.subarray(at, at + lengthBytes));
  }

  #range(): RangeRequest {
    const { prng } = this.#context;
    const firstByte = prng.below(prng.pick([10, 40 * KIB, 300 * KIB]));
    return prng.pick<RangeRequest>([
      { firstByte },
      { firstByte, lastByte: firstByte + prng.below(100 * KIB) },
      { suffixBytes: 1 + prng.below(50 * KIB) },
    ]);
  }

  #incoming(body: Body, aborts: boolean) {
    const { prng, sleep } = this.#context;
    const pieceBytes = Math.max(1, Math.ceil(body.bytes.length / prng.between(1, 6)));
    const slow = prng.chance(0.1);
    const failsAt = aborts ? prng.below(body.bytes.length) : Number.POSITIVE_INFINITY;
    async function* pieces(): AsyncGenerator<Uint8Array, void, void> {
      for (let at = 0; at < body.bytes.length; at += pieceBytes) {
        if (slow) await sleep(prng.below(300));
        if (at + pieceBytes > failsAt) throw clientGone;
        yield body.bytes.subarray(at, at + pieceBytes);
      }
    }
    return {
      lengthBytes: prng.chance(0.8) ? body.bytes.length : undefined,
      algorithms: prng.chance(0.3) ? (['crc32'] as const) : [],
      verify: () => undefined,
      signal: new AbortController().signal,
      [Symbol.asyncIterator]: pieces,
    };
  }
}

interface Conditions {
  readonly request: { readonly conditions?: WriteConditions };
  readonly label: string;
  readonly holdsFor: (value: Value) => boolean;
  readonly startedAt: number;
}

const MIX = [
  ...(['put', 'put', 'put', 'put', 'put', 'put', 'get', 'get', 'get', 'get'] as const),
  ...(['remove', 'remove', 'copy', 'list', 'multipart', 'completeOpen'] as const),
];
const CONDITION_CODES = new Set(['PreconditionFailed', 'NoSuchKey']);
const EXPECTED = new Set(['PreconditionFailed', 'ConditionalRequestConflict', 'NoSuchKey']);
const plain = { headers: {}, metadata: {}, tags: [], storageClass: 'STANDARD' };
const clientGone = new Error('the client went away');

export function split(key: string): { bucket: string; key: string } {
  const slash = key.indexOf('/');
  return { bucket: key.slice(0, slash), key: key.slice(slash + 1) };
}

function assembled({ parts }: OpenUpload): Body {
  const digests = Buffer.concat(parts.map(({ etag }) => Buffer.from(etag, 'hex')));
  const etag = `${bodyFrom(digests).etag}-${parts.length}`;
  return { bytes: Buffer.concat(parts.map(({ bytes }) => bytes)), etag };
}

function isUnsatisfiable(range: RangeRequest, value: Value): boolean {
  if (value === undefined) return false;
  return value.bytes.length === 0 || ('firstByte' in range && range.firstByte >= value.bytes.length);
}

function codeOf(error: unknown): string {
  return error instanceof HoldfastError ? error.code : '';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? `${codeOf(error)} ${error.message}` : String(error);
}
