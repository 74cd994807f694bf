/** Listings of objects and uploads against naive models, and the cases that AWS documents. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keys } from '../../src/metadata/keys.ts';
import {
  encodeRecord,
  RECORD_FORMAT,
  type UploadRecord,
  type VersionRecord,
} from '../../src/metadata/records.ts';
import { listObjects } from '../../src/objects/listing.ts';
import { encodeKey, encodeName, formatUploadId, parseUploadId } from '../../src/objects/names.ts';
import { listUploads } from '../../src/objects/uploadlisting.ts';
import { SimulatedMetadata } from '../simulation/metadata.ts';

const bucketId = Buffer.alloc(16, 0xff);
const neighbours = [Buffer.alloc(16, 0xfe), Buffer.concat([Buffer.alloc(15, 0xff), Buffer.of(0xfe)])];
const attributes = { headers: {}, metadata: {}, tags: [], storageClass: 'STANDARD' };

function version(key: string): Buffer {
  return encodeRecord<VersionRecord>({
    v: RECORD_FORMAT,
    ...attributes,
    versionId: Buffer.alloc(16, 1),
    modifiedMs: 1,
    sizeBytes: Buffer.byteLength(key),
    etag: 'e',
    epochId: Buffer.alloc(16),
  });
}

async function engineWith(names: readonly string[]): Promise<SimulatedMetadata> {
  const engine = new SimulatedMetadata(1);
  const puts = [bucketId, ...neighbours].flatMap((id) =>
    names.map((name) => ({
      type: 'put' as const,
      key: keys.object(id, encodeKey(name)),
      value: version(name),
    })),
  );
  await engine.batch(puts, { sync: true });
  return engine;
}

interface Page {
  readonly keys: string[];
  readonly prefixes: string[];
  readonly truncated: boolean;
  readonly next: string | undefined;
}

async function page(
  engine: SimulatedMetadata,
  { prefix = '', delimiter = '', after = '', maxKeys = 1000 },
): Promise<Page> {
  const result = await listObjects(engine, bucketId, { prefix, delimiter, after, maxKeys });
  expect(engine.openCursors).toBe(0);
  return {
    keys: result.objects.map(({ key }) => key),
    prefixes: [...result.commonPrefixes],
    truncated: result.truncated,
    next: result.next,
  };
}

const compareNames = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** All items of a listing in order, common prefixes marked. */
function model(names: readonly string[], prefix: string, delimiter: string, after: string): string[] {
  const items: string[] = [];
  const rollUp = (name: string) => {
    const at = delimiter === '' ? -1 : name.indexOf(delimiter, prefix.length);
    return at < 0 ? undefined : name.slice(0, at + delimiter.length);
  };
  const skipped = after.startsWith(prefix) && rollUp(after) === after ? after : undefined;
  for (const name of [...new Set(names)].sort(compareNames)) {
    if (!name.startsWith(prefix) || compareNames(name, after) <= 0) continue;
    if (skipped !== undefined && name.startsWith(skipped)) continue;
    const common = rollUp(name);
    const item = common === undefined ? `key ${name}` : `prefix ${common}`;
    if (items.at(-1) !== item) items.push(item);
  }
  return items;
}

const unit = fc.constantFrom('a', 'b', '/', '//', '\0', '\x01', 'é', '\uffff', '😀', '\u{10ffff}', '~');
const nameArbitrary = fc.array(unit, { minLength: 1, maxLength: 5 }).map((parts) => parts.join(''));
const shortArbitrary = fc.array(unit, { maxLength: 2 }).map((parts) => parts.join(''));
const delimiterArbitrary = fc.constantFrom('', '/', '//', 'a', 'ab', '😀', 'é/', '\0', '\uffff');

