/** Multipart uploads from start to end, their listings, and GetObjectAttributes of what they make. */
import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import type { CompleteRequest } from '../../../src/objects/types.ts';
import { Caller, crc32Base64, each, md5Hex, OWNER_ID, textAt } from '../call.ts';
import { MemoryObjects } from '../memory-objects.ts';

let objects: MemoryObjects;
let s3: Caller;
beforeEach(async () => {
  objects = new MemoryObjects();
  s3 = new Caller(objects);
  await s3.call('PUT', '/bucket');
});

async function create(headers: Record<string, string> = {}, key = 'key'): Promise<string> {
  const { xml } = await s3.call('POST', `/bucket/${key}`, { query: { uploads: '' }, headers });
  return textAt(xml, 'UploadId')!;
}
const partQuery = (uploadId: string, partNumber: number | string) => ({
  uploadId,
  partNumber: String(partNumber),
});
const upload = (uploadId: string, partNumber: number, body: string, headers = {}) =>
  s3.call('PUT', '/bucket/key', { query: partQuery(uploadId, partNumber), body, headers });
const part = (partNumber: number, body: string, more = '') =>
  `<Part><PartNumber>${partNumber}</PartNumber><ETag>"${md5Hex(body)}"</ETag>${more}</Part>`;
const completion = (uploadId: string, content: string, headers = {}) => ({
  query: { uploadId },
  headers,
  body: `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${content}</CompleteMultipartUpload>`,
});
const multipartEtag = (...bodies: string[]) => {
  const digests = bodies.map((body) => createHash('md5').update(body).digest());
  return `"${createHash('md5').update(Buffer.concat(digests)).digest('hex')}-${bodies.length}"`;
};

test('an upload becomes an object with what was said at its start', async () => {
  const uploadId = await create({
    'content-type': 'text/plain',
    'x-amz-meta-m': '1',
    'x-amz-tagging': 'a=1',
    'x-amz-storage-class': 'STANDARD_IA',
  });
  expect((await upload(uploadId, 1, 'one')).headers['etag']).toBe(`"${md5Hex('one')}"`);
  await upload(uploadId, 3, 'three');
  const { xml, headers } = await s3.call(
    'POST',
    '/bucket/key',
    completion(uploadId, part(1, 'one') + part(3, 'three')),
  );
  expect(xml.name).toBe('CompleteMultipartUploadResult');
  expect(textAt(xml, 'Location')).toBe('http://127.0.0.1:9000/bucket/key');
  expect([textAt(xml, 'Bucket'), textAt(xml, 'Key')]).toEqual(['bucket', 'key']);
  expect(textAt(xml, 'ETag')).toBe(multipartEtag('one', 'three'));
  expect(headers['x-amz-server-side-encryption']).toBe('AES256');
  const answer = await s3.call('GET', '/bucket/key');
  expect(answer.text).toBe('onethree');
  expect(answer.headers).toMatchObject({
    'content-type': 'text/plain',
    'x-amz-meta-m': '1',
    'x-amz-tagging-count': '1',
    'x-amz-storage-class': 'STANDARD_IA',
  });
  const third = await s3.call('GET', '/bucket/key', { query: { partNumber: '3' } });
  expect([
    third.status,
    third.text,
    third.headers['x-amz-mp-parts-count'],
    third.headers['content-range'],
  ]).toEqual([206, 'three', '2', 'bytes 3-7/8']);
});

describe('CreateMultipartUpload', () => {
  test('shows bucket, key and the checksum that was chosen', async () => {
    const { xml, headers } = await s3.call('POST', '/bucket/a&b', {
      query: { uploads: '' },
      headers: { 'x-amz-checksum-algorithm': 'CRC32' },
    });
    expect([xml.name, textAt(xml, 'Bucket'), textAt(xml, 'Key')]).toEqual([
      'InitiateMultipartUploadResult',
      'bucket',
      'a&b',
    ]);
    expect(headers).toMatchObject({
      'x-amz-checksum-algorithm': 'CRC32',
      'x-amz-checksum-type': 'COMPOSITE',
    });
  });

  test.each([
    [{ 'x-amz-checksum-algorithm': 'CRC64NVME', 'x-amz-checksum-type': 'COMPOSITE' }, 'InvalidRequest'],
    [{ 'x-amz-acl': 'public-read' }, 'NotImplemented'],
    [{ 'x-amz-server-side-encryption': 'aws:kms' }, 'NotImplemented'],
    [{ 'x-amz-object-lock-mode': 'GOVERNANCE' }, 'NotImplemented'],
    [{ 'x-amz-tagging': 'aws:a=1' }, 'InvalidTag'],
  ])('refuses %o with %s', async (headers, code) => {
    expect(await s3.refusal('POST', '/bucket/key', { query: { uploads: '' }, headers })).toBe(code);
  });
});

