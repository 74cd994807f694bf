/** Response documents: escaping, and that listings agree with the general builder. */
import { describe, expect, test } from 'vitest';
import type { ObjectInfo } from '../../src/objects/types.ts';
import { buildXml, escapeXml } from '../../src/s3/xml-build.ts';
import { encodeKey, keyEncoder, objectElement } from '../../src/s3/xml-listing.ts';

test('escapes markup, quotes and what XML has no character for', () => {
  expect(escapeXml('<a & "b">\r\n\u0001\u001f\u007f\uffff')).toBe(
    '&lt;a &amp; &quot;b&quot;&gt;&#xD;&#xA;&#x1;&#x1F;&#x7F;&#xFFFF;',
  );
  expect(escapeXml('gr\u00fc\u00dfe \u{1f600}')).toBe('gr\u00fc\u00dfe \u{1f600}');
});

test('builds elements in order, leaves out what is undefined and keeps what is empty', () => {
  const text = buildXml('Root', {
    Text: ' <b> ',
    Empty: '',
    Absent: undefined,
    List: [{ N: 1 }, { N: 2 }],
    None: [],
    Flag: false,
    Attributed: { '@_a': 'x', '#text': 'a&b' },
  });
  expect(text).toBe(
    '<?xml version="1.0" encoding="UTF-8"?>\n<Root xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' +
      '<Text> &lt;b&gt; </Text><Empty></Empty><List><N>1</N></List><List><N>2</N></List><Flag>false</Flag>' +
      '<Attributed a="x">a&amp;b</Attributed></Root>',
  );
});

test('the url encoding of keys is undone by every decoder', () => {
  const key = 'a b+c/\u00fc%&<\u0001\u{1f600}';
  expect(encodeKey(key)).toBe('a%20b%2Bc/%C3%BC%25%26%3C%01%F0%9F%98%80');
  expect(decodeURIComponent(encodeKey(key))).toBe(key);
  expect(new URLSearchParams(`k=${encodeKey(key)}`).get('k')).toBe(key);
});

describe('listing elements', () => {
  const info: ObjectInfo = {
    key: 'dir/a&b',
    sizeBytes: 5,
    etag: 'abc',
    modifiedMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
    checksum: { algorithm: 'CRC32', value: 'AAAAAA==', type: 'FULL_OBJECT' },
    partCount: undefined,
    headers: {},
    metadata: {},
    tags: [],
    storageClass: 'STANDARD',
  };

  test('shows what AWS shows, in whole seconds', () => {
    expect(objectElement(info, keyEncoder(false), '')).toBe(
      '<Contents><Key>dir/a&amp;b</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>' +
        '<ETag>&quot;abc&quot;</ETag><ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>' +
        '<Size>5</Size><StorageClass>STANDARD</StorageClass></Contents>',
    );
  });

  test('a page of 1,000 keys takes a few milliseconds at most', () => {
    const page = Array.from({ length: 1000 }, (_, i) => ({
      ...info,
      key: `some/longer/prefix/file-${i}.txt`,
    }));
    const encode = keyEncoder(false);
    const build = () => page.reduce((text, each) => text + objectElement(each, encode, ''), '');
    build();
    const times = Array.from({ length: 20 }, () => {
      const startMs = performance.now();
      expect(build().length).toBeGreaterThan(100_000);
      return performance.now() - startMs;
    });
    expect(Math.min(...times)).toBeLessThan(10);
  });
});
