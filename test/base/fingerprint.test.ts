import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { decodeBase32, encodeBase32 } from '../../src/base/base32.ts';
import {
  fullFingerprint,
  matchesFingerprint,
  parseFingerprint,
  shortFingerprint,
} from '../../src/base/tls/fingerprint.ts';

const fingerprint = createHash('sha384').update('somebody').digest();

it('base32 is that of RFC 4648 section 10', () => {
  const vectors = {
    f: 'my',
    fo: 'mzxq',
    foo: 'mzxw6',
    foob: 'mzxw6yq',
    fooba: 'mzxw6ytb',
    foobar: 'mzxw6ytboi',
  };
  for (const [text, encoded] of Object.entries(vectors)) {
    expect(encodeBase32(Buffer.from(text))).toBe(encoded);
    expect(decodeBase32(encoded)?.toString()).toBe(text);
  }
  expect(encodeBase32(Buffer.alloc(0))).toBe('');
});

it('base32 is read only as it is written: one text for the same bytes', () => {
  for (const text of ['a', 'mz1w6', 'MZXW6', 'mzxr', 'mzxw6y', 'mzxw6ytboia'])
    expect(decodeBase32(text)).toBeUndefined();
});

it('a fingerprint is read in full, in either form and however it is grouped', () => {
  const full = fullFingerprint(fingerprint);
  expect(full).toHaveLength(77);
  const hex = fingerprint.toString('hex');
  const forms = [
    full,
    full.toUpperCase(),
    full.replaceAll(/(.{5})/g, '$1-'),
    hex,
    hex.replaceAll(/(..)/g, '$1:'),
  ];
  for (const text of [...forms, ` ${full}\n`]) expect(parseFingerprint(text)).toEqual(fingerprint);
});

it('what a person compares has 200 bits, and nothing shorter or different matches', () => {
  const short = shortFingerprint(fingerprint);
  expect(short).toMatch(/^([a-z2-7]{5}-){7}[a-z2-7]{5}$/);
  expect(matchesFingerprint(fingerprint, short)).toBe(true);
  expect(matchesFingerprint(fingerprint, ` ${short.toUpperCase().replaceAll('-', ' ')}`)).toBe(true);
  expect(matchesFingerprint(fingerprint, fullFingerprint(fingerprint))).toBe(true);
  expect(matchesFingerprint(fingerprint, fingerprint.toString('hex'))).toBe(true);
  const other = createHash('sha384').update('somebody else').digest();
  for (const text of ['', short.slice(0, -1), short.slice(0, 5), shortFingerprint(other), `${short}a`]) {
    expect(matchesFingerprint(fingerprint, text)).toBe(false);
  }
});

it('what cannot be a fingerprint is refused with the reason', () => {
  expect(() => parseFingerprint(shortFingerprint(fingerprint))).toThrow('which is for comparing');
  expect(() => parseFingerprint('abc')).toThrow(
    '77 characters of base32 or 96 hexadecimal digits; these 3 characters are neither',
  );
  expect(() => parseFingerprint(`${fullFingerprint(fingerprint).slice(0, 76)}b`)).toThrow('77 characters');
});