describe('UploadPart', () => {
  test.each(['0', '10001', '-1', '1.5', 'x', ''])('refuses part number %s', async (partNumber) => {
    const uploadId = await create();
    expect(await s3.refusal('PUT', '/bucket/key', { query: partQuery(uploadId, partNumber) })).toBe(
      'InvalidArgument',
    );
  });

  test('refuses unknown uploads and parts that are too large', async () => {
    const uploadId = await create();
    expect(await s3.refusal('PUT', '/bucket/key', { query: partQuery('other', 1) })).toBe('NoSuchUpload');
    expect(await s3.refusal('PUT', '/bucket/other', { query: partQuery(uploadId, 1) })).toBe('NoSuchUpload');
    const headers = { 'content-length': String(5 * 1024 ** 3 + 1) };
    expect(await s3.refusal('PUT', '/bucket/key', { query: partQuery(uploadId, 1), headers })).toBe(
      'EntityTooLarge',
    );
  });

  test('carries the algorithm of its upload, which is computed when it is not sent', async () => {
    const uploadId = await create({ 'x-amz-checksum-algorithm': 'SHA256' });
    const sha256 = createHash('sha256').update('one').digest('base64');
    const sent = await upload(uploadId, 1, 'one', { 'x-amz-checksum-sha256': sha256 });
    const computed = await upload(uploadId, 2, 'one');
    for (const { headers } of [sent, computed]) expect(headers['x-amz-checksum-sha256']).toBe(sha256);
    const headers = { 'x-amz-checksum-crc32': 'AAAAAA==' };
    expect(
      await s3.refusal('PUT', '/bucket/key', { query: partQuery(uploadId, 3), body: 'one', headers }),
    ).toBe('InvalidRequest');
  });

  test('without an algorithm a part may bring its own', async () => {
    const uploadId = await create();
    expect(
      (await upload(uploadId, 1, 'one', { 'x-amz-checksum-crc32': crc32Base64('one') })).headers,
    ).toHaveProperty('x-amz-checksum-crc32', crc32Base64('one'));
    expect(Object.keys((await upload(uploadId, 2, 'two')).headers).sort()).toEqual([
      'etag',
      'x-amz-server-side-encryption',
    ]);
  });
});

describe('UploadPartCopy', () => {
  beforeEach(() => s3.call('PUT', '/bucket/source', { body: '0123456789' }));
  const copy = (uploadId: string, headers = {}) => ({
    query: partQuery(uploadId, 1),
    headers: { 'x-amz-copy-source': '/bucket/source', ...headers },
  });

  test('copies all or a range', async () => {
    const uploadId = await create();
    const { operation, xml } = await s3.call('PUT', '/bucket/key', copy(uploadId));
    expect([operation, xml.name, textAt(xml, 'ETag')]).toEqual([
      'UploadPartCopy',
      'CopyPartResult',
      `"${md5Hex('0123456789')}"`,
    ]);
    const ranged = await s3.call(
      'PUT',
      '/bucket/key',
      copy(uploadId, { 'x-amz-copy-source-range': 'bytes=2-4' }),
    );
    expect(textAt(ranged.xml, 'ETag')).toBe(`"${md5Hex('234')}"`);
  });

  test.each([
    [{ 'x-amz-copy-source-range': 'bytes=2-' }, 'InvalidArgument'],
    [{ 'x-amz-copy-source-range': 'bytes=20-30' }, 'InvalidArgument'],
    [{ 'x-amz-copy-source-if-match': '"x"' }, 'PreconditionFailed'],
    [{ 'x-amz-copy-source-if-none-match': '*' }, 'PreconditionFailed'],
    [{ 'x-amz-copy-source': 'bucket/nokey' }, 'NoSuchKey'],
  ])('refuses %o with %s', async (headers, code) => {
    expect(await s3.refusal('PUT', '/bucket/key', copy(await create(), headers))).toBe(code);
  });
});

