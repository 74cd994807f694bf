/** Buckets with opaque ETags over the wire: the real server on the real object layer. */
import { createHash } from 'node:crypto';
import { S3 } from '@aws-sdk/client-s3';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operations } from '../../../src/s3/operations/index.ts';
import { S3Server } from '../../../src/s3/server.ts';
import { createWorld, type World } from '../../objects/world.ts';
import { crc32Base64, md5Hex } from '../call.ts';
import { amzDate, signHeader } from '../signer.ts';

const keys = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'a secret for tests' };
const opaque = /^"[0-9a-f]{32}-0"$/;
const PART_BYTES = 5 * 1024 ** 2;
let world: World;
let server: S3Server;
let host: string;
let sdk: S3;

beforeAll(async () => {
  world = await createWorld({ chunksPerStripe: 64 });
  server = new S3Server({
    operations,
    objects: world.service,
    credentials: {
      find: (id) =>
        id === keys.accessKeyId ? { ...keys, ownerId: 'a'.repeat(64), displayName: 'owner' } : undefined,
    },
    log: pino({ level: 'silent' }),
    ready: () => true,
  });
  const { port } = await server.listen('127.0.0.1', 0);
  host = `127.0.0.1:${port}`;
  const options = { credentials: keys, region: 'us-east-1', forcePathStyle: true, maxAttempts: 1 };
  sdk = new S3({ ...options, endpoint: `http://${host}` });
  for (const kind of ['opaque', 'md5']) await ok('PUT', `/${kind}`, { headers: { 'x-holdfast-etag': kind } });
});
afterAll(async () => {
  sdk.destroy();
  await server.close({ graceMs: 0 });
  await world.close();
});

interface Request {
  readonly query?: readonly (readonly [string, string])[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

async function send(method: string, path: string, request: Request = {}) {
  const { query = [], headers = {}, body } = request;
  const signed = signHeader(
    { method, path, query, headers: { ...headers, host } },
    { keys, dateTime: amzDate(Date.now()) },
  );
  const { host: _, ...sent } = signed.headers;
  const reply = await fetch(`http://${host}${signed.target}`, {
    method,
    headers: sent,
    ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> | string }),
  });
  const text = await reply.text();
  const code = /<Code>([^<]*)</.exec(text)?.[1];
  return { status: reply.status, headers: reply.headers, text, code, etag: reply.headers.get('etag') ?? '' };
}

async function ok(...args: Parameters<typeof send>) {
  const reply = await send(...args);
  if (reply.status >= 300) throw new Error(`${args[0]} ${args[1]}: ${reply.status} ${reply.text}`);
  return reply;
}

const headed = async (bucket: string) => (await ok('HEAD', `/${bucket}`)).headers.get('x-holdfast-etag');
const md5Base64 = (body: Uint8Array | string) => createHash('md5').update(body).digest('base64');

describe('x-holdfast-etag', () => {
  test('is taken by CreateBucket and answered by HeadBucket where it is opaque', async () => {
    expect(await headed('opaque')).toBe('opaque');
    expect(await headed('md5')).toBeNull();
    await ok('PUT', '/unsaid');
    expect(await headed('unsaid')).toBeNull();
    await ok('PUT', '/capitals', { headers: { 'x-holdfast-etag': 'Opaque' } });
    expect(await headed('capitals')).toBe('opaque');
  });

  test('of another kind makes no bucket', async () => {
    for (const value of ['', 'sha256', 'opaque, md5']) {
      const reply = await send('PUT', '/never', { headers: { 'x-holdfast-etag': value } });
      expect([reply.status, reply.code]).toEqual([400, 'InvalidArgument']);
      expect(reply.text).toContain('must be md5 or opaque');
    }
    expect((await send('HEAD', '/never')).status).toBe(404);
  });

  test('is refused by name where it means nothing', async () => {
    const headers = { 'x-holdfast-etag': 'opaque' };
    const reply = await send('PUT', '/md5/key', { headers, body: 'x' });
    expect([reply.status, reply.code]).toEqual([501, 'NotImplemented']);
    expect(reply.text).toContain('x-holdfast-etag');
  });
});

