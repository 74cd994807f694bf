/** PutObject, GetObject, HeadObject and DeleteObject. */
import { beforeEach, describe, expect, test } from 'vitest';
import { Caller, crc32Base64, md5Hex } from '../call.ts';
import { MemoryObjects } from '../memory-objects.ts';

let objects: MemoryObjects;
let s3: Caller;
beforeEach(async () => {
  objects = new MemoryObjects();
  s3 = new Caller(objects);
  await s3.call('PUT', '/bucket');
});

const ETAG = `"${md5Hex('0123456789')}"`;
const put = (headers = {}) => s3.call('PUT', '/bucket/key', { body: '0123456789', headers });
const get = (headers = {}, query = {}) => s3.call('GET', '/bucket/key', { headers, query });

describe('PutObject', () => {
  test('answers with the ETag and that the object is encrypted', async () => {
    const { status, headers, text } = await put();
    expect([status, text]).toEqual([200, '']);
    expect(headers).toEqual({ etag: ETAG, 'x-amz-server-side-encryption': 'AES256' });
  });

  test('what is said about the object comes back', async () => {
    const stored = {
      'content-type': 'text/plain; charset=utf-8',
      'content-encoding': 'gzip',
      'content-disposition': 'attachment; filename="a.txt"',
      'content-language': 'de, en',
      'cache-control': 'max-age=60',
      expires: 'whenever',
      'x-amz-website-redirect-location': '/elsewhere',
      'x-amz-storage-class': 'STANDARD_IA',
      'x-amz-meta-plain': 'value',
      'x-amz-meta-utf8': Buffer.from('gr\u00fc\u00dfe', 'utf8').toString('latin1'),
      'x-amz-meta-rfc2047': '=?UTF-8?B?Z3LDvMOfZQ==?=',
    };
    await put({ ...stored, 'x-amz-tagging': 'a=1&b=2', 'x-amz-acl': 'private' });
    for (const answer of [await get(), await s3.call('HEAD', '/bucket/key')]) {
      expect(answer.headers).toEqual({
        ...stored,
        'accept-ranges': 'bytes',
        etag: ETAG,
        'last-modified': expect.stringMatching(/GMT$/),
        'content-length': '10',
        'x-amz-tagging-count': '2',
        'x-amz-server-side-encryption': 'AES256',
      });
    }
  });

  test('by default there is only a content type, and STANDARD is not shown', async () => {
    await put({ 'x-amz-storage-class': 'STANDARD', 'content-encoding': 'aws-chunked' });
    expect(Object.keys((await get()).headers).sort()).toEqual([
      'accept-ranges',
      'content-length',
      'content-type',
      'etag',
      'last-modified',
      'x-amz-server-side-encryption',
    ]);
    expect((await get()).headers['content-type']).toBe('binary/octet-stream');
  });

  test('a checksum is verified, returned and shown in checksum mode', async () => {
    const checksum = { 'x-amz-checksum-crc32': crc32Base64('0123456789') };
    const answer = await put({ ...checksum, 'x-amz-sdk-checksum-algorithm': 'CRC32' });
    expect(answer.headers).toMatchObject({ ...checksum, 'x-amz-checksum-type': 'FULL_OBJECT' });
    expect((await get()).headers).not.toHaveProperty('x-amz-checksum-crc32');
    const mode = { 'x-amz-checksum-mode': 'ENABLED' };
    expect((await get(mode)).headers).toMatchObject({ ...checksum, 'x-amz-checksum-type': 'FULL_OBJECT' });
    expect((await get({ ...mode, range: 'bytes=0-9' })).headers).toMatchObject(checksum);
    expect((await get({ ...mode, range: 'bytes=0-8' })).headers).not.toHaveProperty('x-amz-checksum-crc32');
    expect(
      await s3.refusal('PUT', '/bucket/key', { body: 'x', headers: { 'x-amz-checksum-crc32': 'AAAAAQ==' } }),
    ).toBe('BadDigest');
  });

  test('only if there is none, or only over a known one', async () => {
    await put({ 'if-none-match': '*' });
    const refusal = (headers: Record<string, string>) =>
      s3.refusal('PUT', '/bucket/key', { body: 'x', headers });
    expect(await refusal({ 'if-none-match': '*' })).toBe('PreconditionFailed');
    expect(await refusal({ 'if-match': '"other"' })).toBe('PreconditionFailed');
    expect(await refusal({ 'if-none-match': ETAG })).toBe('NotImplemented');
    expect((await get()).text).toBe('0123456789');
    expect((await put({ 'if-match': ETAG })).status).toBe(200);
  });

  test.each([
    [{ 'x-amz-meta-a': 'v'.repeat(3000) }, 'MetadataTooLarge'],
    [{ 'x-amz-storage-class': 'X' }, 'InvalidStorageClass'],
    [{ 'x-amz-tagging': 'a=1&a=2' }, 'InvalidTag'],
    [{ 'x-amz-acl': 'public-read' }, 'NotImplemented'],
    [{ 'x-amz-server-side-encryption': 'aws:kms' }, 'NotImplemented'],
    [{ 'x-amz-server-side-encryption-customer-algorithm': 'AES256' }, 'NotImplemented'],
    [{ 'x-amz-object-lock-legal-hold': 'ON' }, 'NotImplemented'],
    [{ 'x-amz-write-offset-bytes': '5' }, 'NotImplemented'],
    [{ 'content-length': String(5 * 1024 ** 3 + 1) }, 'EntityTooLarge'],
  ])('refuses %o with %s', async (headers, code) => {
    expect(await s3.refusal('PUT', '/bucket/key', { headers })).toBe(code);
    expect(await s3.refusal('HEAD', '/bucket/key')).toBe('NoSuchKey');
  });
});

