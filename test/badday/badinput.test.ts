/**
 * Wrong requests against the real server: each gets its error, the object that was there stays, and when all of them have been sent no buffer
 * is missing and no fragment is left behind.
 */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MIB } from '../../src/base/units.ts';
import { createDigest } from '../../src/coding/digest.ts';
import type { DigestAlgorithm } from '../../src/coding/digests.ts';
import { TestS3 } from '../harness/s3.ts';
import { type RunningServer, runCommand, startServer, waitUntil } from '../harness/server.ts';
import { codeOf, RawRequests } from './rawclient.ts';
import { body, removeData, scrubOf, statusOf } from './support.ts';

let server: RunningServer;
let s3: TestS3;
let raw: RawRequests;
const old = body(300_000, 1);
const other = body(3 * MIB, 2);
const path = '/input/old';

beforeAll(async () => {
  server = await startServer({ flags: ['--log-level', 'error'] });
  s3 = new TestS3(server);
  raw = new RawRequests(server);
  await s3.ok('PUT', '/input');
  await s3.ok('PUT', path, { body: old });
});

afterAll(async () => {
  await server?.stop('SIGKILL');
  if (server) removeData(server.data);
});

function put(headers: Record<string, string>, payloadHash?: string): string {
  const length = { 'content-length': String(other.length) };
  return raw.head({
    method: 'PUT',
    path,
    headers: { ...length, ...headers },
    ...(payloadHash ? { payloadHash } : {}),
  });
}

async function expectRefused(head: string, sent: Uint8Array | string, status: number, code: string) {
  const reply = await raw.exchange(head, sent);
  expect([reply.status, codeOf(reply)]).toEqual([status, code]);
}

const checksums = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const;
/** Right for `old`, and so wrong for `other`. */
function wrongChecksum(algorithm: (typeof checksums)[number]): string {
  const digest = createDigest(algorithm.toLowerCase() as DigestAlgorithm);
  digest.update(old);
  return digest.digest().toString('base64');
}

describe('refused', () => {
  test('a wrong signature', async () => {
    const head = put({}).replace(/Signature=[0-9a-f]{8}/, 'Signature=00000000');
    await expectRefused(head, other, 403, 'SignatureDoesNotMatch');
  });

  test('a header changed after signing', async () => {
    const head = put({ 'x-amz-meta-colour': 'red' }).replace('colour: red', 'colour: blue');
    await expectRefused(head, other, 403, 'SignatureDoesNotMatch');
  });

  test('a body that is not the signed one', async () => {
    const hash = createHash('sha256').update(old).digest('hex');
    await expectRefused(put({}, hash), other, 400, 'XAmzContentSHA256Mismatch');
  });

  test('a Content-MD5 of something else, or of nothing', async () => {
    const md5 = createHash('md5').update(old).digest('base64');
    await expectRefused(put({ 'content-md5': md5 }), other, 400, 'BadDigest');
    await expectRefused(put({ 'content-md5': 'AAAA' }), other, 400, 'InvalidDigest');
  });

  test.each(checksums)('a wrong %s in a header', async (algorithm) => {
    const name = `x-amz-checksum-${algorithm.toLowerCase()}`;
    await expectRefused(put({ [name]: wrongChecksum(algorithm) }), other, 400, 'BadDigest');
  });

  test.each(checksums)('a wrong %s in a trailer, signed or not', async (algorithm) => {
    const trailer = [[`x-amz-checksum-${algorithm.toLowerCase()}`, wrongChecksum(algorithm)]] as const;
    const forms = [
      ['STREAMING-UNSIGNED-PAYLOAD-TRAILER', false],
      ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', true],
    ] as const;
    for (const [form, signed] of forms) {
      const sent = raw.streaming(path, other, form, { chunkBytes: 65_536, signed, trailer });
      await expectRefused(sent.head(sent.body.length), sent.body, 400, 'BadDigest');
    }
  });

  test('a chunk that was altered on the way', async () => {
    const form = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD';
    const sent = raw.streaming(path, other, form, { chunkBytes: 65_536, signed: true });
    const at = sent.body.length - 70_000;
    sent.body[at] = (sent.body[at] ?? 0) ^ 1;
    await expectRefused(sent.head(sent.body.length), sent.body, 403, 'SignatureDoesNotMatch');
  });

  test.each([
    ['shorter', -1],
    ['longer', 1],
  ])('a chunked body %s than announced', async (_name, more) => {
    const form = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
    const trailer = [['x-amz-checksum-crc32', 'AAAAAA==']] as const;
    const options = { chunkBytes: 65_536, signed: false, trailer };
    const sent = raw.streaming(path, other, form, options, other.length - more);
    const reply = await raw.exchange(sent.head(sent.body.length), sent.body);
    expect(reply.status).toBe(400);
    expect(['IncompleteBody', 'InvalidRequest', 'BadDigest']).toContain(codeOf(reply));
  });

  test('truncated chunk framing', async () => {
    const form = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD';
    const sent = raw.streaming(path, other, form, { chunkBytes: 65_536, signed: true });
    for (const cutBytes of [1, 40, 80, 1000, other.length - 10]) {
      const part = sent.body.subarray(0, sent.body.length - cutBytes);
      const reply = await raw.exchange(sent.head(part.length), part);
      expect([reply.status, codeOf(reply)], `cut by ${cutBytes}`).toEqual([400, 'IncompleteBody']);
    }
  });

  test('oversized headers', async () => {
    const head = put({ 'x-amz-meta-long': 'x'.repeat(20_000) });
    await expectRefused(head, '', 400, 'RequestHeaderSectionTooLarge');
    await expectRefused(put({ 'x-amz-meta-long': 'x'.repeat(2500) }), other, 400, 'MetadataTooLarge');
  });

  test('oversized and hostile XML', async () => {
    const post = (sent: string, query: readonly (readonly [string, string])[]) => {
      const headers = {
        'content-length': String(Buffer.byteLength(sent)),
        'content-md5': createHash('md5').update(sent).digest('base64'),
      };
      return raw.exchange(raw.head({ method: 'POST', path: '/input', query, headers }), sent);
    };
    const entry = `<Object><Key>${'k'.repeat(1000)}</Key></Object>`;
    const big = await post(`<Delete>${entry.repeat(5000)}</Delete>`, [['delete', '']]);
    expect(big.status).toBe(400);
    const bomb = '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><Delete>&b;</Delete>';
    const hostile = await post(bomb, [['delete', '']]);
    expect([hostile.status, codeOf(hostile)]).toEqual([400, 'MalformedXML']);
  });

  test('more bytes than Content-Length: the rest is no request', async () => {
    const client = raw.open();
    const sent = body(1000, 3);
    client.send(raw.head({ method: 'PUT', path: '/input/exact', headers: { 'content-length': '1000' } }));
    client.send(Buffer.concat([sent, Buffer.from('and more of it\r\n\r\n')]));
    expect((await client.receive()).status).toBe(200);
    await client.waitClosed();
    expect((await s3.ok('GET', '/input/exact')).body.equals(sent)).toBe(true);
  });
});

