/** ListObjects, ListObjectsV2 and ListObjectVersions: order, paging, delimiters, encodings, echoes, refusals. */
import { XMLParser } from 'fast-xml-parser';
import { beforeAll, describe, expect, test } from 'vitest';
import type { XmlElement } from '../../../src/s3/xml-parse.ts';
import { Caller, each, md5Hex, OWNER_ID, textAt } from '../call.ts';
import { MemoryObjects } from '../memory-objects.ts';

const s3 = new Caller(new MemoryObjects());
/** In UTF-8 order, which differs from JavaScript's for the last two. */
const KEYS = [
  'a',
  'dir/1',
  'dir/2',
  'dir/sub/3',
  'e&<f>"',
  'line\r\nend',
  'p+q r',
  '\u0001ctl',
  '\uffee',
  '\u{1f600}',
].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

beforeAll(async () => {
  await s3.call('PUT', '/bucket');
  await s3.call('PUT', '/empty');
  for (const key of KEYS) await s3.call('PUT', `/bucket/${key}`, { body: key });
});

const list = async (query: Record<string, string> = {}, bucket = '/bucket') =>
  (await s3.call('GET', bucket, { query })).xml;
const v2 = (query: Record<string, string> = {}) => list({ 'list-type': '2', ...query });
const keysOf = (xml: XmlElement, element = 'Contents') => each(xml, element, 'Key');
const prefixesOf = (xml: XmlElement) => each(xml, 'CommonPrefixes', 'Prefix');

