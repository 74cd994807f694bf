/** Object tags as a document. Their limits are tested with the header in headers.test.ts. */
import { beforeEach, expect, test } from 'vitest';
import { Caller, each, textAt } from '../call.ts';
import { MemoryObjects } from '../memory-objects.ts';

let s3: Caller;
beforeEach(async () => {
  s3 = new Caller(new MemoryObjects());
  await s3.call('PUT', '/bucket');
  await s3.call('PUT', '/bucket/key', { headers: { 'x-amz-tagging': 'old=1' } });
});

const query = { tagging: '' };
const tag = (key: string, value: string) => `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`;
const tagging = (content: string) => ({ query, body: `<Tagging><TagSet>${content}</TagSet></Tagging>` });
const tags = async () => {
  const { xml } = await s3.call('GET', '/bucket/key', { query });
  const set = xml.children.find((child) => child.name === 'TagSet')!;
  const keys = each(set, 'Tag', 'Key');
  return each(set, 'Tag', 'Value').map((value, i) => [keys[i], value]);
};

test('are replaced, read and removed', async () => {
  expect(await tags()).toEqual([['old', '1']]);
  expect((await s3.call('PUT', '/bucket/key', tagging(tag(' a ', '') + tag('b', 'x @+=')))).status).toBe(200);
  expect(await tags()).toEqual([
    [' a ', ''],
    ['b', 'x @+='],
  ]);
  expect((await s3.call('DELETE', '/bucket/key', { query })).status).toBe(204);
  expect(await tags()).toEqual([]);
  expect((await s3.call('HEAD', '/bucket/key')).headers).not.toHaveProperty('x-amz-tagging-count');
});

test('an empty set removes all', async () => {
  await s3.call('PUT', '/bucket/key', tagging(''));
  expect(await tags()).toEqual([]);
  expect(textAt((await s3.call('GET', '/bucket/key', { query })).xml, 'TagSet')).toBe('');
});

test.each([
  ['eleven tags', tagging(Array.from({ length: 11 }, (_, i) => tag(`k${i}`, 'v')).join('')), 'BadRequest'],
  ['the same key twice', tagging(tag('a', '1') + tag('a', '2')), 'InvalidTag'],
  ['a long key', tagging(tag('k'.repeat(129), 'v')), 'InvalidTag'],
  ['a reserved key', tagging(tag('aws:a', 'v')), 'InvalidTag'],
  ['forbidden characters', tagging(tag('a', '&lt;script&gt;')), 'InvalidTag'],
  ['no value', tagging('<Tag><Key>a</Key></Tag>'), 'MalformedXML'],
  ['no set', { query, body: '<Tagging/>' }, 'MalformedXML'],
  ['nothing', { query }, 'MalformedXML'],
  ['a version', { ...tagging(tag('a', '1')), query: { tagging: '', versionId: 'x' } }, 'NoSuchVersion'],
])('refuses %s and keeps the old ones', async (_, options, code) => {
  expect(await s3.refusal('PUT', '/bucket/key', options)).toBe(code);
  expect(await tags()).toEqual([['old', '1']]);
});

test('of what is not there', async () => {
  for (const method of ['GET', 'DELETE'])
    expect(await s3.refusal(method, '/bucket/nokey', { query })).toBe('NoSuchKey');
  expect(await s3.refusal('PUT', '/bucket/nokey', tagging(tag('a', '1')))).toBe('NoSuchKey');
});
