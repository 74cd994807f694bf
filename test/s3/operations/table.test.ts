/** The operation table as a whole: names, completeness against the API reference, and that nothing is ambiguous. */
import { expect, test } from 'vitest';
import { operations } from '../../../src/s3/operations/index.ts';
import { Caller } from '../call.ts';
import { MemoryObjects } from '../memory-objects.ts';

/** All operations of the S3 API of general purpose buckets (API reference, November 2026). */
const API =
  `AbortMultipartUpload CompleteMultipartUpload CopyObject CreateBucket CreateBucketMetadataConfiguration
CreateBucketMetadataTableConfiguration CreateMultipartUpload CreateSession DeleteBucket DeleteBucketAnalyticsConfiguration DeleteBucketCors
DeleteBucketEncryption DeleteBucketIntelligentTieringConfiguration DeleteBucketInventoryConfiguration DeleteBucketLifecycle
DeleteBucketMetadataConfiguration DeleteBucketMetadataTableConfiguration DeleteBucketMetricsConfiguration DeleteBucketOwnershipControls
DeleteBucketPolicy DeleteBucketReplication DeleteBucketTagging DeleteBucketWebsite DeleteObject DeleteObjectTagging DeleteObjects
DeletePublicAccessBlock GetBucketAbac GetBucketAccelerateConfiguration GetBucketAcl GetBucketAnalyticsConfiguration GetBucketCors
GetBucketEncryption GetBucketIntelligentTieringConfiguration GetBucketInventoryConfiguration GetBucketLifecycleConfiguration
GetBucketLocation GetBucketLogging GetBucketMetadataConfiguration GetBucketMetadataTableConfiguration GetBucketMetricsConfiguration
GetBucketNotificationConfiguration GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus GetBucketReplication
GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite GetObject GetObjectAcl GetObjectAttributes GetObjectLegalHold
GetObjectLockConfiguration GetObjectRetention GetObjectTagging GetObjectTorrent GetPublicAccessBlock HeadBucket HeadObject
ListBucketAnalyticsConfigurations ListBucketIntelligentTieringConfigurations ListBucketInventoryConfigurations
ListBucketMetricsConfigurations ListBuckets ListMultipartUploads ListObjectVersions ListObjects ListObjectsV2 ListParts PutBucketAbac
PutBucketAccelerateConfiguration PutBucketAcl PutBucketAnalyticsConfiguration PutBucketCors PutBucketEncryption
PutBucketIntelligentTieringConfiguration PutBucketInventoryConfiguration PutBucketLifecycleConfiguration PutBucketLogging
PutBucketMetricsConfiguration PutBucketNotificationConfiguration PutBucketOwnershipControls PutBucketPolicy PutBucketReplication
PutBucketRequestPayment PutBucketTagging PutBucketVersioning PutBucketWebsite PutObject PutObjectAcl PutObjectLegalHold
PutObjectLockConfiguration PutObjectRetention PutObjectTagging PutPublicAccessBlock RenameObject RestoreObject SelectObjectContent
UpdateBucketMetadataInventoryTableConfiguration UpdateBucketMetadataJournalTableConfiguration UpdateObjectEncryption UploadPart
UploadPartCopy PostObject`.split(/\s+/);

test('every operation of the API reference has exactly one row', () => {
  expect(operations.map((row) => row.name).sort()).toEqual([...API].sort());
});

test('no two rows are selected by the same request', () => {
  const places = operations.map(({ method, level, selectors, selectingHeader }) =>
    JSON.stringify([method, level, Object.entries(selectors).sort(), selectingHeader]),
  );
  expect(new Set(places).size).toBe(places.length);
});

test('every row answers or refuses for a bucket that is not there; none fails inside', async () => {
  const caller = new Caller(new MemoryObjects());
  const place = { service: '/', bucket: '/nobucket', object: '/nobucket/key' };
  for (const row of operations.filter(({ level }) => level !== 'service')) {
    const query = Object.fromEntries(
      Object.entries(row.selectors).map(([name, value]) => [
        name,
        value === true ? (name === 'partNumber' ? '1' : '') : value,
      ]),
    );
    const headers = {
      ...(row.selectingHeader && { [row.selectingHeader]: 'b/k' }),
      'x-amz-acl': row.name.endsWith('Acl') ? 'private' : undefined,
      'x-amz-object-attributes': row.name === 'GetObjectAttributes' ? 'ETag' : undefined,
      'content-md5': 'x',
    };
    for (const name of Object.keys(headers)) {
      if (headers[name as keyof typeof headers] === undefined) delete headers[name as keyof typeof headers];
    }
    if (row.name === 'CreateBucket') continue;
    const error = await caller.error(row.method, place[row.level], { query, headers });
    expect([row.name, error.code]).toEqual([
      row.name,
      expect.stringMatching(/^(NoSuchBucket|NotImplemented|MalformedXML)$/),
    ]);
    if (error.code === 'NotImplemented') expect(error.message).toContain(row.name);
  }
});