describe('an object in an opaque bucket', () => {
  test.each([0, 5, 50_000, 2_000_000])(
    'of %i bytes has an opaque ETag wherever one is shown',
    async (size) => {
      const body = Buffer.alloc(size, 'body');
      const { etag } = await ok('PUT', '/opaque/shown', { body });
      expect(etag).toMatch(opaque);
      expect((await ok('PUT', '/opaque/shown2', { body })).etag).not.toBe(etag);
      expect((await ok('HEAD', '/opaque/shown')).etag).toBe(etag);
      const got = await ok('GET', '/opaque/shown');
      expect([got.etag, got.text]).toEqual([etag, body.toString()]);
      const shown = etag.replaceAll('"', '&quot;');
      for (const query of [[['list-type', '2']], [['prefix', 'shown']]] as const) {
        expect((await ok('GET', '/opaque', { query })).text).toContain(`<ETag>${shown}</ETag>`);
      }
      const headers = { 'x-amz-object-attributes': 'ETag' };
      const attributes = await ok('GET', '/opaque/shown', { query: [['attributes', '']], headers });
      expect(attributes.text).toContain(`<ETag>${etag.slice(1, -1)}</ETag>`);
      expect((await ok('PUT', '/md5/shown', { body })).etag).toBe(`"${md5Hex(body)}"`);
    },
  );

  test.each([0, 5, 50_000, 2_000_000])('of %i bytes is held against Content-MD5', async (size) => {
    const body = Buffer.alloc(size, 'x');
    const put = (claimed: string) =>
      send('PUT', '/opaque/claimed', { body, headers: { 'content-md5': claimed } });
    const wrong = await put(md5Base64(Buffer.from('something else')));
    expect([wrong.status, wrong.code]).toEqual([400, 'BadDigest']);
    expect(wrong.text).toContain(md5Base64(body));
    expect((await send('HEAD', '/opaque/claimed')).status).toBe(404);
    expect((await put('nonsense')).code).toBe('InvalidDigest');
    expect((await put(md5Base64(body))).etag).toMatch(opaque);
    await ok('DELETE', '/opaque/claimed');
  });

  test.each([5, 2_000_000])('of %i bytes is held against its checksum, which is stored', async (size) => {
    const body = 'y'.repeat(size);
    const put = (value: string) =>
      send('PUT', '/opaque/checked', { body, headers: { 'x-amz-checksum-crc32': value } });
    expect((await put(crc32Base64('z'))).code).toBe('BadDigest');
    expect((await put(crc32Base64(body))).etag).toMatch(opaque);
    const head = await ok('HEAD', '/opaque/checked', { headers: { 'x-amz-checksum-mode': 'ENABLED' } });
    expect(head.headers.get('x-amz-checksum-crc32')).toBe(crc32Base64(body));
    const sha256 = createHash('sha256').update(body).digest('base64');
    const both = { 'x-amz-checksum-sha256': sha256, 'content-md5': md5Base64('other') };
    expect((await send('PUT', '/opaque/checked', { body, headers: both })).code).toBe('BadDigest');
  });

  test('is matched by If-Match and If-None-Match', async () => {
    const { etag } = await ok('PUT', '/opaque/matched', { body: 'first' });
    const status = async (method: string, headers: Record<string, string>, body?: string) =>
      (await send(method, '/opaque/matched', { headers, ...(body !== undefined && { body }) })).status;
    const md5 = `"${md5Hex('first')}"`;
    expect(await status('GET', { 'if-match': etag })).toBe(200);
    expect(await status('GET', { 'if-match': md5 })).toBe(412);
    expect(await status('GET', { 'if-none-match': etag })).toBe(304);
    expect(await status('GET', { 'if-none-match': md5 })).toBe(200);
    expect(await status('GET', { range: 'bytes=1-2', 'if-range': etag })).toBe(206);
    expect(await status('PUT', { 'if-none-match': '*' }, 'second')).toBe(412);
    expect(await status('PUT', { 'if-match': md5 }, 'second')).toBe(412);
    expect(await status('PUT', { 'if-match': etag }, 'second')).toBe(200);
    expect(await status('PUT', { 'if-match': etag }, 'third')).toBe(412);
    expect((await ok('GET', '/opaque/matched')).text).toBe('second');
  });

  test('follows what its bucket is set to when it is written', async () => {
    await ok('PUT', '/changing');
    const { etag } = await ok('PUT', '/changing/a', { body: 'a' });
    await world.buckets.setEtags('changing', 'opaque');
    expect(await headed('changing')).toBe('opaque');
    expect((await ok('HEAD', '/changing/a')).etag).toBe(etag);
    expect((await ok('PUT', '/changing/b', { body: 'b' })).etag).toMatch(opaque);
    await world.buckets.setEtags('changing', 'md5');
    expect(await headed('changing')).toBeNull();
    expect((await ok('PUT', '/changing/b', { body: 'b' })).etag).toBe(`"${md5Hex('b')}"`);
  });

  test('is copied with an ETag of the kind of the bucket that it goes to', async () => {
    await ok('PUT', '/opaque/source', { body: 'copied' });
    const copyTo = async (path: string) => {
      const { text } = await ok('PUT', path, { headers: { 'x-amz-copy-source': '/opaque/source' } });
      return text.replaceAll('&quot;', '"');
    };
    expect(await copyTo('/opaque/copy')).toMatch(/<ETag>"[0-9a-f]{32}-0"<\/ETag>/);
    expect(await copyTo('/md5/copy')).toContain(`<ETag>"${md5Hex('copied')}"</ETag>`);
  });
});

