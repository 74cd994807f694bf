/** `holdfast buckets`: what it lists, what it sets, and the setting that says what new buckets get. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BucketReport } from '../../src/admin/report.ts';
import { callServer } from '../../src/cli/controlclient.ts';
import { renderBuckets } from '../../src/cli/render/buckets.ts';
import { failedStart, linesOf, removeData } from '../badday/support.ts';
import { TestS3 } from '../harness/s3.ts';
import { holdfast, type RunningServer, startServer, temporaryDirectory } from '../harness/server.ts';

let server: RunningServer;
const online = (...args: string[]) => holdfast([...args, '--data', server.data]);

beforeAll(async () => {
  server = await startServer({ flags: ['--log-level', 'error'] });
  const s3 = new TestS3(server);
  await s3.ok('PUT', '/cli');
  await s3.ok('PUT', '/cli/object', { body: Buffer.alloc(100_000, 1) });
});
afterAll(async () => {
  await server?.stop('SIGKILL');
  if (server) removeData(server.data);
});

describe('with a server', () => {
  test('buckets are listed as text and as JSON', async () => {
    const text = await online('buckets', 'list');
    expect(text.code).toBe(0);
    const [head, line, ...rest] = text.stdout.split('\n');
    expect(head).toMatch(/^BUCKET +CREATED +OBJECTS +SIZE +ETAG$/);
    expect(line).toMatch(/^cli +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ +1 +97\.7 KiB +md5$/);
    expect(rest).toEqual(['']);
    const buckets = JSON.parse((await online('buckets', 'list', '--json')).stdout) as BucketReport[];
    const createdMs = expect.any(Number);
    expect(buckets).toEqual([{ name: 'cli', createdMs, objects: 1, bytes: 100_000, etag: 'md5' }]);
  });

  test('a bucket is set to opaque ETags and back, for what is written afterwards', async () => {
    const s3 = new TestS3(server);
    const etagOf = async (path: string) => (await s3.ok('HEAD', path)).headers.get('etag') ?? '';
    await s3.ok('PUT', '/set.by-hand');
    await s3.ok('PUT', '/set.by-hand/before', { body: 'before' });
    const before = await etagOf('/set.by-hand/before');
    expect(await online('buckets', 'set', 'set.by-hand', '--etag', 'opaque')).toMatchObject({
      code: 0,
      stdout: 'the ETag of what is written to set.by-hand from now on is opaque\n',
      stderr: '',
    });
    expect((await s3.ok('HEAD', '/set.by-hand')).headers.get('x-holdfast-etag')).toBe('opaque');
    expect((await s3.ok('PUT', '/set.by-hand/after', { body: 'after' })).headers.get('etag')).toMatch(/-0"$/);
    expect(await etagOf('/set.by-hand/before')).toBe(before);
    expect((await online('buckets', 'list')).stdout).toMatch(/^set\.by-hand .* opaque$/m);
    const back = await online('buckets', 'set', 'set.by-hand', '--etag', 'md5', '--json');
    expect([back.code, JSON.parse(back.stdout)]).toEqual([0, { name: 'set.by-hand', etag: 'md5' }]);
    await s3.ok('PUT', '/set.by-hand/after', { body: 'before' });
    expect(await etagOf('/set.by-hand/after')).toBe(before);
    for (const key of ['before', 'after']) await s3.ok('DELETE', `/set.by-hand/${key}`);
    await s3.ok('DELETE', '/set.by-hand');
  });

  test.each(['nobody', '../nodes/1/stop', 'ü'])('a bucket %s that is not there is code 1', async (name) => {
    const result = await online('buckets', 'set', name, '--etag', 'opaque');
    expect([result.code, linesOf(result)]).toEqual([
      1,
      [`holdfast: there is no bucket ${name}; holdfast buckets list shows them`],
    ]);
  });

  test('the control socket takes no kind of ETag that it does not know', async () => {
    const call = callServer({ data: server.data }, 'POST', '/buckets/cli', { etag: 'sha1' });
    await expect(call).rejects.toMatchObject({
      code: 'InvalidArgument',
      message: 'ETags are "md5" or "opaque", not "sha1"',
    });
  });

  test('without buckets only the head of the list is printed', () => {
    expect(renderBuckets([], { colour: false })).toBe('BUCKET  CREATED  OBJECTS  SIZE  ETAG');
  });
});

describe('a server whose new buckets are opaque', () => {
  test('makes them so, unless the request says otherwise; what was there stays', async () => {
    const data = join(temporaryDirectory(), 'data');
    const first = await startServer({ data, flags: ['--log-level', 'error'] });
    await new TestS3(first).ok('PUT', '/earlier');
    await first.stop();
    const environment = { HOLDFAST_S3_ETAG: 'opaque' };
    const second = await startServer({ data, flags: ['--log-level', 'error'], environment });
    try {
      await new TestS3(second).ok('PUT', '/later');
      const listed = await holdfast(['buckets', 'list', '--json', '--data', data]);
      const buckets = JSON.parse(listed.stdout) as BucketReport[];
      expect(buckets.map(({ name, etag }) => [name, etag])).toEqual([
        ['earlier', 'md5'],
        ['later', 'opaque'],
      ]);
    } finally {
      await second.stop('SIGKILL');
      removeData(data);
    }
  });

  test('is refused by name when the setting is another', async () => {
    const data = join(temporaryDirectory(), 'data');
    const result = await failedStart(data, [], { HOLDFAST_S3_ETAG: 'sha1' });
    expect(result.code).toBe(2);
    expect(linesOf(result)).toEqual([
      'holdfast: environment HOLDFAST_S3_ETAG: "sha1" is not one of md5, opaque',
    ]);
  });
});
