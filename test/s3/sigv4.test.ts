/** SigV4 against AWS's published examples and an independent signer, and every refusal by its code. */
import { describe, expect, test } from 'vitest';
import type { Clock } from '../../src/base/clock.ts';
import { systemClock } from '../../src/base/clock.ts';
import { HoldfastError } from '../../src/base/errors.ts';
import type { SignableRequest } from '../../src/s3/canonical.ts';
import { Authenticator } from '../../src/s3/sigv4.ts';
import { parseTarget } from '../../src/s3/target.ts';
import { amzDate, presign, type SignOptions, signHeader, type Unsigned } from './signer.ts';

const keys = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const exampleMs = Date.UTC(2013, 4, 24);
const host = 'examplebucket.s3.amazonaws.com';

function authenticator(nowMs: number): Authenticator {
  const clock: Clock = { ...systemClock, nowMs: () => nowMs };
  const credential = { ...keys, ownerId: 'ab'.repeat(32), displayName: 'me' };
  return new Authenticator({ find: (id) => (id === keys.accessKeyId ? credential : undefined) }, clock);
}

function request(
  method: string,
  target: string,
  headers: Record<string, string>,
  raw = Object.entries(headers).flat(),
): SignableRequest {
  const { path, rawPath, query } = parseTarget(target);
  return { method, path, resource: rawPath, query, headers, rawHeaders: raw };
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof HoldfastError) return error.code;
    throw error;
  }
  return 'accepted';
}

const authorization = (signedHeaders: string, signature: string) =>
  `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=${signedHeaders},Signature=${signature}`;

describe("AWS's examples, Authenticating Requests: Using the Authorization Header", () => {
  const examples: {
    name: string;
    method: string;
    target: string;
    headers: Record<string, string>;
    signed: string;
    signature: string;
  }[] = [
    {
      name: 'GET Object with a range',
      method: 'GET',
      target: '/test.txt',
      headers: { range: 'bytes=0-9', 'x-amz-content-sha256': EMPTY },
      signed: 'host;range;x-amz-content-sha256;x-amz-date',
      signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    },
    {
      name: 'PUT Object',
      method: 'PUT',
      target: '/test%24file.text',
      headers: {
        date: 'Fri, 24 May 2013 00:00:00 GMT',
        'x-amz-storage-class': 'REDUCED_REDUNDANCY',
        'x-amz-content-sha256': '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
      },
      signed: 'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
      signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    },
    {
      name: 'GET Bucket Lifecycle',
      method: 'GET',
      target: '/?lifecycle',
      headers: { 'x-amz-content-sha256': EMPTY },
      signed: 'host;x-amz-content-sha256;x-amz-date',
      signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    },
    {
      name: 'GET Bucket (List Objects)',
      method: 'GET',
      target: '/?max-keys=2&prefix=J',
      headers: { 'x-amz-content-sha256': EMPTY },
      signed: 'host;x-amz-content-sha256;x-amz-date',
      signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    },
  ];
  for (const example of examples) {
    test(example.name, () => {
      const headers = {
        host,
        ...example.headers,
        'x-amz-date': '20130524T000000Z',
        authorization: authorization(example.signed, example.signature),
      };
      const checked = authenticator(exampleMs).authenticate(request(example.method, example.target, headers));
      expect(checked.credential.accessKeyId).toBe(keys.accessKeyId);
    });
  }
});

test("AWS's example, Authenticating Requests: Using Query Parameters", () => {
  const target =
    '/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404';
  const checked = authenticator(exampleMs + 86_400_000).authenticate(request('GET', target, { host }));
  expect(checked.query).toEqual([]);
  expect(checked.payload.name).toBe('UNSIGNED-PAYLOAD');
  const late = () => authenticator(exampleMs + 86_400_001).authenticate(request('GET', target, { host }));
  expect(late).toThrow('Request has expired');
  expect(codeOf(late)).toBe('AccessDenied');
});

