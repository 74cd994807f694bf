/** Header parsing that the handlers share: dates, ranges, conditions, metadata, tags, checksums, copy sources. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { objectAttributes, storedHeaders, userMetadata } from '../../src/s3/headers-attributes.ts';
import { bodyChecksumAlgorithm, claimedChecksum, uploadChecksum } from '../../src/s3/headers-checksums.ts';
import { readConditions, writeConditions } from '../../src/s3/headers-conditions.ts';
import { parseCopySource } from '../../src/s3/headers-copy-source.ts';
import { parseCopyRange, parseRange } from '../../src/s3/headers-range.ts';
import { checkTags, parseTaggingHeader } from '../../src/s3/headers-tags.ts';
import { headerSafe, httpDate, isoDate, parseHttpDate, unquoteEtag } from '../../src/s3/headers-values.ts';

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof HoldfastError) return error.code;
    throw error;
  }
  return 'accepted';
}

describe('dates', () => {
  const time = Date.UTC(1994, 10, 6, 8, 49, 37);
  test.each([
    'Sun, 06 Nov 1994 08:49:37 GMT',
    'Sunday, 06-Nov-94 08:49:37 GMT',
    'Sun Nov  6 08:49:37 1994',
    'Sun, 06 Nov 1994 08:49:37 +0000',
    '1994-11-06T08:49:37Z',
    '1994-11-06T08:49:37.000Z',
  ])('reads %s', (text) => expect(parseHttpDate(text)).toBe(time));
  test.each([
    '',
    'yesterday',
    '06 Nov 1994',
    'Sun, 31 Feb 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 25:49:37 GMT',
    '0',
  ])('ignores %s', (text) => expect(parseHttpDate(text)).toBeUndefined());
  test('are shown in whole seconds', () => {
    expect(httpDate(time + 999)).toBe('Sun, 06 Nov 1994 08:49:37 GMT');
    expect(isoDate(time + 999)).toBe('1994-11-06T08:49:37.000Z');
  });
  test('an ISO date is what Date says, whatever was shown before it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e12 }), (timeMs) => {
        expect(isoDate(timeMs)).toBe(`${new Date(timeMs).toISOString().slice(0, 19)}.000Z`);
      }),
    );
  });
});

describe('ranges', () => {
  test.each([
    ['bytes=0-9', { firstByte: 0, lastByte: 9 }],
    ['bytes=5-', { firstByte: 5 }],
    ['bytes=-3', { suffixBytes: 3 }],
    ['bytes=-0', { suffixBytes: 0 }],
    ['Bytes = 1 - 2', { firstByte: 1, lastByte: 2 }],
    ['bytes=5-9223372036854775806', { firstByte: 5, lastByte: 999_999_999_999_999 }],
    ['bytes=99999999999999999999-', { firstByte: 999_999_999_999_999 }],
    ['bytes=-99999999999999999999', { suffixBytes: 999_999_999_999_999 }],
  ])('reads %s', (text, range) => expect(parseRange(text)).toEqual(range));
  test.each(['bytes=', 'bytes=-', 'bytes=9-5', 'bytes=0-1,3-4', 'items=0-1', 'bytes=a-b', '0-5', undefined])(
    'ignores %s',
    (text) => expect(parseRange(text)).toBeUndefined(),
  );
  test('a copy range is exact', () => {
    expect(parseCopyRange(undefined)).toBeUndefined();
    expect(parseCopyRange('bytes=0-4')).toEqual({ firstByte: 0, lastByte: 4 });
    for (const text of ['bytes=0-', 'bytes=-4', '0-4', 'bytes=4-0', 'bytes=0-4,5-6', '']) {
      expect(codeOf(() => parseCopyRange(text))).toBe('InvalidArgument');
    }
  });
});

describe('conditions', () => {
  test('of reads: lists, weak and bare ETags, dates', () => {
    expect(
      readConditions({
        'if-match': '"a", W/"b",c',
        'if-none-match': '*',
        'if-modified-since': 'Sun, 06 Nov 1994 08:49:37 GMT',
        'if-unmodified-since': 'not a date',
      }),
    ).toEqual({
      ifMatch: ['a', 'b', 'c'],
      ifNoneMatch: ['*'],
      ifModifiedSinceMs: Date.UTC(1994, 10, 6, 8, 49, 37),
    });
    expect(readConditions({})).toBeUndefined();
  });
  test('of writes', () => {
    expect(writeConditions({})).toBeUndefined();
    expect(writeConditions({ 'if-none-match': '*' })).toEqual({ ifNoneMatch: '*' });
    expect(writeConditions({ 'if-match': '"abc"' })).toEqual({ ifMatch: 'abc' });
    expect(codeOf(() => writeConditions({ 'if-none-match': '"abc"' }))).toBe('NotImplemented');
    expect(codeOf(() => writeConditions({ 'if-match': '"a","b"' }))).toBe('NotImplemented');
    expect(codeOf(() => writeConditions({ 'if-match': '"a"', 'if-none-match': '*' }))).toBe('NotImplemented');
    expect(codeOf(() => writeConditions({ 'if-match': '' }))).toBe('InvalidArgument');
  });
  test('quotes of ETags', () => {
    expect([unquoteEtag('"a"'), unquoteEtag('a'), unquoteEtag('W/"a"'), unquoteEtag('"')]).toEqual([
      'a',
      'a',
      'a',
      '"',
    ]);
  });
});

describe('attributes', () => {
  test('aws-chunked is not an encoding of the object', () => {
    const encodingOf = (value: string) => storedHeaders({ 'content-encoding': value }).contentEncoding;
    expect(encodingOf('aws-chunked')).toBeUndefined();
    expect(encodingOf('aws-chunked,gzip')).toBe('gzip');
    expect(encodingOf('gzip, AWS-Chunked')).toBe('gzip');
    expect(encodingOf('gzip')).toBe('gzip');
  });
  test("the default content type is S3's", () => {
    expect(storedHeaders({}).contentType).toBe('binary/octet-stream');
    expect(storedHeaders({ 'content-type': '' }).contentType).toBe('binary/octet-stream');
  });
  test('metadata is kept by its bytes, up to 2 KiB', () => {
    const value = Buffer.from('gr\u00fc\u00dfe', 'utf8').toString('latin1');
    expect(userMetadata({ 'x-amz-meta-a': value, 'x-amz-meta-empty': '', 'x-other': '1' })).toEqual({
      a: value,
      empty: '',
    });
    expect(userMetadata({ 'x-amz-meta-k': 'v'.repeat(2047) })['k']).toHaveLength(2047);
    expect(codeOf(() => userMetadata({ 'x-amz-meta-k': 'v'.repeat(2048) }))).toBe('MetadataTooLarge');
    expect(codeOf(() => userMetadata({ 'x-amz-meta-': 'v' }))).toBe('InvalidArgument');
  });
  test('a metadata name cannot reach the prototype', () => {
    const metadata = userMetadata({ ['x-amz-meta-__proto__']: 'x' });
    expect(Object.getPrototypeOf(metadata)).toBe(Object.prototype);
    expect(Object.keys(metadata)).toEqual(['__proto__']);
  });
  test.each([
    [{ 'x-amz-storage-class': 'STANDARD_IA' }, 'accepted'],
    [{ 'x-amz-storage-class': 'FAST' }, 'InvalidStorageClass'],
    [{ 'x-amz-acl': 'private' }, 'accepted'],
    [{ 'x-amz-acl': 'bucket-owner-full-control' }, 'accepted'],
    [{ 'x-amz-acl': 'public-read' }, 'NotImplemented'],
    [{ 'x-amz-acl': 'everybody' }, 'InvalidArgument'],
    [{ 'x-amz-server-side-encryption': 'AES256' }, 'accepted'],
    [{ 'x-amz-server-side-encryption': 'aws:kms' }, 'NotImplemented'],
    [{ 'x-amz-server-side-encryption': 'ROT13' }, 'InvalidArgument'],
    [{ 'x-amz-website-redirect-location': '/other' }, 'accepted'],
    [{ 'x-amz-website-redirect-location': 'other' }, 'InvalidRedirectLocation'],
  ])('%o is %s', (headers, outcome) => expect(codeOf(() => objectAttributes(headers))).toBe(outcome));
  test('a header made from a query carries UTF-8 and no line ends', () => {
    expect(headerSafe('x', '\u00fc')).toBe('\u00c3\u00bc');
    expect(codeOf(() => headerSafe('x', 'a\r\nset-cookie: b'))).toBe('InvalidArgument');
  });
});

describe('tags', () => {
  test('are a form', () => {
    expect(parseTaggingHeader('a=1&b=two+words&c%3D=%C3%BC&d')).toEqual([
      ['a', '1'],
      ['b', 'two words'],
      ['c=', '\u00fc'],
      ['d', ''],
    ]);
    expect(parseTaggingHeader(undefined)).toEqual([]);
    expect(parseTaggingHeader('')).toEqual([]);
  });
  test.each([
    ['a=%zz', 'InvalidArgument'],
    ['a=1&a=2', 'InvalidTag'],
    ['=1', 'InvalidTag'],
    ['aws:x=1', 'InvalidTag'],
    ['a=%3Cb%3E', 'InvalidTag'],
    [`${'k'.repeat(129)}=1`, 'InvalidTag'],
    [`k=${'v'.repeat(257)}`, 'InvalidTag'],
    [`${'k'.repeat(128)}=${'v'.repeat(256)}`, 'accepted'],
    [Array.from({ length: 10 }, (_, i) => `k${i}=v`).join('&'), 'accepted'],
    [Array.from({ length: 11 }, (_, i) => `k${i}=v`).join('&'), 'BadRequest'],
  ])('%s is %s', (header, outcome) => expect(codeOf(() => parseTaggingHeader(header))).toBe(outcome));
  test('letters of every script are allowed', () => {
    expect(codeOf(() => checkTags([['\u540d\u524d', '\u0645\u0631\u062d\u0628\u0627 +-=._:/@']]))).toBe(
      'accepted',
    );
  });
});

describe('checksums', () => {
  test('which one comes with a body', () => {
    expect(bodyChecksumAlgorithm({ 'x-amz-checksum-crc32c': 'AAAAAA==' })).toBe('CRC32C');
    expect(bodyChecksumAlgorithm({ 'x-amz-trailer': 'x-amz-checksum-crc64nvme' })).toBe('CRC64NVME');
    expect(bodyChecksumAlgorithm({})).toBeUndefined();
  });
  test('a claim about a multipart object', () => {
    expect(claimedChecksum({ 'x-amz-checksum-crc32': 'AAAAAA==-3' })).toEqual({
      algorithm: 'CRC32',
      value: 'AAAAAA==-3',
    });
    expect(codeOf(() => claimedChecksum({ 'x-amz-checksum-crc32': 'AAAA' }))).toBe('InvalidRequest');
    expect(
      codeOf(() =>
        claimedChecksum({ 'x-amz-checksum-crc32': 'AAAAAA==', 'x-amz-checksum-crc32c': 'AAAAAA==' }),
      ),
    ).toBe('InvalidRequest');
  });
  test.each([
    [undefined, undefined, {}],
    ['CRC32', undefined, { checksumAlgorithm: 'CRC32', checksumType: 'COMPOSITE' }],
    ['crc32c', 'FULL_OBJECT', { checksumAlgorithm: 'CRC32C', checksumType: 'FULL_OBJECT' }],
    ['CRC64NVME', undefined, { checksumAlgorithm: 'CRC64NVME', checksumType: 'FULL_OBJECT' }],
    ['SHA256', 'COMPOSITE', { checksumAlgorithm: 'SHA256', checksumType: 'COMPOSITE' }],
  ])('an upload with %s and %s', (algorithm, type, expected) => {
    expect(uploadChecksum({ 'x-amz-checksum-algorithm': algorithm, 'x-amz-checksum-type': type })).toEqual(
      expected,
    );
  });
  test.each([
    ['MD4', undefined],
    ['CRC64NVME', 'COMPOSITE'],
    ['SHA1', 'FULL_OBJECT'],
    [undefined, 'COMPOSITE'],
    ['CRC32', 'PARTIAL'],
  ])('an upload with %s and %s is refused', (algorithm, type) => {
    const headers = { 'x-amz-checksum-algorithm': algorithm, 'x-amz-checksum-type': type };
    expect(codeOf(() => uploadChecksum(headers))).toBe('InvalidRequest');
  });
});

describe('copy sources', () => {
  const sourceOf = (value: string) => parseCopySource({ 'x-amz-copy-source': value });
  test.each([
    ['b/k', 'b', 'k'],
    ['/b/k', 'b', 'k'],
    ['b//k', 'b', '/k'],
    ['/b/dir/', 'b', 'dir/'],
    ['b/a%2Fb%20c+d%3F', 'b', 'a/b c+d?'],
    ['b%2Fk', 'b', 'k'],
    ['b/%C3%BC', 'b', '\u00fc'],
    [`b/${Buffer.from('\u00fc').toString('latin1')}`, 'b', '\u00fc'],
    ['b/k?versionId=null', 'b', 'k'],
    ['b/what%3FversionId%3D1', 'b', 'what?versionId=1'],
    ['b/100%', 'b', '100%'],
  ])('reads %s', (value, bucket, key) => expect(sourceOf(value)).toEqual({ bucket, key }));
  test.each([
    ['', 'InvalidArgument'],
    ['b', 'InvalidArgument'],
    ['/b', 'InvalidArgument'],
    ['b/', 'InvalidArgument'],
    ['//k', 'InvalidArgument'],
    ['b/%FF', 'InvalidArgument'],
    ['b/k?versionId=abc', 'NoSuchVersion'],
    ['arn:aws:s3:us-east-1:123456789012:accesspoint/x/object/k', 'NotImplemented'],
  ])('refuses %s with %s', (value, code) => expect(codeOf(() => sourceOf(value))).toBe(code));
});