describe('CompleteMultipartUpload', () => {
  test('hands parts, checksums, size and conditions to objects', async () => {
    const requests: CompleteRequest[] = [];
    objects.completeUpload = async (request) => {
      requests.push(request);
      return {
        etag: 'e-1',
        checksum: { algorithm: 'CRC32C', value: 'AAAAAA==-1', type: 'COMPOSITE' },
        sizeBytes: 3,
      };
    };
    const content = `<Part><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C><ETag>&quot;abc&quot;</ETag><PartNumber> 7 </PartNumber></Part>`;
    const headers = {
      'if-none-match': '*',
      'x-amz-checksum-crc32c': 'AAAAAA==-1',
      'x-amz-checksum-type': 'COMPOSITE',
      'x-amz-mp-object-size': '3',
    };
    const { xml } = await s3.call('POST', '/bucket/key', completion('u', content, headers));
    expect(requests).toEqual([
      {
        bucket: 'bucket',
        key: 'key',
        uploadId: 'u',
        parts: [{ partNumber: 7, etag: 'abc', checksums: { CRC32C: 'AAAAAA==' } }],
        conditions: { ifNoneMatch: '*' },
        checksum: { algorithm: 'CRC32C', value: 'AAAAAA==-1' },
        checksumType: 'COMPOSITE',
        sizeBytes: 3,
      },
    ]);
    expect([textAt(xml, 'ChecksumCRC32C'), textAt(xml, 'ChecksumType')]).toEqual(['AAAAAA==-1', 'COMPOSITE']);
  });

  test('takes ten thousand parts and not one more', async () => {
    let count = 0;
    objects.completeUpload = async ({ parts }) => {
      count = parts.length;
      return { etag: 'e', checksum: undefined, sizeBytes: 0 };
    };
    const parts = Array.from({ length: 10_000 }, (_, i) =>
      part(i + 1, 'x', '<ChecksumCRC32>AAAAAA==</ChecksumCRC32>'),
    );
    await s3.call('POST', '/bucket/key', completion('u', parts.join('')));
    expect(count).toBe(10_000);
    expect(await s3.refusal('POST', '/bucket/key', completion('u', parts.join('') + part(10_000, 'x')))).toBe(
      'MalformedXML',
    );
  });

  test.each([
    ['no parts', '', {}, 'MalformedXML'],
    ['no ETag', '<Part><PartNumber>1</PartNumber></Part>', {}, 'MalformedXML'],
    ['no number', '<Part><ETag>x</ETag></Part>', {}, 'MalformedXML'],
    [
      'a part that is not a number',
      '<Part><PartNumber>one</PartNumber><ETag>x</ETag></Part>',
      {},
      'MalformedXML',
    ],
    ['part zero', '<Part><PartNumber>0</PartNumber><ETag>x</ETag></Part>', {}, 'InvalidArgument'],
    [
      'a strange element',
      '<Part><PartNumber>1</PartNumber><ETag>x</ETag><Colour/></Part>',
      {},
      'MalformedXML',
    ],
    ['another ETag', part(1, 'other'), {}, 'InvalidPart'],
    ['a part that is not there', part(2, 'one'), {}, 'InvalidPart'],
    ['the wrong order', part(1, 'one') + part(1, 'one'), {}, 'InvalidPartOrder'],
    ['a wrong size', part(1, 'one'), { 'x-amz-mp-object-size': '4' }, 'InvalidRequest'],
    ['a size that is no number', part(1, 'one'), { 'x-amz-mp-object-size': 'x' }, 'InvalidRequest'],
    ['a bad checksum', part(1, 'one'), { 'x-amz-checksum-crc32': 'x' }, 'InvalidRequest'],
    ['If-Match on nothing', part(1, 'one'), { 'if-match': '"x"' }, 'NoSuchKey'],
  ])('refuses %s', async (_, content, headers, code) => {
    const uploadId = await create();
    await upload(uploadId, 1, 'one');
    expect(await s3.refusal('POST', '/bucket/key', completion(uploadId, content, headers))).toBe(code);
    expect(await s3.refusal('HEAD', '/bucket/key')).toBe('NoSuchKey');
  });

  test('Location is a URL', async () => {
    objects.completeUpload = async () => ({ etag: 'e', checksum: undefined, sizeBytes: 0 });
    const { xml } = await s3.call('POST', '/bucket/a b/\u00fc&', completion('u', part(1, 'x')));
    expect(textAt(xml, 'Location')).toBe('http://127.0.0.1:9000/bucket/a%20b/%C3%BC%26');
  });
});

