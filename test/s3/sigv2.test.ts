/** Presigned URLs of Signature Version 2: AWS's published example, what they may carry, and every refusal by its code. */
import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { HoldfastError } from '../../src/base/errors.ts';
import { type Authentication, Authenticator } from '../../src/s3/sigv4.ts';
import { parseTarget } from '../../src/s3/target.ts';

const keys = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};
const EXPIRES = 1_175_139_620;

interface Given {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly hostBucket?: string;
  readonly nowMs?: number;
}

function authenticate(target: string, given: Given = {}): Authentication {
  const clock = { ...systemClock, nowMs: () => given.nowMs ?? EXPIRES * 1000 - 60_000 };
  const credential = { ...keys, ownerId: 'ab'.repeat(32), displayName: 'me' };
  const store = { find: (id: string) => (id === keys.accessKeyId ? credential : undefined) };
  const { path, rawPath, query } = parseTarget(target);
  const headers = { host: 'localhost:9000', ...given.headers };
  return new Authenticator(store, clock).authenticate({
    ...{ method: given.method ?? 'GET', path, query, headers },
    resource: given.hostBucket === undefined ? rawPath : `/${given.hostBucket}${rawPath}`,
    rawHeaders: Object.entries(headers).flat(),
  });
}

function refusal(target: string, given: Given = {}): string {
  try {
    authenticate(target, given);
  } catch (error) {
    if (error instanceof HoldfastError) return error.code;
    throw error;
  }
  return 'accepted';
}

/** The query of a URL whose string to sign the test spells out. */
function signed(toSign: string, keyId = keys.accessKeyId): string {
  const signature = createHmac('sha1', keys.secretAccessKey).update(toSign).digest('base64');
  return `AWSAccessKeyId=${keyId}&Signature=${encodeURIComponent(signature)}&Expires=${EXPIRES}`;
}

const puppy = `/photos/puppy.jpg?AWSAccessKeyId=${keys.accessKeyId}&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=${EXPIRES}`;

test("AWS's example, virtual-host style", () => {
  const { credential, query, payload, signing } = authenticate(puppy, { hostBucket: 'johnsmith' });
  expect(credential.accessKeyId).toBe(keys.accessKeyId);
  expect(query).toEqual([]);
  expect(payload.name).toBe('UNSIGNED-PAYLOAD');
  expect(signing).toBeUndefined();
  expect(authenticate(`/johnsmith${puppy}`).query).toEqual([]);
});

test('overrides of the answer, headers in the query and the raw path are signed', () => {
  const path = '/b/pr%c3%a9f%20+';
  const toSign = `PUT\n\ntext/plain\n${EXPIRES}\nx-amz-meta-a:1\n${path}?partNumber=2&response-content-type=a b&uploads`;
  const target = `${path}?uploads&response-content-type=a%20b&partNumber=2&x-amz-meta-a=1&content-type=text%2Fplain&${signed(toSign)}`;
  const given = { method: 'PUT', headers: { 'content-type': 'text/plain' } };
  const { headers, query } = authenticate(target, given);
  expect(headers['x-amz-meta-a']).toBe('1');
  expect(query.map(([name]) => name)).toEqual(['uploads', 'response-content-type', 'partNumber']);
  expect(refusal(target.replace('partNumber=2', 'partNumber=3'), given)).toBe('SignatureDoesNotMatch');
  expect(refusal(target.replace('x-amz-meta-a=1', 'x-amz-meta-a=2'), given)).toBe('SignatureDoesNotMatch');
  expect(refusal(target, { ...given, headers: { ...given.headers, 'x-amz-meta-b': '2' } })).toBe(
    'SignatureDoesNotMatch',
  );
  expect(refusal(target, { ...given, headers: { 'content-type': 'text/html' } })).toBe(
    'SignatureDoesNotMatch',
  );
  expect(refusal(target, { ...given, method: 'GET' })).toBe('SignatureDoesNotMatch');
});

test('refusals', () => {
  const good = `/johnsmith${puppy}`;
  expect(refusal(good, { nowMs: EXPIRES * 1000 + 1 })).toBe('AccessDenied');
  expect(refusal(`${good}&list-type=2`)).toBe('AccessDenied');
  expect(refusal(`${good}&attributes`)).toBe('AccessDenied');
  expect(refusal(`${good}&Expires=9999999999`)).toBe('AccessDenied');
  expect(refusal(good.replace(/&Expires=.*/, ''))).toBe('AccessDenied');
  expect(refusal(good.replace(/&Expires=.*/, '&Expires=tomorrow'))).toBe('AccessDenied');
  expect(refusal(good.replace(/Signature=[^&]*/, 'Signature=AA'))).toBe('SignatureDoesNotMatch');
  expect(refusal(good.replace('puppy', 'kitten'))).toBe('SignatureDoesNotMatch');
  expect(refusal(`/b/k?${signed(`GET\n\n\n${EXPIRES}\n/b/k`, 'NOBODY')}`)).toBe('InvalidAccessKeyId');
  expect(refusal(`${good}&X-Amz-Security-Token=x`)).toBe('InvalidToken');
  expect(refusal(good, { headers: { 'x-holdfast-etag': 'opaque' } })).toBe('AccessDenied');
  expect(refusal(good, { headers: { authorization: 'AWS a:b' } })).toBe('InvalidArgument');
  const framed = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
  const query = signed(`PUT\n\n\n${EXPIRES}\nx-amz-content-sha256:${framed}\n/b/k`);
  expect(refusal(`/b/k?${query}`, { method: 'PUT', headers: { 'x-amz-content-sha256': framed } })).toBe(
    'InvalidRequest',
  );
});
