/** DeleteObjects: each key by itself, names of any kind, quiet answers, and the bounds of the document. */
import { beforeEach, expect, test } from 'vitest';
import { HoldfastError } from '../../../src/base/errors.ts';
import { escapeXml } from '../../../src/s3/xml-build.ts';
import { Caller, each, md5Hex } from '../call.ts';
import { MemoryObjects } from '../memory-objects.ts';

let objects: MemoryObjects;
let s3: Caller;
beforeEach(async () => {
  objects = new MemoryObjects();
  s3 = new Caller(objects);
  await s3.call('PUT', '/bucket');
});

const options = (content: string, headers: Record<string, string> = { 'content-md5': 'x' }) => ({
  query: { delete: '' },
  headers,
  body: `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${content}</Delete>`,
});
const objectOf = (key: string, more = '') => `<Object><Key>${escapeXml(key)}</Key>${more}</Object>`;
const remaining = async () =>
  (
    await objects.listObjects({ bucket: 'bucket', prefix: '', delimiter: '', after: '', maxKeys: 1000 })
  ).objects.map(({ key }) => key);

test('deletes keys with any characters and names each, there or not', async () => {
  const keys = [
    'plain',
    ' space ',
    'a&b<c>"d"',
    '\u0001\u001f',
    'line\r\nend',
    '\u{1f600}',
    '../x',
    '//',
    'a/./b',
    "'",
  ];
  for (const key of keys) await s3.call('PUT', `/bucket/${key}`);
  await s3.call('PUT', '/bucket/kept');
  const { xml } = await s3.call(
    'POST',
    '/bucket',
    options([...keys, 'absent'].map((key) => objectOf(key)).join('')),
  );
  expect(xml.name).toBe('DeleteResult');
  expect(each(xml, 'Deleted', 'Key')).toEqual([...keys, 'absent']);
  expect(await remaining()).toEqual(['kept']);
});

test('quiet answers only name what failed', async () => {
  for (const key of ['a', 'b']) await s3.call('PUT', `/bucket/${key}`);
  const content = `<Quiet>true</Quiet>${objectOf('a')}${objectOf('b', '<VersionId>v1</VersionId>')}`;
  const { xml } = await s3.call('POST', '/bucket', options(content));
  expect(xml.children.map(({ name }) => name)).toEqual(['Error']);
  expect([each(xml, 'Error', 'Key'), each(xml, 'Error', 'Code'), each(xml, 'Error', 'VersionId')]).toEqual([
    ['b'],
    ['NoSuchVersion'],
    ['v1'],
  ]);
  expect(await remaining()).toEqual(['b']);
});

test('each key has its own conditions and errors', async () => {
  for (const key of ['a', 'b', 'c', 'd', 'e']) await s3.call('PUT', `/bucket/${key}`, { body: key });
  const deleteObject = objects.deleteObject.bind(objects);
  objects.deleteObject = async (bucket, key, conditions) => {
    if (key === 'd') throw new HoldfastError('GridUnavailable');
    if (key === 'e') throw new TypeError('a secret detail');
    return deleteObject(bucket, key, conditions);
  };
  const content = [
    objectOf('a', '<VersionId>null</VersionId>'),
    objectOf('b', `<ETag>"${md5Hex('b')}"</ETag>`),
    objectOf('c', '<ETag>other</ETag>'),
    objectOf('d'),
    objectOf('e'),
    objectOf('f', '<Size>1</Size>'),
  ].join('');
  const { xml, text } = await s3.call('POST', '/bucket', options(content));
  expect(each(xml, 'Deleted', 'Key')).toEqual(['a', 'b']);
  expect(each(xml, 'Error', 'Key')).toEqual(['c', 'd', 'e', 'f']);
  expect(each(xml, 'Error', 'Code')).toEqual([
    'PreconditionFailed',
    'ServiceUnavailable',
    'InternalError',
    'NotImplemented',
  ]);
  expect(text).not.toContain('secret');
});

test('takes a thousand keys of the greatest length and not one more', async () => {
  const worst = Array.from({ length: 1000 }, (_, i) => objectOf(`${i}`.padEnd(1024, '\u001f')));
  const { xml } = await s3.call('POST', '/bucket', options(worst.join('')));
  expect(each(xml, 'Deleted', 'Key')).toHaveLength(1000);
  expect(await s3.refusal('POST', '/bucket', options(objectOf('k').repeat(1001)))).toBe('MalformedXML');
});

test.each([
  ['no keys', options(''), 'MalformedXML'],
  ['an empty key', options('<Object><Key></Key></Object>'), 'MalformedXML'],
  ['no key', options('<Object><VersionId>null</VersionId></Object>'), 'MalformedXML'],
  ['two keys in one object', options('<Object><Key>a</Key><Key>b</Key></Object>'), 'MalformedXML'],
  ['an unknown element', options(`<All>true</All>${objectOf('a')}`), 'MalformedXML'],
  ['no digest', options(objectOf('a'), {}), 'InvalidRequest'],
  ['no document', { ...options(''), body: '' }, 'MalformedXML'],
  ['seven MiB', options(objectOf('a') + ' '.repeat(7 * 1024 ** 2)), 'MaxMessageLengthExceeded'],
])('refuses %s', async (_, call, code) => {
  expect(await s3.refusal('POST', '/bucket', call)).toBe(code);
});

test.each<Record<string, string>>([
  { 'x-amz-checksum-crc32': 'AAAAAA==' },
  { 'x-amz-checksum-sha256': '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' },
  { 'x-amz-trailer': 'x-amz-checksum-crc32' },
])('takes %o for a digest', async (headers) => {
  expect((await s3.call('POST', '/bucket', options(objectOf('a'), headers))).status).toBe(200);
});

test('a bucket that is not there is one error, not a thousand', async () => {
  expect(await s3.refusal('POST', '/nobucket', options(objectOf('a')))).toBe('NoSuchBucket');
});