test('connections cut in the middle of a body leave the old object', async () => {
  const cuts = Array.from({ length: 40 }, async (_, index) => {
    const client = raw.open();
    const bytes = Math.floor((other.length * index) / 40);
    if (index % 2 === 0) {
      client.send(put({}));
      client.send(other.subarray(0, bytes));
    } else {
      const form = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD';
      const sent = raw.streaming(path, other, form, { chunkBytes: 65_536, signed: true });
      client.send(sent.head(sent.body.length));
      client.send(sent.body.subarray(0, bytes));
    }
    await new Promise((resolve) => setTimeout(resolve, 20 + index * 5));
    if (index % 4 < 2) client.socket.resetAndDestroy();
    else client.destroy();
  });
  await Promise.all(cuts);
  expect((await s3.ok('GET', path)).body.equals(old)).toBe(true);
});

const descriptors = Number((await runCommand('sh', ['-c', 'ulimit -n'])).stdout);
const connections = Math.min(10_000, (descriptors || 10_000) - 2000);

test(`requests go on beside ${connections} open connections (ulimit -n ${descriptors})`, async () => {
  const sockets: Awaited<ReturnType<typeof raw.socket>>[] = [];
  try {
    while (sockets.length < connections) {
      const batch = Array.from({ length: 250 }, () => raw.socket());
      for (const socket of await Promise.all(batch)) {
        socket.on('error', () => undefined);
        if (sockets.length % 2 === 0) socket.write('GET / HTTP/1.1\r\nhost: x\r\nx-slow: ');
        sockets.push(socket);
      }
    }
    for (let i = 0; i < 20; i++) {
      await s3.ok('PUT', `/input/beside/${i}`, { body: other.subarray(0, 100_000 + i) });
      expect((await s3.ok('GET', `/input/beside/${i}`)).body.length).toBe(100_000 + i);
    }
    expect(sockets.filter((socket) => socket.destroyed).length).toBe(0);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
});

test('after all that nothing is leaked, lost or left behind', async () => {
  const large = body(48 * MIB, 4);
  const puts = [0, 1, 2, 3].map((i) => s3.ok('PUT', `/input/large/${i}`, { body: large }));
  await Promise.all(puts);
  expect((await s3.ok('GET', '/input/large/3')).body.equals(large)).toBe(true);
  expect((await s3.ok('GET', path)).body.equals(old)).toBe(true);
  await scrubOf(server);
  expect(await scrubOf(server)).toMatchObject({ corrupt: 0, missing: 0, orphans: 0, unrepairable: 0 });
  await waitUntil(async () => (await statusOf(server)).healing.tombs === 0, 20_000);
  expect((await statusOf(server)).health).toBe('ok');
  const list = (await s3.ok('GET', '/input', { query: { 'list-type': '2', prefix: 'old' } })).body.toString();
  expect(list).toContain(`<Size>${old.length}</Size>`);
  expect(list).toContain('<KeyCount>1</KeyCount>');
});