describe("AWS's SDK", () => {
  test('puts, lists and gets with the checksums it adds by itself', async () => {
    const Bucket = 'opaque';
    const put = await sdk.putObject({ Bucket, Key: 'sdk', Body: 'by the SDK' });
    expect(put.ETag).toMatch(opaque);
    expect(put.ChecksumCRC32).toBe(crc32Base64('by the SDK'));
    const listed = await sdk.listObjectsV2({ Bucket, Prefix: 'sdk' });
    expect(listed.Contents?.map(({ ETag }) => ETag)).toEqual([put.ETag]);
    const got = await sdk.getObject({ Bucket, Key: 'sdk', IfMatch: put.ETag, ChecksumMode: 'ENABLED' });
    expect([await got.Body?.transformToString(), got.ETag]).toEqual(['by the SDK', put.ETag]);
    const wrong = sdk.putObject({ Bucket, Key: 'sdk', Body: 'x', ContentMD5: md5Base64('y') });
    await expect(wrong).rejects.toMatchObject({ name: 'BadDigest' });
  });

  test('uploads parts, one of them copied, and completes', async () => {
    const Bucket = 'opaque';
    const Key = 'parts';
    const { UploadId } = await sdk.createMultipartUpload({ Bucket, Key });
    const upload = { Bucket, Key, UploadId };
    const bodies = [Buffer.alloc(PART_BYTES, 1), Buffer.from('the last part')];
    await ok('PUT', '/md5/part', { body: bodies[1] ?? '' });
    const first = await sdk.uploadPart({ ...upload, PartNumber: 1, Body: bodies[0] });
    const copied = await sdk.uploadPartCopy({ ...upload, PartNumber: 2, CopySource: 'md5/part' });
    const etags = [first.ETag ?? '', copied.CopyPartResult?.ETag ?? ''];
    for (const etag of etags) expect(etag).toMatch(opaque);
    const listed = await sdk.listParts(upload);
    expect(listed.Parts?.map(({ ETag }) => ETag)).toEqual(etags);
    const complete = (named: readonly string[]) => {
      const Parts = named.map((ETag, i) => ({ PartNumber: i + 1, ETag }));
      return sdk.completeMultipartUpload({ ...upload, MultipartUpload: { Parts } });
    };
    await expect(complete(etags.toReversed())).rejects.toMatchObject({ name: 'InvalidPart' });
    const done = await complete(etags);
    const raw = Buffer.concat(etags.map((etag) => Buffer.from(etag.slice(1, 33), 'hex')));
    expect(done.ETag).toBe(`"${createHash('md5').update(raw).digest('hex')}-2"`);
    const got = await sdk.getObject({ Bucket, Key });
    expect(got.ETag).toBe(done.ETag);
    const bytes = Buffer.from((await got.Body?.transformToByteArray()) ?? []);
    expect(bytes.equals(Buffer.concat(bodies))).toBe(true);
  });
});
