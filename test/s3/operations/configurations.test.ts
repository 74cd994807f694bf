/** Settings that are not there: reading one gives AWS's answer for an unconfigured bucket, changing one is refused. */
import { beforeAll, expect, test } from 'vitest';
import { Caller, textAt } from '../call.ts';
import { MemoryObjects } from '../memory-objects.ts';

const s3 = new Caller(new MemoryObjects());
beforeAll(async () => {
  await s3.call('PUT', '/bucket');
  await s3.call('PUT', '/bucket/key');
});

test.each([
  ['policy', 'NoSuchBucketPolicy'],
  ['policyStatus', 'NoSuchBucketPolicy'],
  ['cors', 'NoSuchCORSConfiguration'],
  ['lifecycle', 'NoSuchLifecycleConfiguration'],
  ['tagging', 'NoSuchTagSet'],
  ['encryption', 'ServerSideEncryptionConfigurationNotFoundError'],
  ['object-lock', 'ObjectLockConfigurationNotFoundError'],
  ['website', 'NoSuchWebsiteConfiguration'],
  ['replication', 'ReplicationConfigurationNotFoundError'],
  ['publicAccessBlock', 'NoSuchPublicAccessBlockConfiguration'],
])('?%s was never configured', async (selector, code) => {
  const error = await s3.error('GET', '/bucket', { query: { [selector]: '' } });
  expect([error.code, error.entry.httpStatus]).toEqual([code, 404]);
  expect(await s3.refusal('GET', '/nobucket', { query: { [selector]: '' } })).toBe('NoSuchBucket');
});

test.each([
  ['requestPayment', 'RequestPaymentConfiguration', 'BucketOwner', ['Payer']],
  ['ownershipControls', 'OwnershipControls', 'BucketOwnerEnforced', ['Rule', 'ObjectOwnership']],
  ['logging', 'BucketLoggingStatus', '', []],
  ['notification', 'NotificationConfiguration', '', []],
  ['accelerate', 'AccelerateConfiguration', '', []],
  ['analytics', 'ListBucketAnalyticsConfigurationsResult', 'false', ['IsTruncated']],
  ['inventory', 'ListInventoryConfigurationsResult', 'false', ['IsTruncated']],
])('?%s has a document', async (selector, root, text, path) => {
  const { xml } = await s3.call('GET', '/bucket', { query: { [selector]: '' } });
  expect([xml.name, textAt(xml, ...path)]).toEqual([root, text]);
});

test('one of a list is not there', async () => {
  expect(await s3.refusal('GET', '/bucket', { query: { metrics: '', id: 'x' } })).toBe('NoSuchConfiguration');
});

test.each([
  ['PUT', '/bucket', { cors: '' }, 'PutBucketCors'],
  ['PUT', '/bucket', { policy: '' }, 'PutBucketPolicy'],
  ['DELETE', '/bucket', { lifecycle: '' }, 'DeleteBucketLifecycle'],
  ['PUT', '/bucket', { 'object-lock': '' }, 'PutObjectLockConfiguration'],
  ['PUT', '/bucket', { metrics: '', id: 'x' }, 'PutBucketMetricsConfiguration'],
  ['PUT', '/bucket/key', { 'legal-hold': '' }, 'PutObjectLegalHold'],
  ['PUT', '/bucket/key', { retention: '' }, 'PutObjectRetention'],
  ['POST', '/bucket/key', { restore: '' }, 'RestoreObject'],
  ['POST', '/bucket/key', { select: '', 'select-type': '2' }, 'SelectObjectContent'],
  ['GET', '/bucket/key', { torrent: '' }, 'GetObjectTorrent'],
  ['POST', '/bucket', {}, 'PostObject'],
  ['GET', '/bucket', { session: '' }, 'CreateSession'],
])('%s %s %o is refused by its name', async (method, path, query, name) => {
  const error = await s3.error(method, path, { query });
  expect([error.code, error.message]).toEqual(['NotImplemented', expect.stringContaining(name)]);
});

test.each(['legal-hold', 'retention'])(
  '?%s of an object in a bucket without Object Lock',
  async (selector) => {
    expect(await s3.refusal('GET', '/bucket/key', { query: { [selector]: '' } })).toBe('InvalidRequest');
    expect(await s3.refusal('GET', '/bucket/nokey', { query: { [selector]: '' } })).toBe('NoSuchKey');
  },
);

test('what is in no row is refused too', async () => {
  expect(await s3.refusal('GET', '/bucket/key', { query: { invented: '' } })).toBe('NotImplemented');
  expect(
    await s3.refusal('PUT', '/bucket/key', { headers: { 'x-amz-object-lock-mode': 'GOVERNANCE' } }),
  ).toBe('NotImplemented');
  expect(
    await s3.refusal('GET', '/bucket/key', { headers: { 'x-amz-server-side-encryption-customer-key': 'x' } }),
  ).toBe('NotImplemented');
});