const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5);
const options: SignOptions = { keys, dateTime: amzDate(nowMs), region: 'eu-far-9' };
const check = (signed: { target: string; headers: Record<string, string> }, method: string, at = nowMs) =>
  authenticator(at).authenticate(request(method, signed.target, signed.headers));

describe('an independent signer agrees', () => {
  const cases: Unsigned[] = [
    { method: 'GET', path: '/b/a%20b%2Bc', headers: { host } },
    { method: 'GET', path: '/b//x/../y/./%2e%2e/', headers: { host } },
    { method: 'GET', path: "/b/!'()*;:@&=+$,~", headers: { host } },
    { method: 'GET', path: '/b/%E2%82%AC%F0%9F%98%80', headers: { host } },
    {
      method: 'GET',
      path: '/b',
      query: [
        ['prefix', 'a b+c/€'],
        ['list-type', '2'],
        ['uploads', ''],
        ['a', 'z'],
        ['a', 'b'],
        ['B', ''],
      ],
      headers: { host },
    },
    { method: 'PUT', path: '/b/k', headers: { host, 'x-amz-meta-a': '  two   spaces ' } },
    {
      method: 'PUT',
      path: '/b/k',
      headers: { host, 'x-amz-meta-u': Buffer.from('é€').toString('latin1') },
    },
  ];
  for (const unsigned of cases) {
    test(`${unsigned.method} ${unsigned.path} ${JSON.stringify(unsigned.query ?? '')}`, () => {
      expect(check(signHeader(unsigned, options), unsigned.method).credential.displayName).toBe('me');
      expect(check(presign(unsigned, options), unsigned.method).credential.displayName).toBe('me');
    });
  }

  test('a client that escapes less on the wire than in its signature', () => {
    const signed = signHeader({ method: 'GET', path: "/b/it's%20(1)", headers: { host } }, options);
    const escaped = { ...signed, target: '/b/it%27s%20%281%29' };
    expect(codeOf(() => check(escaped, 'GET'))).toBe('accepted');
  });

  test('repeated headers are joined with a comma', () => {
    const signed = signHeader(
      { method: 'PUT', path: '/b/k', headers: { host, 'x-amz-meta-a': '1,2' } },
      options,
    );
    const headers = { ...signed.headers, 'x-amz-meta-a': '1, 2' };
    const raw = Object.entries(signed.headers)
      .filter(([name]) => name !== 'x-amz-meta-a')
      .flat();
    raw.push('X-Amz-Meta-A', '1', 'X-Amz-Meta-A', ' 2');
    const run = () => authenticator(nowMs).authenticate(request('PUT', signed.target, headers, raw));
    expect(codeOf(run)).toBe('accepted');
  });

  test('x-amz headers that a presigner moved into the query count as headers', () => {
    const signed = presign(
      {
        method: 'PUT',
        path: '/b/k',
        query: [
          ['x-amz-meta-a', 'v'],
          ['X-Amz-Content-Sha256', 'UNSIGNED-PAYLOAD'],
          ['x-id', 'PutObject'],
        ],
        headers: { host },
      },
      options,
    );
    const checked = check(signed, 'PUT');
    expect(checked.headers['x-amz-meta-a']).toBe('v');
    expect(checked.query).toEqual([['x-id', 'PutObject']]);
  });
});