describe('ListObjectsV2', () => {
  test('lists every key in UTF-8 order with all of its elements', async () => {
    const xml = await v2();
    expect([xml.name, textAt(xml, 'Name'), textAt(xml, 'Prefix'), textAt(xml, 'IsTruncated')]).toEqual([
      'ListBucketResult',
      'bucket',
      '',
      'false',
    ]);
    expect([textAt(xml, 'KeyCount'), textAt(xml, 'MaxKeys')]).toEqual([String(KEYS.length), '1000']);
    expect(keysOf(xml)).toEqual(KEYS);
    expect(each(xml, 'Contents', 'ETag')).toEqual(KEYS.map((key) => `"${md5Hex(key)}"`));
    expect(each(xml, 'Contents', 'Size')).toEqual(KEYS.map((key) => String(Buffer.byteLength(key))));
    expect(each(xml, 'Contents', 'StorageClass')).toEqual(KEYS.map(() => 'STANDARD'));
    expect(each(xml, 'Contents', 'LastModified')[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/);
    for (const absent of [
      'Delimiter',
      'EncodingType',
      'StartAfter',
      'ContinuationToken',
      'NextContinuationToken',
    ]) {
      expect(textAt(xml, absent)).toBeUndefined();
    }
  });

  test('pages of every size meet every key once', async () => {
    for (const maxKeys of [1, 2, 3, 7, 1000]) {
      const seen: (string | undefined)[] = [];
      let token: string | undefined;
      do {
        const xml = await v2({
          'max-keys': String(maxKeys),
          delimiter: '/',
          ...(token && { 'continuation-token': token }),
        });
        const page = [...keysOf(xml), ...prefixesOf(xml)];
        expect(page.length).toBeLessThanOrEqual(maxKeys);
        expect(textAt(xml, 'KeyCount')).toBe(String(page.length));
        expect(textAt(xml, 'ContinuationToken')).toBe(token);
        seen.push(...page);
        token = textAt(xml, 'NextContinuationToken');
        expect(textAt(xml, 'IsTruncated')).toBe(String(token !== undefined));
      } while (token);
      expect(seen.sort()).toEqual([...KEYS.filter((key) => !key.includes('/')), 'dir/'].sort());
    }
  });

  test('prefix and delimiter', async () => {
    const xml = await v2({ prefix: 'dir/', delimiter: '/' });
    expect([keysOf(xml), prefixesOf(xml)]).toEqual([['dir/1', 'dir/2'], ['dir/sub/']]);
    expect([textAt(xml, 'Prefix'), textAt(xml, 'Delimiter'), textAt(xml, 'KeyCount')]).toEqual([
      'dir/',
      '/',
      '3',
    ]);
  });

  test('start-after is exclusive and shown again; a token counts before it', async () => {
    const xml = await v2({ 'start-after': 'dir/1', 'max-keys': '1' });
    expect([keysOf(xml), textAt(xml, 'StartAfter')]).toEqual([['dir/2'], 'dir/1']);
    const next = await v2({
      'start-after': 'a',
      'continuation-token': textAt(xml, 'NextContinuationToken')!,
      'max-keys': '1',
    });
    expect([keysOf(next), textAt(next, 'StartAfter')]).toEqual([['dir/sub/3'], 'a']);
  });

  test('the owner only when asked for', async () => {
    expect(each(await v2(), 'Contents', 'Owner')[0]).toBeUndefined();
    const first = (await v2({ 'fetch-owner': 'true' })).children.find((child) => child.name === 'Contents')!;
    expect(textAt(first, 'Owner', 'ID')).toBe(OWNER_ID);
  });

  test('encoding-type=url encodes keys, prefixes, delimiter and start-after', async () => {
    const xml = await v2({ 'encoding-type': 'url', delimiter: ' ', prefix: 'p+', 'start-after': '\u0001' });
    expect(textAt(xml, 'EncodingType')).toBe('url');
    expect([
      textAt(xml, 'Prefix'),
      textAt(xml, 'Delimiter'),
      textAt(xml, 'StartAfter'),
      prefixesOf(xml),
    ]).toEqual(['p%2B', '%20', '%01', ['p%2Bq%20']]);
    expect(keysOf(await v2({ 'encoding-type': 'url' })).map((key) => decodeURIComponent(key!))).toEqual(KEYS);
  });

  test('control characters without encoding are numeric references', async () => {
    const { text } = await s3.call('GET', '/bucket', { query: { 'list-type': '2' } });
    expect(text).toContain('<Key>&#x1;ctl</Key>');
    expect(text).toContain('<Key>line&#xD;&#xA;end</Key>');
    expect(text).toContain('<Key>e&amp;&lt;f&gt;&quot;</Key>');
  });

  test('an ordinary XML parser reads it', async () => {
    const { text } = await s3.call('GET', '/bucket', { query: { 'list-type': '2', prefix: 'dir/' } });
    const parsed = new XMLParser().parse(text, true);
    expect(parsed.ListBucketResult.Contents.map(({ Key }: { Key: string }) => Key)).toEqual([
      'dir/1',
      'dir/2',
      'dir/sub/3',
    ]);
  });

  test('max-keys', async () => {
    expect(textAt(await v2({ 'max-keys': '5000' }), 'MaxKeys')).toBe('1000');
    const none = await v2({ 'max-keys': '0' });
    expect([textAt(none, 'KeyCount'), textAt(none, 'IsTruncated'), keysOf(none)]).toEqual(['0', 'false', []]);
    expect(await s3.refusal('GET', '/nobucket', { query: { 'list-type': '2', 'max-keys': '0' } })).toBe(
      'NoSuchBucket',
    );
  });

  test.each([
    [{ 'max-keys': '-1' }],
    [{ 'max-keys': 'many' }],
    [{ 'max-keys': '2147483648' }],
    [{ 'encoding-type': 'base64' }],
    [{ 'continuation-token': 'invented' }],
    [{ 'continuation-token': '1*' }],
  ])('refuses %o', async (query) => {
    expect(await s3.refusal('GET', '/bucket', { query: { 'list-type': '2', ...query } })).toBe(
      'InvalidArgument',
    );
  });

  test('an empty bucket, an empty token, and a bucket that is not there', async () => {
    const xml = await list({ 'list-type': '2', 'continuation-token': '' }, '/empty');
    expect([textAt(xml, 'KeyCount'), textAt(xml, 'ContinuationToken')]).toEqual(['0', '']);
    expect(await s3.refusal('GET', '/nobucket', { query: { 'list-type': '2' } })).toBe('NoSuchBucket');
  });

  test('list-type has one value', async () => {
    expect(await s3.refusal('GET', '/bucket', { query: { 'list-type': '3' } })).toBe('NotImplemented');
  });

  test('optional attributes: RestoreStatus, which no object has', async () => {
    const ask = (value: string) => ({
      query: { 'list-type': '2' },
      headers: { 'x-amz-optional-object-attributes': value },
    });
    expect((await s3.call('GET', '/bucket', ask('RestoreStatus'))).status).toBe(200);
    expect(await s3.refusal('GET', '/bucket', ask('Colour'))).toBe('InvalidArgument');
  });
});

describe('ListObjects', () => {
  test('shows owner and marker, and no key count', async () => {
    const xml = await list({ marker: 'dir/2', 'max-keys': '2' });
    expect([keysOf(xml), textAt(xml, 'Marker'), textAt(xml, 'IsTruncated')]).toEqual([
      ['dir/sub/3', 'e&<f>"'],
      'dir/2',
      'true',
    ]);
    expect([textAt(xml, 'KeyCount'), textAt(xml, 'NextMarker')]).toEqual([undefined, undefined]);
    expect(textAt(xml.children.find((child) => child.name === 'Contents')!, 'Owner', 'ID')).toBe(OWNER_ID);
  });

  test('pages with a delimiter by NextMarker', async () => {
    const seen: (string | undefined)[] = [];
    let marker: string | undefined = '';
    while (marker !== undefined) {
      const xml: XmlElement = await list({ delimiter: '/', 'max-keys': '2', marker });
      seen.push(...keysOf(xml), ...prefixesOf(xml));
      marker = textAt(xml, 'NextMarker');
    }
    expect(seen.sort()).toEqual([...KEYS.filter((key) => !key.includes('/')), 'dir/'].sort());
  });

  test('encodes marker and NextMarker', async () => {
    const xml = await list({ 'encoding-type': 'url', delimiter: '&', marker: 'dir/sub/3 ', 'max-keys': '1' });
    expect([textAt(xml, 'Marker'), textAt(xml, 'NextMarker'), prefixesOf(xml)]).toEqual([
      'dir/sub/3%20',
      'e%26',
      ['e%26'],
    ]);
  });
});

describe('ListObjectVersions', () => {
  const versions = (query: Record<string, string> = {}) => list({ versions: '', ...query });

  test('shows each key once, the latest, with the version null', async () => {
    const xml = await versions();
    expect([xml.name, keysOf(xml, 'Version')]).toEqual(['ListVersionsResult', KEYS]);
    expect(new Set(each(xml, 'Version', 'VersionId'))).toEqual(new Set(['null']));
    expect(new Set(each(xml, 'Version', 'IsLatest'))).toEqual(new Set(['true']));
    expect(keysOf(xml, 'DeleteMarker')).toEqual([]);
  });

  test('pages by key and version marker', async () => {
    const seen: (string | undefined)[] = [];
    let query: Record<string, string> | undefined = {};
    while (query) {
      const xml = await versions({ 'max-keys': '2', delimiter: '/', ...query });
      seen.push(...keysOf(xml, 'Version'), ...prefixesOf(xml));
      const [key, version] = [textAt(xml, 'NextKeyMarker'), textAt(xml, 'NextVersionIdMarker')];
      query =
        key === undefined
          ? undefined
          : { 'key-marker': key, ...(version && { 'version-id-marker': version }) };
    }
    expect(seen.sort()).toEqual([...KEYS.filter((key) => !key.includes('/')), 'dir/'].sort());
  });

  test.each([[{ 'version-id-marker': 'null' }], [{ 'key-marker': 'a', 'version-id-marker': 'abc' }]])(
    'refuses %o',
    async (query) => {
      expect(await s3.refusal('GET', '/bucket', { query: { versions: '', ...query } })).toBe(
        'InvalidArgument',
      );
    },
  );
});