test('AbortMultipartUpload answers 204, then NoSuchUpload', async () => {
  const uploadId = await create();
  expect((await s3.call('DELETE', '/bucket/key', { query: { uploadId } })).status).toBe(204);
  expect(await s3.refusal('DELETE', '/bucket/key', { query: { uploadId } })).toBe('NoSuchUpload');
  expect(await s3.refusal('POST', '/bucket/key', completion(uploadId, part(1, 'x')))).toBe('NoSuchUpload');
});

test('ListParts pages', async () => {
  const uploadId = await create({
    'x-amz-checksum-algorithm': 'CRC32',
    'x-amz-storage-class': 'STANDARD_IA',
  });
  for (const n of [1, 2, 5]) await upload(uploadId, n, `part ${n}`);
  const page = async (query: Record<string, string>) =>
    (await s3.call('GET', '/bucket/key', { query: { uploadId, ...query } })).xml;
  const first = await page({ 'max-parts': '2' });
  expect([
    textAt(first, 'Bucket'),
    textAt(first, 'Key'),
    textAt(first, 'UploadId'),
    textAt(first, 'StorageClass'),
  ]).toEqual(['bucket', 'key', uploadId, 'STANDARD_IA']);
  expect([textAt(first, 'Owner', 'ID'), textAt(first, 'Initiator', 'ID')]).toEqual([OWNER_ID, OWNER_ID]);
  expect([textAt(first, 'ChecksumAlgorithm'), textAt(first, 'ChecksumType')]).toEqual(['CRC32', 'COMPOSITE']);
  expect([
    textAt(first, 'IsTruncated'),
    textAt(first, 'MaxParts'),
    textAt(first, 'PartNumberMarker'),
    textAt(first, 'NextPartNumberMarker'),
  ]).toEqual(['true', '2', '0', '2']);
  expect([
    each(first, 'Part', 'PartNumber'),
    each(first, 'Part', 'Size'),
    each(first, 'Part', 'ETag')[0],
    each(first, 'Part', 'ChecksumCRC32')[0],
  ]).toEqual([['1', '2'], ['6', '6'], `"${md5Hex('part 1')}"`, crc32Base64('part 1')]);
  const second = await page({ 'part-number-marker': '2' });
  expect([each(second, 'Part', 'PartNumber'), textAt(second, 'IsTruncated')]).toEqual([['5'], 'false']);
  expect(await s3.refusal('GET', '/bucket/key', { query: { uploadId, 'max-parts': '-1' } })).toBe(
    'InvalidArgument',
  );
  expect(await s3.refusal('GET', '/bucket/key', { query: { uploadId: 'x' } })).toBe('NoSuchUpload');
});

describe('ListMultipartUploads', () => {
  const list = async (query: Record<string, string> = {}) =>
    (await s3.call('GET', '/bucket', { query: { uploads: '', ...query } })).xml;
  beforeEach(async () => {
    for (const key of ['a', 'a', 'dir/b', 'e f']) await create({}, key);
  });

  test('pages by key and upload id', async () => {
    const seen: (string | undefined)[] = [];
    let query: Record<string, string> | undefined = {};
    while (query) {
      const xml = await list({ 'max-uploads': '1', ...query });
      seen.push(...each(xml, 'Upload', 'UploadId'));
      expect(textAt(xml, 'MaxUploads')).toBe('1');
      const truncated = textAt(xml, 'IsTruncated') === 'true';
      query = truncated
        ? {
            'key-marker': textAt(xml, 'NextKeyMarker')!,
            'upload-id-marker': textAt(xml, 'NextUploadIdMarker')!,
          }
        : undefined;
    }
    expect(seen).toEqual(['upload-1', 'upload-2', 'upload-3', 'upload-4']);
  });

  test('prefix, delimiter and encoding', async () => {
    const xml = await list({ delimiter: '/', 'encoding-type': 'url' });
    expect([each(xml, 'Upload', 'Key'), each(xml, 'CommonPrefixes', 'Prefix')]).toEqual([
      ['a', 'a', 'e%20f'],
      ['dir/'],
    ]);
    expect([textAt(xml, 'EncodingType'), textAt(xml, 'Delimiter')]).toEqual(['url', '/']);
    const first = xml.children.find((child) => child.name === 'Upload')!;
    expect([textAt(first, 'Owner', 'ID'), textAt(first, 'Initiated')]).toEqual([
      OWNER_ID,
      expect.stringMatching(/Z$/),
    ]);
    expect(each(await list({ prefix: 'dir/' }), 'Upload', 'Key')).toEqual(['dir/b']);
  });

  test('an upload-id-marker alone means nothing', async () => {
    expect(each(await list({ 'upload-id-marker': 'upload-3' }), 'Upload', 'Key')).toHaveLength(4);
  });
});