describe('altered requests are refused', () => {
  const plain: Unsigned = {
    method: 'PUT',
    path: '/b/key',
    query: [['tagging', '']],
    headers: { host, 'x-amz-meta-a': 'b' },
    payloadHash: EMPTY,
  };
  const signed = signHeader(plain, options);
  const altered = (change: Partial<typeof signed>, method = 'PUT') =>
    codeOf(() => check({ ...signed, ...change }, method));

  test('method, path, query, header, payload hash, signature', () => {
    expect(altered({})).toBe('accepted');
    expect(altered({}, 'DELETE')).toBe('SignatureDoesNotMatch');
    expect(altered({ target: '/b/kez?tagging' })).toBe('SignatureDoesNotMatch');
    expect(altered({ target: '/b//key?tagging' })).toBe('SignatureDoesNotMatch');
    expect(altered({ target: '/b/key?tagging&versionId=1' })).toBe('SignatureDoesNotMatch');
    expect(altered({ target: '/b/key' })).toBe('SignatureDoesNotMatch');
    const header = (name: string, value: string) => ({ headers: { ...signed.headers, [name]: value } });
    expect(altered(header('x-amz-meta-a', 'c'))).toBe('SignatureDoesNotMatch');
    expect(altered(header('host', 'other'))).toBe('SignatureDoesNotMatch');
    expect(altered(header('x-amz-content-sha256', 'UNSIGNED-PAYLOAD'))).toBe('SignatureDoesNotMatch');
    expect(altered(header('x-amz-acl', 'public-read'))).toBe('AccessDenied');
    expect(altered(header('x-holdfast-etag', 'opaque'))).toBe('AccessDenied');
    const auth = signed.headers['authorization'] ?? '';
    const flipped = `${auth.slice(0, -1)}${auth.endsWith('0') ? '1' : '0'}`;
    expect(altered(header('authorization', flipped))).toBe('SignatureDoesNotMatch');
    expect(altered(header('authorization', auth.replace('eu-far-9', 'us-east-1')))).toBe(
      'SignatureDoesNotMatch',
    );
  });

  test('every presigned parameter', () => {
    const url = presign({ ...plain, payloadHash: 'UNSIGNED-PAYLOAD' }, options);
    expect(codeOf(() => check(url, 'PUT'))).toBe('accepted');
    for (const [from, to] of [
      ['X-Amz-Expires=3600', 'X-Amz-Expires=3601'],
      ['tagging=', 'acl='],
      ['/b/key', '/b/kex'],
    ] as const) {
      const other = { ...url, target: url.target.replace(from, to) };
      expect(
        codeOf(() => check(other, 'PUT')),
        from,
      ).toBe('SignatureDoesNotMatch');
    }
  });

  test('the error names what the server signed, and never the secret', () => {
    try {
      check({ ...signed, target: '/b/other' }, 'PUT');
      expect.unreachable();
    } catch (error) {
      const { fields } = error as HoldfastError;
      expect(fields['CanonicalRequest']).toContain('/b/other');
      expect(JSON.stringify(fields)).not.toContain(keys.secretAccessKey);
    }
  });

  test('replayed after the allowed skew, or from the future', () => {
    const code = (offsetMs: number) => codeOf(() => check(signed, 'PUT', nowMs + offsetMs));
    expect(code(15 * 60_000)).toBe('accepted');
    expect(code(-15 * 60_000)).toBe('accepted');
    expect(code(15 * 60_000 + 1000)).toBe('RequestTimeTooSkewed');
    expect(code(-15 * 60_000 - 1000)).toBe('RequestTimeTooSkewed');
    const url = presign({ ...plain, payloadHash: 'UNSIGNED-PAYLOAD' }, { ...options, expiresSeconds: 1 });
    expect(codeOf(() => check(url, 'PUT', nowMs + 1000))).toBe('accepted');
    expect(codeOf(() => check(url, 'PUT', nowMs + 1001))).toBe('AccessDenied');
    expect(() => check(url, 'PUT', nowMs - 16 * 60_000)).toThrow('not yet valid');
  });
});

