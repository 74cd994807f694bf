/** The request loop on real sockets: routing, bodies in every form, answers, errors. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { digestNow } from '../../src/coding/digest.ts';
import { digestAlgorithms } from '../../src/coding/digests.ts';
import {
  codeOf,
  type Harness,
  head,
  ownerId,
  pattern,
  pooledBody,
  presigned,
  RawClient,
  type RawResponse,
  start,
  streamingPut,
} from './harness.ts';
import { sha256Hex, type Unsigned } from './signer.ts';
import { sleepMs } from './sleep.ts';

const big = pattern(3_000_000);
let harness: Harness;

beforeAll(async () => {
  const base = { selectors: {}, parameters: [], headers: [] };
  harness = await start(
    [
      {
        ...base,
        name: 'GetObject',
        method: 'GET',
        level: 'object',
        parameters: ['response-content-type'],
        headers: ['range'],
        async handle({ key, query }) {
          if (key === 'missing') throw new HoldfastError('NoSuchKey', { fields: { Key: key } });
          if (key === 'internal') throw new Error('secret detail');
          if (key === 'grid') throw new HoldfastError('GridUnavailable', { detail: 'node 7 at 10.0.0.7' });
          if (key === 'unchanged') throw new HoldfastError('NotModified', { fields: { ETag: '"x"' } });
          if (key === 'breaks') return { status: 200, body: pooledBody(big, 70_000, 500_000) };
          if (key === 'breaks-at-once') return { status: 200, body: pooledBody(big, 70_000, 0) };
          if (key === 'short')
            return {
              status: 200,
              body: {
                ...pooledBody(big.subarray(0, 10), 5),
                range: { firstByte: 0, lengthBytes: 20, partial: false },
              },
            };
          if (key === 'empty') return { status: 200, body: pooledBody(Buffer.alloc(0), 5) };
          const type = query.get('response-content-type');
          return {
            status: 200,
            headers: { ...(type !== null && { 'content-type': type }) },
            body: pooledBody(big, 1_000_000),
          };
        },
      },
      {
        ...base,
        name: 'CompleteMultipartUpload',
        method: 'POST',
        level: 'object',
        selectors: { uploadId: true },
        headers: ['x-amz-checksum-crc32'],
        async handle(context) {
          await context.document(1000);
          const slow = context.query.get('uploadId') !== 'quick';
          const deferred = (async () => {
            await sleepMs(slow ? 250 : 1);
            if (context.key === 'bad') throw new HoldfastError('InvalidPart');
            return '<?xml version="1.0" encoding="UTF-8"?>\n<Done/>';
          })();
          return { status: 200, deferred };
        },
      },
    ],
    { domains: ['example.test'], limits: { deferredQuietMs: 50, deferredBeatMs: 50, lingerMs: 300 } },
  );
});
afterAll(() => harness.close());

type Plain = Partial<Unsigned> & Pick<Unsigned, 'method' | 'path'>;

async function ask(
  request: Plain,
  body: Uint8Array | string = '',
  client = new RawClient(harness.port),
): Promise<RawResponse> {
  const lengthBytes = Buffer.byteLength(body);
  const headers = {
    ...request.headers,
    ...(lengthBytes > 0 || request.method === 'PUT' ? { 'content-length': String(lengthBytes) } : {}),
  };
  client.send(head(harness, { ...request, headers }));
  client.send(body);
  const response = await client.receive(request.method === 'HEAD');
  client.destroy();
  return response;
}

describe('routing', () => {
  const keyOf = async (path: string, host?: string) => {
    const response = await ask({ method: 'PUT', path, ...(host && { headers: { host } }) }, 'x');
    return response.status === 200 ? decodeURIComponent(response.headers['x-key'] ?? '') : codeOf(response);
  };

  test('path style: every UTF-8 key, decoded once, never normalised', async () => {
    expect(await keyOf('/bucket/a')).toBe('bucket a');
    expect(await keyOf('/bucket//a//b/')).toBe('bucket /a//b/');
    expect(await keyOf('/bucket/./../a/.')).toBe('bucket ./../a/.');
    expect(await keyOf('/bucket/a+b%2Bc%20d%2525')).toBe('bucket a+b+c d%25');
    expect(await keyOf('/bucket/%00%01%7F%E2%82%AC%F0%9F%98%80')).toBe('bucket \u0000\u0001\u007f€😀');
    expect(await keyOf(`/bucket/${'k'.repeat(1024)}`)).toBe(`bucket ${'k'.repeat(1024)}`);
    expect(await keyOf(`/bucket/${'k'.repeat(1025)}`)).toBe('KeyTooLongError');
    expect(await keyOf(`/bucket/${'%E2%82%AC'.repeat(342)}`)).toBe('KeyTooLongError');
  });

  test('broken escapes and broken UTF-8', async () => {
    for (const path of ['/bucket/%', '/bucket/%zz', '/bucket/%ff', '/bucket/%C0%AF', '/bucket/%ED%A0%80']) {
      const client = new RawClient(harness.port);
      client.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
      expect(codeOf(await client.receive()), path).toBe('InvalidURI');
      client.destroy();
    }
  });

  test('virtual-host style', async () => {
    expect(await keyOf('/a/b', 'bucket.localhost')).toBe('bucket a/b');
    expect(await keyOf('//a', 'bucket.localhost:9000')).toBe('bucket /a');
    expect(await keyOf('/a', 'my.bucket.example.test')).toBe('my.bucket a');
    expect(await keyOf('/a', 'bucket.s3.example.test')).toBe('bucket a');
    expect(await keyOf('/bucket/a', 's3.example.test')).toBe('bucket a');
    expect(await keyOf('/bucket/a', 'EXAMPLE.test')).toBe('bucket a');
    expect(await keyOf('/bucket/a', 'elsewhere.invalid')).toBe('bucket a');
    const listed = await ask({ method: 'GET', path: '/', headers: { host: 'bucket.localhost' } });
    expect(listed.body.toString()).toBe('<L>bucket</L>');
  });

  test('the operation table', async () => {
    const answer = async (request: Plain, body = '') => {
      const response = await ask(request, body);
      return response.status < 300 ? response.body.toString() : `${response.status} ${codeOf(response)}`;
    };
    expect(await answer({ method: 'GET', path: '/' })).toBe('<Buckets/>');
    expect(await answer({ method: 'GET', path: '/bucket/' })).toBe('<L>bucket</L>');
    const query = (...pairs: [string, string][]) => ({ method: 'GET', path: '/bucket', query: pairs });
    expect(await answer(query(['list-type', '2'], ['prefix', 'a+b c']))).toBe('<V2>a+b c</V2>');
    expect(await answer(query(['list-type', '3']))).toBe('501 NotImplemented');
    expect(await answer(query(['policy', '']))).toBe('501 NotImplemented');
    expect(await answer(query(['list-type', '2'], ['prefix', 'a'], ['prefix', 'b']))).toBe(
      '400 InvalidArgument',
    );
    expect(await answer(query(['x-id', 'ListObjects']))).toBe('<L>bucket</L>');
    expect(await answer({ method: 'DELETE', path: '/' })).toBe('405 MethodNotAllowed');
    expect((await ask({ method: 'DELETE', path: '/' })).headers['allow']).toBe('GET');
    expect(await answer({ method: 'POST', path: '/bucket/k', query: [['restore', '']] })).toBe(
      '501 NotImplemented',
    );
    const put = (headers: Record<string, string>) => answer({ method: 'PUT', path: '/bucket/k', headers });
    expect(await put({ 'x-amz-copy-source': '/a/b' })).toBe(`<Copy>http://${harness.host}</Copy>`);
    const hosted = { host: 'bucket.s3.example.test:9000', 'x-amz-copy-source': '/a/b' };
    expect(await put(hosted)).toBe('<Copy>http://s3.example.test:9000</Copy>');
    expect(await put({ 'x-amz-meta-anything': 'v' })).toBe('');
    expect(await put({ 'x-amz-object-lock-mode': 'GOVERNANCE' })).toBe('501 NotImplemented');
    expect(await put({ 'if-none-match': '*' })).toBe('');
    expect(await put({ 'if-match': 'x' })).toBe('501 NotImplemented');
    expect(await put({ 'content-range': 'bytes 0-1/2' })).toBe('501 NotImplemented');
    expect(await put({ 'x-amz-checksum-crc64nvme': 'AAAAAAAAAAA=' })).toBe('501 NotImplemented');
    expect(await put({ 'x-amz-expected-bucket-owner': ownerId })).toBe('');
    expect(await put({ 'x-amz-expected-bucket-owner': '123456789012' })).toBe('403 AccessDenied');
    expect(
      await answer({ method: 'GET', path: '/bucket/k', headers: { 'if-range': 'x', range: 'bytes=0-1' } }),
    ).toBe('501 NotImplemented');
    const refused = await ask({ method: 'GET', path: '/bucket', query: [['policy', '']] });
    expect(refused.body.toString()).toContain('&quot;policy&quot;');
  });
});

describe('bodies', () => {
  const data = pattern(200_000);
  const md5 = createHash('md5').update(data).digest();
  const put = (headers: Record<string, string>, payloadHash = 'UNSIGNED-PAYLOAD', body: Uint8Array = data) =>
    ask({ method: 'PUT', path: '/bucket/k', headers, payloadHash }, body);

  test('unsigned payload, single hash, Content-MD5', async () => {
    const plain = await put({});
    expect(plain.status).toBe(200);
    expect(plain.headers['etag']).toBe(`"${md5.toString('hex')}"`);
    expect(plain.headers['x-announced']).toBe('200000');
    expect((await put({}, sha256Hex(data))).status).toBe(200);
    expect(codeOf(await put({}, sha256Hex('other')))).toBe('XAmzContentSHA256Mismatch');
    expect((await put({ 'content-md5': md5.toString('base64') })).status).toBe(200);
    expect(codeOf(await put({ 'content-md5': createHash('md5').digest('base64') }))).toBe('BadDigest');
    expect(codeOf(await put({ 'content-md5': 'abc' }))).toBe('InvalidDigest');
  });

  test('x-amz-checksum-* in the header', async () => {
    for (const algorithm of digestAlgorithms) {
      if (algorithm === 'md5') continue;
      const name = `x-amz-checksum-${algorithm}`;
      const good = digestNow([algorithm], data)[algorithm]?.toString('base64') ?? '';
      const wrong = digestNow([algorithm], Buffer.from('x'))[algorithm]?.toString('base64') ?? '';
      const sdk = { 'x-amz-sdk-checksum-algorithm': algorithm.toUpperCase() };
      const accepted = await put({ [name]: good, ...sdk });
      expect(accepted.status, algorithm).toBe(200);
      expect(accepted.headers[name]).toBe(good);
      expect(codeOf(await put({ [name]: wrong }))).toBe('BadDigest');
      expect(codeOf(await put({ [name]: 'AAAA' }))).toBe('InvalidRequest');
    }
    const both = { 'x-amz-checksum-crc32': 'AAAAAA==', 'x-amz-checksum-crc32c': 'AAAAAA==' };
    expect(codeOf(await put(both))).toBe('InvalidRequest');
    expect(codeOf(await put({ 'x-amz-sdk-checksum-algorithm': 'CRC32' }))).toBe('InvalidRequest');
  });

  async function stream(
    form: string,
    options: Parameters<typeof streamingPut>[3],
    more: Record<string, string> = {},
    body?: (framed: Buffer) => Buffer,
  ) {
    const built = streamingPut(harness, data, form, options, more);
    const framed = body?.(built.body) ?? built.body;
    const client = new RawClient(harness.port);
    const lines = Object.entries(built.headers).map(([name, value]) => `${name}: ${value}\r\n`);
    client.send(`PUT ${built.target} HTTP/1.1\r\ncontent-length: ${framed.length}\r\n${lines.join('')}\r\n`);
    for (let at = 0; at < framed.length; at += 9999) client.send(framed.subarray(at, at + 9999));
    const response = await client.receive();
    client.destroy();
    return response;
  }
  const crc = digestNow(['crc64nvme'], data).crc64nvme?.toString('base64') ?? '';
  const trailer = [['x-amz-checksum-crc64nvme', crc]] as const;
  const SIGNED = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD';

  test('all streaming forms', async () => {
    const signed = await stream(SIGNED, { chunkBytes: 65_536, signed: true });
    expect(signed.headers['etag']).toBe(`"${md5.toString('hex')}"`);
    expect(signed.headers['x-announced']).toBe('200000');
    const withTrailer = await stream(`${SIGNED}-TRAILER`, { chunkBytes: 65_536, signed: true, trailer });
    expect(withTrailer.headers['x-amz-checksum-crc64nvme']).toBe(crc);
    const unsigned = await stream('STREAMING-UNSIGNED-PAYLOAD-TRAILER', {
      chunkBytes: 8192,
      signed: false,
      trailer,
    });
    expect(unsigned.headers['x-amz-checksum-crc64nvme']).toBe(crc);
    const ecdsa = await stream('STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD', {
      chunkBytes: 65_536,
      signed: true,
    });
    expect(codeOf(ecdsa)).toBe('NotImplemented');
  });

  test('aws-chunked that is not announced as a stream', async () => {
    expect(codeOf(await put({ 'content-encoding': 'gzip,aws-chunked' }))).toBe('InvalidRequest');
    expect((await put({ 'content-encoding': 'gzip' })).status).toBe(200);
  });

  test('streaming with faults', async () => {
    const options = { chunkBytes: 65_536, signed: true };
    const unsignedForm = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
    const flip = (framed: Buffer) => {
      const copy = Buffer.from(framed);
      copy[70_000] = (copy[70_000] ?? 0) ^ 1;
      return copy;
    };
    expect(codeOf(await stream(SIGNED, options, {}, flip))).toBe('SignatureDoesNotMatch');
    expect(codeOf(await stream(unsignedForm, { chunkBytes: 65_536, signed: false, trailer }, {}, flip))).toBe(
      'BadDigest',
    );
    expect(codeOf(await stream(SIGNED, options, {}, (framed) => framed.subarray(0, -90)))).toBe(
      'IncompleteBody',
    );
    expect(codeOf(await stream(SIGNED, options, { 'x-amz-decoded-content-length': '199999' }))).toBe(
      'IncompleteBody',
    );
    expect(codeOf(await stream(SIGNED, options, { 'x-amz-trailer': 'x-amz-checksum-crc32' }))).toBe(
      'InvalidRequest',
    );
    expect(
      codeOf(
        await stream(unsignedForm, { ...options, signed: false, trailer: [['x-amz-checksum-md5', 'x']] }),
      ),
    ).toBe('InvalidRequest');
    const missing = await ask({ method: 'PUT', path: '/bucket/k', payloadHash: SIGNED }, 'x');
    expect(`${missing.status} ${codeOf(missing)}`).toBe('411 MissingContentLength');
  });

  test('Transfer-Encoding: chunked, and no length at all', async () => {
    const client = new RawClient(harness.port);
    client.send(
      head(harness, { method: 'PUT', path: '/bucket/k', headers: { 'transfer-encoding': 'chunked' } }),
    );
    client.send('3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n');
    const response = await client.receive();
    expect(response.headers['x-bytes']).toBe('5');
    expect(response.headers['x-announced']).toBe('undefined');
    client.send(head(harness, { method: 'PUT', path: '/bucket/k' }));
    const none = await client.receive();
    expect(`${none.status} ${codeOf(none)}`).toBe('411 MissingContentLength');
    client.destroy();
  });

  test('documents: bound, digests', async () => {
    const post = (body: string, headers: Record<string, string> = {}, hash?: string) =>
      ask(
        {
          method: 'POST',
          path: '/bucket',
          query: [['delete', '']],
          headers,
          ...(hash && { payloadHash: hash }),
        },
        body,
      );
    expect((await post('hello')).body.toString()).toBe('<D>5</D>');
    expect(codeOf(await post('x'.repeat(1001)))).toBe('MaxMessageLengthExceeded');
    expect(codeOf(await post('hello', { 'content-md5': createHash('md5').digest('base64') }))).toBe(
      'BadDigest',
    );
    expect(codeOf(await post('hello', {}, sha256Hex('other')))).toBe('XAmzContentSHA256Mismatch');
    const crc32 = digestNow(['crc32'], Buffer.from('hello')).crc32?.toString('base64') ?? '';
    expect((await post('hello', { 'x-amz-checksum-crc32': crc32 })).status).toBe(200);
    expect(codeOf(await post('hello', { 'x-amz-checksum-crc32': 'AAAAAA==' }))).toBe('BadDigest');
  });

  test('Expect: 100-continue is answered when the body is wanted, and not before a refusal', async () => {
    const client = new RawClient(harness.port);
    const request = {
      method: 'PUT',
      path: '/bucket/k',
      headers: { expect: '100-continue', 'content-length': '3' },
    };
    client.send(head(harness, request));
    expect((await client.receive()).status).toBe(100);
    client.send('abc');
    expect((await client.receive()).status).toBe(200);
    client.send(head(harness, request, Date.now() - 3_600_000));
    const refused = await client.receive();
    expect(codeOf(refused)).toBe('RequestTimeTooSkewed');
    expect(refused.headers['connection']).toBe('close');
    await client.waitClosed();
  });
});

describe('answers', () => {
  test('object bodies from pooled memory arrive whole, on one connection', async () => {
    const client = new RawClient(harness.port);
    for (let i = 0; i < 3; i++) {
      client.send(head(harness, { method: 'GET', path: '/bucket/k' }));
      const response = await client.receive();
      expect(response.headers['content-length']).toBe('3000000');
      expect(response.body.equals(big)).toBe(true);
    }
    client.send(head(harness, { method: 'GET', path: '/bucket/empty' }));
    expect((await client.receive()).headers['content-length']).toBe('0');
    client.destroy();
  });

  test('a body that fails or ends early on its way ends the connection', async () => {
    await expect(ask({ method: 'GET', path: '/bucket/breaks' })).rejects.toThrow('short body');
    await expect(ask({ method: 'GET', path: '/bucket/short' })).rejects.toThrow('short body');
    const early = await ask({ method: 'GET', path: '/bucket/breaks-at-once' });
    expect(`${early.status} ${codeOf(early)}`).toBe('500 InternalError');
  });

  test("errors are AWS's XML; internal ones say nothing of the inside and are logged", async () => {
    const missing = await ask({ method: 'GET', path: '/bucket/missing' });
    expect(missing.status).toBe(404);
    expect(missing.headers['content-type']).toBe('application/xml');
    const requestId = missing.headers['x-amz-request-id'] ?? '';
    expect(requestId).toMatch(/^[0-9A-F]{16}$/);
    expect(missing.body.toString()).toBe(
      `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Key>missing</Key><Resource>/bucket/missing</Resource><RequestId>${requestId}</RequestId><HostId>${missing.headers['x-amz-id-2']}</HostId></Error>`,
    );
    const internal = await ask({ method: 'GET', path: '/bucket/internal' });
    expect(`${internal.status} ${codeOf(internal)}`).toBe('500 InternalError');
    expect(internal.body.toString()).not.toContain('secret detail');
    expect(harness.logLines.join('')).toContain('secret detail');
    const grid = await ask({ method: 'GET', path: '/bucket/grid' });
    expect(`${grid.status} ${codeOf(grid)}`).toBe('503 ServiceUnavailable');
    expect(grid.body.toString()).not.toContain('10.0.0.7');
    const unchanged = await ask({ method: 'GET', path: '/bucket/unchanged' });
    expect(unchanged.status).toBe(304);
    expect(unchanged.headers['etag']).toBe('"x"');
  });

  test('HEAD has no body, also with an error', async () => {
    const client = new RawClient(harness.port);
    client.send(head(harness, { method: 'HEAD', path: '/bucket/k' }));
    expect((await client.receive(true)).headers['content-length']).toBe('12345');
    client.send(head(harness, { method: 'HEAD', path: '/bucket/k', query: [['policy', '']] }));
    expect((await client.receive(true)).status).toBe(501);
    client.send(head(harness, { method: 'DELETE', path: '/bucket/k' }));
    expect((await client.receive()).status).toBe(204);
    client.send(head(harness, { method: 'GET', path: '/' }));
    expect((await client.receive()).body.toString()).toBe('<Buckets/>');
    client.destroy();
  });

  test('header values: text beyond latin-1 as UTF-8, control characters refused', async () => {
    const type = (value: string) =>
      ask({ method: 'GET', path: '/bucket/k', query: [['response-content-type', value]] });
    const utf8 = await type('text/é€');
    expect(Buffer.from(utf8.headers['content-type'] ?? '', 'latin1').toString()).toBe('text/é€');
    const injected = await type('a\r\nx-evil: 1');
    expect(injected.headers['x-evil']).toBeUndefined();
    expect(codeOf(injected)).toBe('InvalidArgument');
  });

  test('deferred answers: at once, with white space, and as an error', async () => {
    const complete = (key: string, uploadId: string) =>
      ask({ method: 'POST', path: `/bucket/${key}`, query: [['uploadId', uploadId]] }, '<C/>');
    const quick = await complete('k', 'quick');
    expect(quick.headers['content-length']).toBeDefined();
    expect(quick.body.toString()).toContain('<Done/>');
    const quickError = await complete('bad', 'quick');
    expect(`${quickError.status} ${codeOf(quickError)}`).toBe('400 InvalidPart');
    const slow = await complete('k', 'slow');
    expect(slow.body.toString()).toMatch(/^<\?xml version="1.0" encoding="UTF-8"\?>\n {2,}<Done\/>$/);
    const slowError = await complete('bad', 'slow');
    expect(slowError.status).toBe(200);
    expect(slowError.body.toString()).toMatch(/^<\?xml [^>]*>\n +<Error><Code>InvalidPart<\/Code>/);
  });

  test("CompleteMultipartUpload's checksum header is about the object, not the document", async () => {
    const request = {
      method: 'POST',
      path: '/bucket/k',
      query: [['uploadId', 'quick']] as const,
      headers: { 'x-amz-checksum-crc32': 'AAAAAA==' },
    };
    expect((await ask(request, '<C/>')).status).toBe(200);
  });

  test('presigned requests', async () => {
    const client = new RawClient(harness.port);
    const get = async (target: string) => {
      client.send(`GET ${target} HTTP/1.1\r\nHost: ${harness.host}\r\n\r\n`);
      return client.receive();
    };
    expect((await get(presigned(harness, 'GET', '/bucket'))).body.toString()).toBe('<L>bucket</L>');
    const expired = await get(presigned(harness, 'GET', '/bucket', 5, Date.now() - 6000));
    expect(expired.status).toBe(403);
    expect(expired.body.toString()).toContain('<Message>Request has expired</Message>');
    expect(harness.logLines.join('')).not.toContain('X-Amz-Signature');
    client.destroy();
  });

  test('health without a signature, everything else not', async () => {
    const client = new RawClient(harness.port);
    const plain = async (line: string, bodiless = false) => {
      client.send(`${line} HTTP/1.1\r\nHost: x\r\n\r\n`);
      return client.receive(bodiless);
    };
    for (const path of ['/health/live', '/health/ready', '/minio/health/live', '/minio/health/ready']) {
      expect((await plain(`GET ${path}`)).status).toBe(200);
      expect((await plain(`HEAD ${path}`, true)).status).toBe(200);
    }
    const anonymous = await plain('GET /bucket/k');
    expect(`${anonymous.status} ${codeOf(anonymous)}`).toBe('403 AccessDenied');
    client.destroy();
  });

  test('requests are recorded once each', async () => {
    const before = harness.records.length;
    await ask({ method: 'PUT', path: '/bucket/k' }, 'hello');
    await sleepMs(20);
    const record = harness.records[before];
    expect(harness.records.length).toBe(before + 1);
    expect(record).toMatchObject({ operation: 'PutObject', status: 200, bytesIn: 5, bytesOut: 0 });
  });
});
