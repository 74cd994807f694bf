/** Buckets: create, head, list with paging, location, versioning, ACL, delete. */
import { beforeEach, describe, expect, test } from 'vitest';
import { Caller, each, OWNER_ID, textAt } from '../call.ts';
import { MemoryObjects } from '../memory-objects.ts';

let s3: Caller;
beforeEach(() => {
  s3 = new Caller(new MemoryObjects());
});

const constraint = (region: string) =>
  `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>${region}</LocationConstraint></CreateBucketConfiguration>`;

describe('CreateBucket', () => {
  test("answers with its location and takes the server's region", async () => {
    const created = await s3.call('PUT', '/bucket');
    expect([created.status, created.headers['location'], created.text]).toEqual([200, '/bucket', '']);
    expect((await s3.call('HEAD', '/bucket')).headers['x-amz-bucket-region']).toBe('us-east-1');
  });

  test.each(['eu-central-1', 'EU', 'us-east-1', 'my-own-region'])('takes region %s', async (region) => {
    await s3.call('PUT', '/bucket', { body: constraint(region) });
    expect((await s3.call('HEAD', '/bucket')).headers['x-amz-bucket-region']).toBe(region);
  });

  test.each([
    ['an ACL that opens the bucket', { headers: { 'x-amz-acl': 'public-read' } }, 'NotImplemented'],
    ['a grant', { headers: { 'x-amz-grant-read': 'id=x' } }, 'NotImplemented'],
    ['object lock', { headers: { 'x-amz-bucket-object-lock-enabled': 'true' } }, 'NotImplemented'],
    ['other ownership', { headers: { 'x-amz-object-ownership': 'ObjectWriter' } }, 'NotImplemented'],
    ['unknown ownership', { headers: { 'x-amz-object-ownership': 'Nobody' } }, 'InvalidArgument'],
    ['an unknown kind of ETag', { headers: { 'x-holdfast-etag': 'sha1' } }, 'InvalidArgument'],
    ['a bad region', { body: constraint('a b') }, 'InvalidLocationConstraint'],
    [
      'a directory bucket',
      {
        body: '<CreateBucketConfiguration><Bucket><Type>Directory</Type></Bucket></CreateBucketConfiguration>',
      },
      'NotImplemented',
    ],
    ['another document', { body: '<Other/>' }, 'MalformedXML'],
    [
      'a huge document',
      { body: `<CreateBucketConfiguration>${' '.repeat(20_000)}</CreateBucketConfiguration>` },
      'MaxMessageLengthExceeded',
    ],
  ])('refuses %s', async (_, options, code) => {
    expect(await s3.refusal('PUT', '/bucket', options)).toBe(code);
    expect(await s3.refusal('HEAD', '/bucket')).toBe('NoSuchBucket');
  });

  test('hands the kind of ETags on, and says nothing of it where nothing was said', async () => {
    await s3.call('PUT', '/opaque', { headers: { 'x-holdfast-etag': 'opaque' } });
    await s3.call('PUT', '/md5', { headers: { 'x-holdfast-etag': 'md5' } });
    await s3.call('PUT', '/default');
    const shown = async (name: string) => (await s3.call('HEAD', `/${name}`)).headers['x-holdfast-etag'];
    expect([await shown('opaque'), await shown('md5'), await shown('default')]).toEqual([
      'opaque',
      undefined,
      undefined,
    ]);
  });

  test('accepts what is true anyway', async () => {
    const headers = {
      'x-amz-acl': 'private',
      'x-amz-bucket-object-lock-enabled': 'false',
      'x-amz-object-ownership': 'BucketOwnerEnforced',
    };
    expect((await s3.call('PUT', '/bucket', { headers })).status).toBe(200);
    expect(await s3.refusal('PUT', '/bucket')).toBe('BucketAlreadyOwnedByYou');
  });
});

describe('ListBuckets', () => {
  beforeEach(async () => {
    for (const name of ['beta', 'alpha', 'gamma', 'alps']) await s3.call('PUT', `/${name}`);
  });

  test('lists in order, with owner and dates', async () => {
    const { xml } = await s3.call('GET', '/');
    expect(xml.name).toBe('ListAllMyBucketsResult');
    expect(textAt(xml, 'Owner', 'ID')).toBe(OWNER_ID);
    const buckets = xml.children.find((child) => child.name === 'Buckets')!;
    expect(each(buckets, 'Bucket', 'Name')).toEqual(['alpha', 'alps', 'beta', 'gamma']);
    expect(each(buckets, 'Bucket', 'CreationDate')[0]).toMatch(/^2026-01-01T00:00:\d\d\.000Z$/);
    expect(textAt(xml, 'ContinuationToken')).toBeUndefined();
  });

  test('pages', async () => {
    const names: (string | undefined)[] = [];
    let token: string | undefined;
    do {
      const query = { 'max-buckets': '1', prefix: 'al', ...(token && { 'continuation-token': token }) };
      const { xml } = await s3.call('GET', '/', { query });
      names.push(...each(xml.children.find((child) => child.name === 'Buckets')!, 'Bucket', 'Name'));
      expect(textAt(xml, 'Prefix')).toBe('al');
      token = textAt(xml, 'ContinuationToken');
    } while (token);
    expect(names).toEqual(['alpha', 'alps']);
  });

  test.each([
    [{ 'max-buckets': '0' }],
    [{ 'max-buckets': '10001' }],
    [{ 'max-buckets': 'x' }],
    [{ 'continuation-token': 'made up' }],
  ])('refuses %o', async (query) => {
    expect(await s3.refusal('GET', '/', { query })).toBe('InvalidArgument');
  });
});