describe('listing objects', () => {
  it('gives pages that together are the whole listing, for any keys, delimiter and page size', async () => {
    const property = fc.asyncProperty(
      fc.array(nameArbitrary, { maxLength: 60 }),
      shortArbitrary,
      delimiterArbitrary,
      fc.array(unit, { maxLength: 4 }).map((parts) => parts.join('')),
      fc.integer({ min: 1, max: 9 }),
      async (names, prefix, delimiter, firstAfter, maxKeys) => {
        const engine = await engineWith(names);
        const items: string[] = [];
        for (let after = firstAfter; ; ) {
          const result = await listObjects(engine, bucketId, { prefix, delimiter, after, maxKeys });
          const onPage = [
            ...result.objects.map(({ key }) => `key ${key}`),
            ...result.commonPrefixes.map((name) => `prefix ${name}`),
          ].sort((a, b) => compareNames(a.slice(a.indexOf(' ') + 1), b.slice(b.indexOf(' ') + 1)));
          items.push(...onPage);
          expect(onPage.length).toBeLessThanOrEqual(maxKeys);
          if (!result.truncated) {
            expect(result.next).toBeUndefined();
            break;
          }
          expect(onPage.length).toBe(maxKeys);
          after = result.next as string;
        }
        expect(items).toEqual(model(names, prefix, delimiter, firstAfter));
        expect(engine.openCursors).toBe(0);
      },
    );
    await fc.assert(property, { numRuns: 500 });
  });

  it('orders as UTF-8 does, which is not how JavaScript sorts', async () => {
    const engine = await engineWith(['\uffff', '😀', 'z']);
    expect((await page(engine, {})).keys).toEqual(['z', '\uffff', '😀']);
    expect(['\uffff', '😀'].sort()).toEqual(['😀', '\uffff']);
  });

  it('rolls up as in the example of the S3 User Guide', async () => {
    const engine = await engineWith([
      'sample.jpg',
      'photos/2006/January/sample.jpg',
      'photos/2006/February/sample2.jpg',
      'photos/2006/February/sample3.jpg',
    ]);
    expect(await page(engine, { delimiter: '/' })).toMatchObject({
      keys: ['sample.jpg'],
      prefixes: ['photos/'],
    });
    expect(await page(engine, { delimiter: '/', prefix: 'photos/2006/' })).toMatchObject({
      keys: [],
      prefixes: ['photos/2006/February/', 'photos/2006/January/'],
    });
  });

  it('pages through keys and common prefixes with the last one as marker', async () => {
    const engine = await engineWith(['asdf', 'boo/bar', 'boo/baz/xyzzy', 'cquux/thud', 'cquux/bla']);
    const first = await page(engine, { delimiter: '/', maxKeys: 1 });
    expect(first).toEqual({ keys: ['asdf'], prefixes: [], truncated: true, next: 'asdf' });
    const second = await page(engine, { delimiter: '/', maxKeys: 1, after: 'asdf' });
    expect(second).toEqual({ keys: [], prefixes: ['boo/'], truncated: true, next: 'boo/' });
    const third = await page(engine, { delimiter: '/', maxKeys: 1, after: 'boo/' });
    expect(third).toEqual({ keys: [], prefixes: ['cquux/'], truncated: false, next: undefined });
  });

  it('lists a common prefix when the marker lies inside it and more follows', async () => {
    const engine = await engineWith(['a/1', 'a/2', 'b']);
    expect(await page(engine, { delimiter: '/', after: 'a/1' })).toMatchObject({
      keys: ['b'],
      prefixes: ['a/'],
    });
    expect(await page(engine, { delimiter: '/', after: 'a/2' })).toMatchObject({ keys: ['b'], prefixes: [] });
    expect(await page(engine, { delimiter: '/', after: 'a/' })).toMatchObject({ keys: ['b'], prefixes: [] });
    expect(await page(engine, { after: 'a/' })).toMatchObject({ keys: ['a/1', 'a/2', 'b'] });
    expect(await page(engine, { delimiter: '/', prefix: 'a/', after: 'a/' })).toMatchObject({
      keys: ['a/1', 'a/2'],
    });
  });

  it('takes a marker before or behind the prefix', async () => {
    const engine = await engineWith(['a', 'p1', 'p2', 'z']);
    expect((await page(engine, { prefix: 'p', after: 'a' })).keys).toEqual(['p1', 'p2']);
    expect((await page(engine, { prefix: 'p', after: 'x' })).keys).toEqual([]);
  });

  it('says exactly whether more follows', async () => {
    const engine = await engineWith(['a', 'b/1', 'b/2']);
    expect(await page(engine, { maxKeys: 3 })).toMatchObject({ truncated: false, next: undefined });
    expect(await page(engine, { maxKeys: 2, delimiter: '/' })).toMatchObject({ truncated: false });
    expect(await page(engine, { maxKeys: 2 })).toMatchObject({ truncated: true, next: 'b/1' });
    expect(await page(engine, { maxKeys: 0 })).toEqual({
      keys: [],
      prefixes: [],
      truncated: false,
      next: undefined,
    });
  });

  it('does not read what it rolls up', async () => {
    const names = Array.from({ length: 5000 }, (_, i) => `dir${i % 5}/${i}`);
    const engine = await engineWith(names);
    let read = 0;
    const open = engine.cursor.bind(engine);
    engine.cursor = (range) => {
      const cursor = open(range);
      const next = cursor.next.bind(cursor);
      cursor.next = async (count) => {
        const entries = await next(count);
        read += entries.length;
        return entries;
      };
      return cursor;
    };
    expect((await page(engine, { delimiter: '/' })).prefixes.length).toBe(5);
    expect(read).toBeLessThanOrEqual(5 * 16);
  });
});