describe('GetObject', () => {
  beforeEach(() => put());

  test.each([
    ['bytes=2-4', '234', 'bytes 2-4/10'],
    ['bytes=7-', '789', 'bytes 7-9/10'],
    ['bytes=-2', '89', 'bytes 8-9/10'],
    ['bytes=0-99', '0123456789', 'bytes 0-9/10'],
  ])('serves %s', async (range, text, span) => {
    for (const method of ['GET', 'HEAD']) {
      const answer = await s3.call(method, '/bucket/key', { headers: { range } });
      expect([answer.status, answer.headers['content-range'], answer.headers['content-length']]).toEqual([
        206,
        span,
        String(text.length),
      ]);
      expect(answer.text).toBe(method === 'GET' ? text : '');
    }
  });

  test.each(['bytes=4-2', 'bytes=0-1,3-4', 'lines=1-2', 'nonsense'])(
    'sends everything for %s',
    async (range) => {
      const answer = await get({ range });
      expect([answer.status, answer.text, answer.headers['content-range']]).toEqual([
        200,
        '0123456789',
        undefined,
      ]);
    },
  );

  test('a range behind the end is InvalidRange', async () => {
    expect(await s3.refusal('GET', '/bucket/key', { headers: { range: 'bytes=10-' } })).toBe('InvalidRange');
    expect(await s3.refusal('GET', '/bucket/key', { headers: { range: 'bytes=-0' } })).toBe('InvalidRange');
  });

  test('a simple object is its own first part', async () => {
    const answer = await get({}, { partNumber: '1' });
    expect([answer.status, answer.text, answer.headers['x-amz-mp-parts-count']]).toEqual([
      206,
      '0123456789',
      undefined,
    ]);
    expect(await s3.refusal('GET', '/bucket/key', { query: { partNumber: '2' } })).toBe('InvalidPartNumber');
    expect(await s3.refusal('GET', '/bucket/key', { query: { partNumber: '0' } })).toBe('InvalidArgument');
    expect(
      await s3.refusal('GET', '/bucket/key', { query: { partNumber: '1' }, headers: { range: 'bytes=0-1' } }),
    ).toBe('InvalidRequest');
  });

  test('an empty object has no content range', async () => {
    await s3.call('PUT', '/bucket/empty');
    const answer = await s3.call('GET', '/bucket/empty', { query: { partNumber: '1' } });
    expect([answer.status, answer.headers['content-length'], answer.headers['content-range']]).toEqual([
      200,
      '0',
      undefined,
    ]);
  });

  test('overrides of this one answer', async () => {
    const query = {
      'response-content-type': 'text/html',
      'response-content-disposition': 'attachment; filename="\u00fc"',
      'response-cache-control': 'no-store',
      'response-content-encoding': 'br',
      'response-content-language': 'fr',
      'response-expires': 'never',
    };
    expect((await get({}, query)).headers).toMatchObject({
      'content-type': 'text/html',
      'content-disposition': 'attachment; filename="\u00c3\u00bc"',
      'cache-control': 'no-store',
      'content-encoding': 'br',
      'content-language': 'fr',
      expires: 'never',
    });
    expect(await s3.refusal('GET', '/bucket/key', { query: { 'response-content-type': 'a\r\nb: c' } })).toBe(
      'InvalidArgument',
    );
  });

  test('conditions', async () => {
    const modified = (await get()).headers['last-modified']!;
    const earlier = new Date(Date.parse(modified) - 1000).toUTCString();
    const outcome = async (headers: Record<string, string>) => {
      for (const method of ['GET', 'HEAD']) {
        const status = await s3.call(method, '/bucket/key', { headers }).then(
          (answer) => answer.status,
          (error) => error.code,
        );
        if (method === 'HEAD') return status;
      }
    };
    expect(await outcome({ 'if-match': ETAG })).toBe(200);
    expect(await outcome({ 'if-match': '"x", *' })).toBe(200);
    expect(await outcome({ 'if-match': '"x"' })).toBe('PreconditionFailed');
    expect(await outcome({ 'if-none-match': '"x"' })).toBe(200);
    expect(await outcome({ 'if-none-match': ETAG })).toBe(304);
    expect(await outcome({ 'if-modified-since': modified })).toBe(304);
    expect(await outcome({ 'if-modified-since': earlier })).toBe(200);
    expect(await outcome({ 'if-unmodified-since': modified })).toBe(200);
    expect(await outcome({ 'if-unmodified-since': earlier })).toBe('PreconditionFailed');
    expect(await outcome({ 'if-match': ETAG, 'if-unmodified-since': earlier })).toBe(200);
    expect(await outcome({ 'if-none-match': '"x"', 'if-modified-since': modified })).toBe(200);
  });

  test('If-Range: the range of the version the client knows, or all of the object', async () => {
    await put();
    const modified = (await get()).headers['last-modified']!;
    const outcome = async (validator: string, headers: Record<string, string> = {}) => {
      const answer = await get({ range: 'bytes=2-3', 'if-range': validator, ...headers });
      return `${answer.status} ${answer.text}`;
    };
    const ranged = '206 23';
    const whole = '200 0123456789';
    expect(await outcome(ETAG)).toBe(ranged);
    expect(await outcome(modified)).toBe(ranged);
    expect(await outcome(ETAG, { 'if-match': ETAG })).toBe(ranged);
    expect(await outcome('"other"')).toBe(whole);
    expect(await outcome(`W/${ETAG}`)).toBe(whole);
    expect(await outcome(new Date(Date.parse(modified) + 1000).toUTCString())).toBe(whole);
    expect(await outcome('garbage')).toBe(whole);
    expect(await outcome('"other"', { range: 'bytes=99-' })).toBe(whole);
    const head = await s3.call('HEAD', '/bucket/key', { headers: { range: 'bytes=2-3', 'if-range': ETAG } });
    expect([head.status, head.headers['content-length']]).toEqual([206, '2']);
  });

  test('a Content-Disposition is sent before the length, behind which node would recode it', async () => {
    await put();
    const { headers } = await get(
      {},
      { 'response-content-disposition': 'attachment; filename="\u65e5.txt"' },
    );
    const names = Object.keys(headers);
    expect(names.indexOf('content-disposition')).toBeGreaterThanOrEqual(0);
    expect(names.indexOf('content-disposition')).toBeLessThan(names.indexOf('content-length'));
  });

  test('304 carries the validators and no body', async () => {
    const answer = await get({ 'if-none-match': `"x", ${ETAG}` });
    expect([answer.status, answer.text]).toEqual([304, '']);
    expect(answer.headers).toEqual({ etag: ETAG, 'last-modified': expect.any(String) });
  });

  test('an object replaced between the condition and the 304 is read again', async () => {
    const headObject = objects.headObject.bind(objects);
    let replaced = false;
    objects.headObject = async (request) => {
      if (!replaced) {
        replaced = true;
        await s3.call('PUT', '/bucket/key', { body: 'new' });
      }
      return headObject(request);
    };
    const answer = await get({ 'if-none-match': ETAG });
    expect([answer.status, answer.text]).toEqual([200, 'new']);
  });

  test('versionId is null or not there', async () => {
    expect((await get({}, { versionId: 'null' })).status).toBe(200);
    expect(await s3.refusal('GET', '/bucket/key', { query: { versionId: 'abc' } })).toBe('NoSuchVersion');
    expect(await s3.refusal('HEAD', '/bucket/key', { query: { versionId: '' } })).toBe('InvalidArgument');
  });

  test('what is not there', async () => {
    expect(await s3.refusal('GET', '/bucket/nokey')).toBe('NoSuchKey');
    expect(await s3.refusal('GET', '/nobucket/key')).toBe('NoSuchBucket');
  });

  test('checksum mode has one value', async () => {
    expect(await s3.refusal('GET', '/bucket/key', { headers: { 'x-amz-checksum-mode': 'MAYBE' } })).toBe(
      'InvalidArgument',
    );
  });
});

describe('DeleteObject', () => {
  beforeEach(() => put());

  test('answers 204 whether there was something or not', async () => {
    for (let i = 0; i < 2; i++) expect((await s3.call('DELETE', '/bucket/key')).status).toBe(204);
    expect(await s3.refusal('GET', '/bucket/key')).toBe('NoSuchKey');
  });

  test('only the one that is meant', async () => {
    expect(await s3.refusal('DELETE', '/bucket/key', { headers: { 'if-match': '"x"' } })).toBe(
      'PreconditionFailed',
    );
    expect(await s3.refusal('DELETE', '/bucket/key', { query: { versionId: 'abc' } })).toBe('NoSuchVersion');
    expect(await s3.refusal('DELETE', '/bucket/key', { headers: { 'x-amz-mfa': 'x 1' } })).toBe(
      'NotImplemented',
    );
    expect(await s3.refusal('DELETE', '/bucket/key', { headers: { 'if-none-match': '*' } })).toBe(
      'NotImplemented',
    );
    expect((await get()).status).toBe(200);
    expect(
      (
        await s3.call('DELETE', '/bucket/key', {
          headers: { 'if-match': ETAG },
          query: { versionId: 'null' },
        })
      ).status,
    ).toBe(204);
  });
});