test('GetBucketLocation is empty for us-east-1', async () => {
  await s3.call('PUT', '/east');
  await s3.call('PUT', '/west', { body: constraint('eu-west-3') });
  const locationOf = async (name: string) => (await s3.call('GET', name, { query: { location: '' } })).xml;
  expect(await locationOf('/east')).toEqual({ name: 'LocationConstraint', text: '', children: [] });
  expect(await locationOf('/west')).toEqual({ name: 'LocationConstraint', text: 'eu-west-3', children: [] });
});

test('DeleteBucket answers 204, and refuses what is not empty or not there', async () => {
  await s3.call('PUT', '/bucket');
  await s3.call('PUT', '/bucket/key');
  expect(await s3.refusal('DELETE', '/bucket')).toBe('BucketNotEmpty');
  await s3.call('DELETE', '/bucket/key');
  expect((await s3.call('DELETE', '/bucket')).status).toBe(204);
  expect(await s3.refusal('DELETE', '/bucket')).toBe('NoSuchBucket');
});

describe('versioning', () => {
  const put = (content: string) => ({
    query: { versioning: '' },
    body: `<VersioningConfiguration>${content}</VersioningConfiguration>`,
  });
  beforeEach(() => s3.call('PUT', '/bucket'));

  test('was never enabled', async () => {
    const { xml } = await s3.call('GET', '/bucket', { query: { versioning: '' } });
    expect(xml).toEqual({ name: 'VersioningConfiguration', text: '', children: [] });
  });

  test.each(['Enabled', 'Suspended'])('cannot be set to %s, and the answer says so', async (status) => {
    const error = await s3.error('PUT', '/bucket', put(`<Status>${status}</Status>`));
    expect([error.code, error.message]).toEqual(['NotImplemented', expect.stringContaining(status)]);
  });

  test('refuses other documents', async () => {
    expect(await s3.refusal('PUT', '/bucket', put('<Status>On</Status>'))).toBe('MalformedXML');
    expect(await s3.refusal('PUT', '/bucket', put('<Nothing/>'))).toBe('MalformedXML');
    expect(await s3.refusal('PUT', '/bucket', put(''))).toBe('MalformedXML');
  });
});

describe('ACLs', () => {
  beforeEach(async () => {
    await s3.call('PUT', '/bucket');
    await s3.call('PUT', '/bucket/key');
  });

  const grant = (id: string, permission: string) =>
    `<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>${id}</ID></Grantee><Permission>${permission}</Permission></Grant>`;
  const policy = (...grants: string[]) =>
    `<AccessControlPolicy><Owner><ID>${OWNER_ID}</ID></Owner><AccessControlList>${grants.join('')}</AccessControlList></AccessControlPolicy>`;

  test.each(['/bucket', '/bucket/key'])('of %s gives the owner everything', async (path) => {
    const { xml, text } = await s3.call('GET', path, { query: { acl: '' } });
    expect(textAt(xml, 'Owner', 'ID')).toBe(OWNER_ID);
    expect(textAt(xml, 'AccessControlList', 'Grant', 'Grantee', 'ID')).toBe(OWNER_ID);
    expect(textAt(xml, 'AccessControlList', 'Grant', 'Permission')).toBe('FULL_CONTROL');
    expect(text).toContain('xsi:type="CanonicalUser"');
  });

  test('the document that was got can be put', async () => {
    const { text } = await s3.call('GET', '/bucket/key', { query: { acl: '' } });
    expect((await s3.call('PUT', '/bucket/key', { query: { acl: '' }, body: text })).status).toBe(200);
  });

  test.each([
    ['private', { headers: { 'x-amz-acl': 'private' } }, 200],
    ["the owner's grant", { body: policy(grant(OWNER_ID, 'FULL_CONTROL')) }, 200],
    ['a public one', { headers: { 'x-amz-acl': 'public-read' } }, 'NotImplemented'],
    ['a grant to another', { body: policy(grant('b'.repeat(64), 'READ')) }, 'NotImplemented'],
    ['less than everything', { body: policy(grant(OWNER_ID, 'READ')) }, 'NotImplemented'],
    ['no grants', { body: policy() }, 'NotImplemented'],
    ['nothing', {}, 'MissingSecurityHeader'],
    ['half a policy', { body: '<AccessControlPolicy/>' }, 'MalformedACLError'],
    ['a grant header', { headers: { 'x-amz-grant-read': 'uri=x' } }, 'NotImplemented'],
  ])('putting %s', async (_, options, outcome) => {
    for (const path of ['/bucket', '/bucket/key']) {
      const call = { query: { acl: '' }, ...options };
      if (outcome === 200) expect((await s3.call('PUT', path, call)).status).toBe(200);
      else expect(await s3.refusal('PUT', path, call)).toBe(outcome);
    }
  });

  test('of what is not there', async () => {
    expect(await s3.refusal('GET', '/nobucket', { query: { acl: '' } })).toBe('NoSuchBucket');
    expect(await s3.refusal('GET', '/bucket/nokey', { query: { acl: '' } })).toBe('NoSuchKey');
  });
});