describe('names', () => {
  it('are refused when empty, too long or not well-formed', () => {
    const failing = (code: string) => expect.objectContaining({ code });
    expect(() => encodeKey('')).toThrowError(failing('InvalidArgument'));
    expect(encodeKey('x'.repeat(1024)).length).toBe(1024);
    expect(() => encodeKey('x'.repeat(1025))).toThrowError(failing('KeyTooLongError'));
    expect(() => encodeKey('😀'.repeat(257))).toThrowError(failing('KeyTooLongError'));
    expect(() => encodeKey('a\ud800b')).toThrowError(failing('InvalidURI'));
    expect(() => encodeName('\udc00')).toThrowError(failing('InvalidURI'));
    expect(encodeKey('\u{1f600}').toString('hex')).toBe('f09f9880');
  });

  it('of uploads come back as bytes, and nothing else does', () => {
    const id = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
    expect(parseUploadId(formatUploadId(id))).toEqual(id);
    for (const text of ['', 'x', 'AABB', `${formatUploadId(id)}\n`, formatUploadId(id).toUpperCase()]) {
      expect(parseUploadId(text)).toBeUndefined();
    }
  });
});

interface ModelUpload {
  readonly key: string;
  readonly id: Buffer;
}

const uploadArbitrary: fc.Arbitrary<ModelUpload> = fc.record({
  key: nameArbitrary,
  id: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes)),
});

function uploadRecord(): Buffer {
  return encodeRecord<UploadRecord>({
    v: RECORD_FORMAT,
    ...attributes,
    initiatedMs: 5,
    checksumAlgorithm: 'CRC32',
  });
}

async function engineWithUploads(uploads: readonly ModelUpload[]): Promise<SimulatedMetadata> {
  const engine = new SimulatedMetadata(1);
  const puts = [bucketId, ...neighbours].flatMap((bucket) =>
    uploads.map(({ key, id }) => ({
      type: 'put' as const,
      key: keys.upload(bucket, encodeKey(key), id),
      value: uploadRecord(),
    })),
  );
  await engine.batch(puts, { sync: true });
  return engine;
}

describe('listing uploads', () => {
  it('gives pages that together are all uploads by key, then id', async () => {
    const property = fc.asyncProperty(
      fc.array(uploadArbitrary, { maxLength: 40 }),
      shortArbitrary,
      delimiterArbitrary,
      fc.integer({ min: 1, max: 5 }),
      async (uploads, prefix, delimiter, maxUploads) => {
        const engine = await engineWithUploads(uploads);
        const items: string[] = [];
        let [keyMarker, uploadIdMarker] = ['', ''];
        for (let truncated = true; truncated; ) {
          const result = await listUploads(engine, bucketId, {
            prefix,
            delimiter,
            keyMarker,
            uploadIdMarker,
            maxUploads,
          });
          const onPage = [
            ...result.uploads.map(({ key, uploadId }) => ({ key, item: `key ${key} ${uploadId}` })),
            ...result.commonPrefixes.map((key) => ({ key, item: `prefix ${key}` })),
          ].sort((a, b) => compareNames(a.key, b.key));
          items.push(...onPage.map(({ item }) => item));
          truncated = result.truncated;
          if (truncated) expect(onPage.length).toBe(maxUploads);
          keyMarker = result.nextKeyMarker;
          uploadIdMarker = result.nextUploadIdMarker;
        }
        const sorted = [...uploads].sort((a, b) => compareNames(a.key, b.key) || Buffer.compare(a.id, b.id));
        const expected: string[] = [];
        for (const { key, id } of sorted) {
          const [item] = model([key], prefix, delimiter, '');
          if (!item) continue;
          const line = item.startsWith('key ') ? `${item} ${formatUploadId(id)}` : item;
          if (expected.at(-1) !== line) expected.push(line);
        }
        expect(items).toEqual(expected);
      },
    );
    await fc.assert(property, { numRuns: 300 });
  });

  it('treats the markers as AWS documents them', async () => {
    const id = (n: number) => Buffer.alloc(16, n);
    const engine = await engineWithUploads([
      { key: 'a', id: id(1) },
      { key: 'a', id: id(2) },
      { key: 'a\0', id: id(1) },
      { key: 'b', id: id(1) },
    ]);
    const list = async (keyMarker: string, uploadIdMarker = '', maxUploads = 1000) => {
      const request = { prefix: '', delimiter: '', keyMarker, uploadIdMarker, maxUploads };
      const { uploads } = await listUploads(engine, bucketId, request);
      return uploads.map(({ key, uploadId }) => key + Number.parseInt(uploadId.slice(0, 2), 16));
    };
    expect(await list('')).toEqual(['a1', 'a2', 'a\x001', 'b1']);
    expect(await list('', formatUploadId(id(9)))).toEqual(['a1', 'a2', 'a\x001', 'b1']);
    expect(await list('a')).toEqual(['a\x001', 'b1']);
    expect(await list('a', formatUploadId(id(1)))).toEqual(['a2', 'a\x001', 'b1']);
    expect(await list('a', formatUploadId(id(7)))).toEqual(['a\x001', 'b1']);
    expect(await list('', '', 0)).toEqual([]);
    await expect(list('a', 'nonsense')).rejects.toMatchObject({ code: 'InvalidArgument' });
  });
});
