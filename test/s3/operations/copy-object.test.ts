/** CopyObject: directives, conditions on both sides, sources of every spelling. */
import { beforeEach, describe, expect, test } from 'vitest';
import { Caller, md5Hex, textAt } from '../call.ts';
import { MemoryObjects } from '../memory-objects.ts';

let s3: Caller;
beforeEach(async () => {
  s3 = new Caller(new MemoryObjects());
  await s3.call('PUT', '/bucket');
  await s3.call('PUT', '/bucket/a b/\u00fc+?', {
    body: 'content',
    headers: {
      'content-type': 'text/plain',
      'x-amz-meta-m': '1',
      'x-amz-tagging': 't=1',
      'x-amz-storage-class': 'STANDARD_IA',
    },
  });
});

const SOURCE = '/bucket/a%20b/%C3%BC%2B%3F';
const ETAG = `"${md5Hex('content')}"`;
const copy = (headers: Record<string, string> = {}, path = '/bucket/copy') =>
  s3.call('PUT', path, { headers: { 'x-amz-copy-source': SOURCE, ...headers } });
const refusal = (headers: Record<string, string>, path = '/bucket/copy') =>
  s3.refusal('PUT', path, { headers: { 'x-amz-copy-source': SOURCE, ...headers } });
const head = async (path = '/bucket/copy') => (await s3.call('HEAD', path)).headers;
const tagsOf = async (path = '/bucket/copy') => {
  const { xml } = await s3.call('GET', path, { query: { tagging: '' } });
  return [textAt(xml, 'TagSet', 'Tag', 'Key'), textAt(xml, 'TagSet', 'Tag', 'Value')];
};

test('copies bytes, metadata and tags, and says when and what', async () => {
  const { operation, xml, headers } = await copy();
  expect([operation, xml.name, textAt(xml, 'ETag')]).toEqual(['CopyObject', 'CopyObjectResult', ETAG]);
  expect(textAt(xml, 'LastModified')).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/);
  expect(headers['x-amz-server-side-encryption']).toBe('AES256');
  expect(await head()).toMatchObject({
    'content-type': 'text/plain',
    'x-amz-meta-m': '1',
    'x-amz-tagging-count': '1',
  });
  expect((await s3.call('GET', '/bucket/copy')).text).toBe('content');
});

test('the storage class is not copied', async () => {
  await copy();
  expect(await head()).not.toHaveProperty('x-amz-storage-class');
  await copy({ 'x-amz-storage-class': 'GLACIER_IR' });
  expect(await head()).toHaveProperty('x-amz-storage-class', 'GLACIER_IR');
});

test('REPLACE takes what the request says, and only then', async () => {
  const said = { 'content-type': 'text/html', 'x-amz-meta-n': '2', 'x-amz-tagging': 'u=2' };
  await copy(said);
  expect(await head()).toMatchObject({ 'content-type': 'text/plain', 'x-amz-meta-m': '1' });
  expect(await tagsOf()).toEqual(['t', '1']);
  await copy({ ...said, 'x-amz-metadata-directive': 'REPLACE' });
  expect(await head()).toMatchObject({ 'content-type': 'text/html', 'x-amz-meta-n': '2' });
  expect(await head()).not.toHaveProperty('x-amz-meta-m');
  expect(await tagsOf()).toEqual(['t', '1']);
  await copy({ ...said, 'x-amz-tagging-directive': 'REPLACE' });
  expect(await head()).toHaveProperty('x-amz-meta-m', '1');
  expect(await tagsOf()).toEqual(['u', '2']);
});

test('onto itself only with a change', async () => {
  const self = '/bucket/a b/\u00fc+?';
  expect(await refusal({}, self)).toBe('InvalidRequest');
  expect((await copy({ 'x-amz-metadata-directive': 'REPLACE', 'x-amz-meta-new': '1' }, self)).status).toBe(
    200,
  );
  expect(await head(self)).toMatchObject({ 'x-amz-meta-new': '1' });
  expect((await copy({ 'x-amz-storage-class': 'STANDARD' }, self)).status).toBe(200);
});

describe('conditions', () => {
  test.each([
    [{ 'x-amz-copy-source-if-match': ETAG }, 200],
    [{ 'x-amz-copy-source-if-match': '"x"' }, 'PreconditionFailed'],
    [{ 'x-amz-copy-source-if-none-match': '"x"' }, 200],
    [{ 'x-amz-copy-source-if-none-match': ETAG }, 'PreconditionFailed'],
    [{ 'x-amz-copy-source-if-modified-since': 'Thu, 01 Jan 2037 00:00:00 GMT' }, 'PreconditionFailed'],
    [{ 'x-amz-copy-source-if-unmodified-since': 'Thu, 01 Jan 2037 00:00:00 GMT' }, 200],
    [{ 'x-amz-copy-source-if-unmodified-since': 'Thu, 01 Jan 1998 00:00:00 GMT' }, 'PreconditionFailed'],
    [{ 'if-none-match': '*' }, 200],
    [{ 'if-match': '"x"' }, 'NoSuchKey'],
  ])('%o', async (headers, outcome) => {
    if (outcome === 200) expect((await copy(headers)).status).toBe(200);
    else expect(await refusal(headers)).toBe(outcome);
  });

  test('of the target', async () => {
    await copy();
    expect(await refusal({ 'if-none-match': '*' })).toBe('PreconditionFailed');
    expect((await copy({ 'if-match': ETAG })).status).toBe(200);
  });
});

test.each([
  [{ 'x-amz-copy-source': 'bucket/nokey' }, 'NoSuchKey'],
  [{ 'x-amz-copy-source': 'nobucket/key' }, 'NoSuchBucket'],
  [{ 'x-amz-copy-source': 'bucket' }, 'InvalidArgument'],
  [{ 'x-amz-copy-source': `${SOURCE}?versionId=abc` }, 'NoSuchVersion'],
  [{ 'x-amz-metadata-directive': 'MERGE' }, 'InvalidArgument'],
  [{ 'x-amz-tagging-directive': 'MERGE' }, 'InvalidArgument'],
  [{ 'x-amz-website-redirect-location': '/x' }, 'NotImplemented'],
  [{ 'x-amz-checksum-algorithm': 'MD4' }, 'InvalidRequest'],
  [{ 'x-amz-acl': 'public-read' }, 'NotImplemented'],
  [{ 'x-amz-server-side-encryption': 'aws:kms' }, 'NotImplemented'],
  [{ 'x-amz-copy-source-server-side-encryption-customer-algorithm': 'AES256' }, 'NotImplemented'],
  [{ 'x-amz-metadata-directive': 'REPLACE', 'x-amz-meta-m': 'v'.repeat(3000) }, 'MetadataTooLarge'],
])('refuses %o with %s', async (headers, code) => {
  expect(await refusal(headers)).toBe(code);
  expect(await s3.refusal('HEAD', '/bucket/copy')).toBe('NoSuchKey');
});

test('a version called null is the current one', async () => {
  expect((await copy({ 'x-amz-copy-source': `${SOURCE}?versionId=null` })).status).toBe(200);
});