describe('GetObjectAttributes', () => {
  const attributes = (names: string, headers = {}) => ({
    query: { attributes: '' },
    headers: { 'x-amz-object-attributes': names, ...headers },
  });
  const get = async (names: string, headers = {}) =>
    s3.call('GET', '/bucket/key', attributes(names, headers));

  test('of a simple object shows what was asked for', async () => {
    await s3.call('PUT', '/bucket/key', {
      body: 'abc',
      headers: { 'x-amz-checksum-crc32': crc32Base64('abc') },
    });
    const { xml, headers } = await get('ETag,Checksum,ObjectParts,StorageClass,ObjectSize');
    expect(xml.name).toBe('GetObjectAttributesResponse');
    expect([textAt(xml, 'ETag'), textAt(xml, 'StorageClass'), textAt(xml, 'ObjectSize')]).toEqual([
      md5Hex('abc'),
      'STANDARD',
      '3',
    ]);
    expect([textAt(xml, 'Checksum', 'ChecksumCRC32'), textAt(xml, 'Checksum', 'ChecksumType')]).toEqual([
      crc32Base64('abc'),
      'FULL_OBJECT',
    ]);
    expect(textAt(xml, 'ObjectParts')).toBeUndefined();
    expect(headers['last-modified']).toMatch(/GMT$/);
    expect((await get(' ObjectSize ')).xml.children.map(({ name }) => name)).toEqual(['ObjectSize']);
  });

  test('of a multipart object pages its parts', async () => {
    const uploadId = await create({ 'x-amz-checksum-algorithm': 'CRC32' });
    for (const n of [1, 2, 3]) await upload(uploadId, n, `part ${n}`);
    await s3.call(
      'POST',
      '/bucket/key',
      completion(uploadId, [1, 2, 3].map((n) => part(n, `part ${n}`)).join('')),
    );
    const { xml } = await get('ObjectParts', { 'x-amz-max-parts': '1', 'x-amz-part-number-marker': '1' });
    const parts = xml.children[0]!;
    expect(parts.children.map(({ name, text }) => [name, text]).slice(0, 5)).toEqual([
      ['PartsCount', '3'],
      ['PartNumberMarker', '1'],
      ['NextPartNumberMarker', '2'],
      ['MaxParts', '1'],
      ['IsTruncated', 'true'],
    ]);
    expect([
      each(parts, 'Part', 'PartNumber'),
      each(parts, 'Part', 'Size'),
      each(parts, 'Part', 'ChecksumCRC32'),
    ]).toEqual([['2'], ['6'], [crc32Base64('part 2')]]);
  });

  test('without a checksum only counts its parts', async () => {
    const uploadId = await create();
    await upload(uploadId, 1, 'one');
    await s3.call('POST', '/bucket/key', completion(uploadId, part(1, 'one')));
    const { xml } = await get('ObjectParts');
    expect(xml.children[0]!.children.map(({ name, text }) => [name, text])).toEqual([['PartsCount', '1']]);
  });

  test.each([
    ['', 'InvalidArgument'],
    ['ETag,Colour', 'InvalidArgument'],
  ])('refuses %j', async (names, code) => {
    await s3.call('PUT', '/bucket/key');
    expect(await s3.refusal('GET', '/bucket/key', attributes(names))).toBe(code);
    expect(await s3.refusal('GET', '/bucket/key', { query: { attributes: '' } })).toBe(code);
  });
});