describe('forms that are not SigV4', () => {
  const good = signHeader({ method: 'GET', path: '/b/k', headers: { host } }, options);
  const auth = good.headers['authorization'] ?? '';
  const withHeaders = (change: Record<string, string | undefined>, target = good.target) => {
    const merged = { ...good.headers, ...change };
    const headers = Object.fromEntries(
      Object.entries(merged).filter((entry): entry is [string, string] => entry[1] !== undefined),
    );
    return codeOf(() => check({ target, headers }, 'GET'));
  };
  const withAuth = (text: string) => withHeaders({ authorization: text });

  test('Authorization headers', () => {
    const malformed = 'AuthorizationHeaderMalformed';
    expect(withAuth(auth.replace(', ', ',').replace(', ', ','))).toBe('accepted');
    expect(withAuth('AWS AKID:c2ln')).toBe('InvalidRequest');
    expect(withAuth('Bearer x')).toBe('InvalidArgument');
    expect(withAuth(auth.replace('HMAC-SHA256', 'ECDSA-P256-SHA256'))).toBe('NotImplemented');
    expect(withAuth('AWS4-HMAC-SHA256')).toBe(malformed);
    expect(withAuth(auth.replace(/, Signature.*/, ''))).toBe(malformed);
    expect(withAuth(auth.replace(/SignedHeaders=[^,]*, /, ''))).toBe(malformed);
    expect(withAuth(auth.replace('/s3/', '/ec2/'))).toBe(malformed);
    expect(withAuth(auth.replace('aws4_request', 'aws5_request'))).toBe(malformed);
    expect(withAuth(auth.replace('/20260102/', '/20260103/'))).toBe(malformed);
    expect(withAuth(auth.replace('/20260102/', '/2026010/'))).toBe(malformed);
    expect(withAuth(auth.replace(/Signature=.*/, 'Signature=zz'))).toBe(malformed);
    expect(withAuth(`${auth}, Signature=${'0'.repeat(64)}`)).toBe(malformed);
    expect(withAuth(auth.replace('host;', ''))).toBe('AccessDenied');
    expect(withAuth(auth.replace('host;', 'constructor;host;__proto__;'))).toBe('SignatureDoesNotMatch');
    expect(withAuth(auth.replace('AKIAIOSFODNN7EXAMPLE', 'AKIANOBODY'))).toBe('InvalidAccessKeyId');
  });

  test('other headers', () => {
    expect(withHeaders({ authorization: undefined })).toBe('AccessDenied');
    expect(withHeaders({ 'x-amz-date': undefined })).toBe('AccessDenied');
    expect(withHeaders({ 'x-amz-date': 'yesterday' })).toBe('AccessDenied');
    expect(withHeaders({ 'x-amz-date': '20261302T030405Z' })).toBe('AccessDenied');
    expect(withHeaders({ 'x-amz-content-sha256': undefined })).toBe('InvalidRequest');
    expect(withHeaders({ 'x-amz-content-sha256': 'abc' })).toBe('InvalidArgument');
    expect(withHeaders({ 'x-amz-content-sha256': 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD' })).toBe(
      'NotImplemented',
    );
    expect(withHeaders({ 'x-amz-security-token': 'x' })).toBe('InvalidToken');
    expect(withHeaders({}, `${good.target}?X-Amz-Algorithm=AWS4-HMAC-SHA256`)).toBe('InvalidArgument');
  });

  test('query parameters', () => {
    const url = presign({ method: 'GET', path: '/b/k', headers: { host } }, options);
    const change = (from: string | RegExp, to: string) =>
      codeOf(() => check({ ...url, target: url.target.replace(from, to) }, 'GET'));
    const malformed = 'AuthorizationQueryParametersError';
    expect(change('AWS4-HMAC', 'AWS5-HMAC')).toBe(malformed);
    expect(change('AWS4-HMAC-SHA256', 'AWS4-ECDSA-P256-SHA256')).toBe('NotImplemented');
    for (const part of ['Credential', 'Date', 'Expires', 'SignedHeaders', 'Algorithm']) {
      expect(change(new RegExp(`&?X-Amz-${part}=[^&]*`), ''), part).toBe(malformed);
    }
    for (const value of ['604801', '-1', '0', 'x', '']) {
      expect(change('X-Amz-Expires=3600', `X-Amz-Expires=${value}`), value).toBe(malformed);
    }
    expect(change('X-Amz-Expires=3600', 'X-Amz-Expires=604800')).toBe('SignatureDoesNotMatch');
    expect(change('X-Amz-Date=2026', 'X-Amz-Date=20')).toBe(malformed);
    expect(change('X-Amz-SignedHeaders=host', 'X-Amz-SignedHeaders=range')).toBe('AccessDenied');
    expect(change(/$/, '&X-Amz-Security-Token=t')).toBe('InvalidToken');
    expect(change(/$/, '&X-Amz-Date=20260102T030405Z')).toBe(malformed);
  });
});
