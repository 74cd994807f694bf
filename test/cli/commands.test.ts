/** Every command as a person or a script meets it: help, text, JSON, exit codes, and what is said when no server runs. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NodeReport, StatusReport } from '../../src/admin/report.ts';
import { kernelsReport } from '../../src/base/kernels.ts';
import { native } from '../../src/base/native.ts';
import { type Setting, settings } from '../../src/config/schema.ts';
import { version } from '../../src/config/version.ts';
import { failedStart, linesOf, removeData } from '../badday/support.ts';
import { TestS3 } from '../harness/s3.ts';
import {
  holdfast,
  type RunningServer,
  startServer,
  temporaryDirectory,
  waitUntil,
} from '../harness/server.ts';

const commands = [
  ['serve'],
  ['status'],
  ['scrub'],
  ['buckets'],
  ...['list', 'set'].map((verb) => ['buckets', verb]),
  ['nodes'],
  ...['list', 'stop', 'start', 'replace'].map((verb) => ['nodes', verb]),
];
let server: RunningServer;

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

const online = (...args: string[]) => holdfast([...args, '--data', server.data]);

describe('help and usage', () => {
  test.each(commands)('holdfast %s %s --help', async (...command) => {
    const result = await holdfast([...command.filter((word) => word !== undefined), '--help']);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toContain(
      `Usage: holdfast ${command.filter((word) => word !== undefined).join(' ')}`,
    );
  });

  test('holdfast --help names every command, --version the version', async () => {
    const help = await holdfast(['--help']);
    expect(help.code).toBe(0);
    for (const name of ['serve', 'status', 'scrub', 'buckets', 'nodes'])
      expect(help.stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
    expect(await holdfast(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n` });
  });

  test.each(['serve', 'node'] as const)('%s --help names every flag', async (command) => {
    const { stdout } = await holdfast([command, '--help']);
    for (const { flag, commands = ['serve'] } of Object.values(settings) as Setting[]) {
      if (flag !== undefined && commands.includes(command)) expect(stdout).toContain(`--${flag} `);
    }
  });

  test.each([
    [['bogus'], /unknown command 'bogus'/],
    [['serve', '--bogus'], /unknown option '--bogus'/],
    [['status', 'extra'], /too many arguments/],
    [['buckets', 'bogus'], /unknown command 'bogus'/],
    [['buckets', 'set', '--etag', 'md5'], /missing required argument 'name'/],
    [['buckets', 'set', 'cli'], /required option '--etag <kind>' not specified/],
    [['buckets', 'set', 'cli', '--etag', 'sha1'], /'sha1' is invalid.*md5, opaque/],
    [['nodes', 'bogus'], /unknown command 'bogus'/],
    [['nodes', 'stop'], /missing required argument 'id'/],
    [['nodes', 'stop', 'six'], /A node id is a number; "holdfast nodes list" shows them/],
    [['nodes', 'replace', '70000'], /A node id is a number/],
    [[], /Usage: holdfast/],
  ])('%j is refused with code 2 and says why', async (args, why) => {
    const result = await holdfast(args);
    expect(result.code).toBe(2);
    expect(result.stdout).toBe('');
    expect(result.stderr).toMatch(why);
  });

  test.each([
    [['--s3', 'nonsense'], /flag --s3: "nonsense" is not an address/],
    [['--admin', '9001'], /flag --admin: "9001" is not an address/],
    [['--data-fragments', '0'], /flag --data-fragments: .*between 1 and 254/],
    [['--parity-fragments', 'two'], /flag --parity-fragments: "two" is not a whole number/],
    [['--log-level', 'loud'], /flag --log-level: "loud" is not one of trace/],
    [['--tls-cert', '/nowhere.pem'], /flag --tls-cert: a certificate and a key are needed together/],
    [
      ['--tls-cert', '/nowhere.pem', '--tls-key', '/nowhere.key'],
      /TLS certificate \/nowhere\.pem cannot be read/,
    ],
    [['--config', '/nowhere.toml'], /\/nowhere\.toml: cannot be read/],
  ])('serve %j is refused with code 2 in one line', async (flags, why) => {
    const data = join(temporaryDirectory(), 'data');
    const result = await failedStart(data, flags);
    expect(linesOf(result)).toEqual([expect.stringMatching(why)]);
    expect(result.code).toBe(2);
    removeData(data);
  });

  test.each([
    ['sse9', /^holdfast: HOLDFAST_NATIVE is "sse9"; it may be auto, off, portable, .*neon$/],
    [process.arch === 'arm64' ? 'avx2' : 'neon', /^holdfast: .*which this processor does not run/],
  ])('HOLDFAST_NATIVE=%s is refused with code 2 in one line', async (wanted, why) => {
    if (wanted !== 'sse9' && native().addon === undefined) return;
    const data = join(temporaryDirectory(), 'data');
    const result = await failedStart(data, [], { HOLDFAST_NATIVE: wanted });
    expect(linesOf(result)).toEqual([expect.stringMatching(why)]);
    expect(result.code).toBe(2);
    expect(existsSync(data)).toBe(false);
  });

  test('a wrong setting in the environment is named, and makes no data directory', async () => {
    const data = join(temporaryDirectory(), 'data');
    const nodes = await failedStart(data, [], { HOLDFAST_GRID_NODES: 'many' });
    expect(nodes).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('environment HOLDFAST_GRID_NODES: "many"'),
    });
    expect(existsSync(data)).toBe(false);
    const half = await failedStart(data, [], { HOLDFAST_ACCESS_KEY: 'only-one-half' });
    expect(half).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('HOLDFAST_SECRET_KEY is not set'),
    });
    const short = await failedStart(data, [], { MINIO_ROOT_USER: 'someone', MINIO_ROOT_PASSWORD: 'short' });
    expect(short).toMatchObject({ code: 2, stderr: expect.stringContaining('needs at least 8 characters') });
    expect(short.stderr).not.toContain('short\n');
    removeData(data);
  });
});

describe('without a server', () => {
  test.each([
    ['status'],
    ['scrub'],
    ['buckets', 'list'],
    ['buckets', 'set', 'cli', '--etag', 'opaque'],
    ['nodes', 'list'],
    ['nodes', 'stop', '1'],
    ['nodes', 'start', '1'],
    ['nodes', 'replace', '1'],
  ])('%s %s %s %s %s says so and how to start one', async (...args) => {
    const data = temporaryDirectory();
    const result = await holdfast([...args.filter((word) => word !== undefined), '--data', data]);
    expect(result.code).toBe(1);
    expect(linesOf(result)).toEqual([
      `holdfast: no server runs on ${data}; start one with "holdfast serve", or name its directory with --data`,
    ]);
  });
});

describe('with a server', () => {
  test('status as text and as JSON', async () => {
    const text = await online('status');
    expect(text.code).toBe(0);
    for (const word of [
      'Objects',
      'Capacity',
      'Survives',
      'Stripes',
      'Healing',
      'Scrub',
      'NODE',
      server.endpoint,
    ]) {
      expect(text.stdout).toContain(word);
    }
    expect(text.stdout).not.toContain('\u001b');
    const report = JSON.parse((await online('status', '--json')).stdout) as StatusReport;
    expect(report).toMatchObject({
      version,
      health: 'ok',
      endpoint: server.endpoint,
      profile: { k: 4, m: 2 },
    });
    expect(report.kernels).toEqual(kernelsReport());
    expect(text.stdout).toContain(`Kernels   ${report.kernels.text}; codecs: `);
    expect(report.objects).toEqual({ count: 1, bytes: 100_000, buckets: 1 });
    expect(report.nodes.map((node) => node.id)).toEqual([1, 2, 3, 4, 5, 6]);
    for (const part of ['stripes', 'healing', 'scrub', 'capacity', 'survives', 'warnings'])
      expect(report).toHaveProperty(part);
  });

  test('scrub as text and as JSON', async () => {
    expect((await online('scrub')).stdout).toMatch(/^verified .*\nfound .*\nrepaired /);
    const result = JSON.parse((await online('scrub', '--json')).stdout) as object;
    expect(result).toMatchObject({ corrupt: 0, missing: 0, orphans: 0, unrepairable: 0, dryRun: false });
    const dry = JSON.parse((await online('scrub', '--dry-run', '--json')).stdout) as object;
    expect(dry).toMatchObject({ dryRun: true, rebuiltFragments: 0 });
  });

  test('nodes can be stopped, started and replaced; degraded is code 3', async () => {
    expect(await online('nodes', 'stop', '2')).toMatchObject({ code: 0, stdout: 'node 2 stopped\n' });
    const list = await online('nodes', 'list', '--json');
    expect(list.code).toBe(3);
    const nodes = JSON.parse(list.stdout) as NodeReport[];
    expect(nodes.find((node) => node.id === 2)).toMatchObject({ state: 'offline', admin: 'active' });
    expect((await online('status')).code).toBe(3);
    const started = await online('nodes', 'start', '2', '--json');
    expect([started.code, JSON.parse(started.stdout)]).toEqual([0, { id: 2, started: true }]);
    expect((await online('nodes', 'list')).code).toBe(0);
    const inUse = await online('nodes', 'replace', '2');
    expect([inUse.code, linesOf(inUse)]).toEqual([1, [expect.stringContaining('still holds a node')]]);
    const path = join(server.data, 'nodes', 'node-2b');
    const replaced = await online('nodes', 'replace', '2', '--path', path, '--json');
    expect([replaced.code, JSON.parse(replaced.stdout)]).toEqual([0, { id: 7, path }]);
    await waitUntil(async () => (await online('status')).code === 0, 20_000);
  });

  test.each(['stop', 'start', 'replace'])('nodes %s of a node that is not there is code 1', async (verb) => {
    const result = await online('nodes', verb, '99');
    expect([result.code, linesOf(result)]).toEqual([
      1,
      ['holdfast: there is no node 99; holdfast nodes list shows them'],
    ]);
  });

  test('the control socket is for its owner alone', () => {
    expect(statSync(join(server.data, 'control.sock')).mode & 0o777).toBe(0o600);
    expect(statSync(server.data).mode & 0o777).toBe(0o700);
    for (const name of [
      'bundle.json',
      'credentials.json',
      'format.json',
      'clients/aws.config',
      'clients/rclone.conf',
    ]) {
      expect(statSync(join(server.data, name)).mode & 0o777, name).toBe(0o600);
    }
  });
});

describe('the admin server', () => {
  test('/metrics is Prometheus text, line by line', async () => {
    const reply = await fetch(`${server.statusPage}/metrics`);
    expect(reply.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const text = await reply.text();
    expect(text.endsWith('\n')).toBe(true);
    const { kind, level } = kernelsReport();
    expect(text).toContain(`holdfast_kernels_info{kind="${kind}",level="${level}"} 1\n`);
    const typed = new Map<string, string>();
    const seen = new Set<string>();
    for (const line of text.split('\n')) {
      if (line === '' || /^# HELP [a-z_:][a-z0-9_:]* .+$/.test(line)) continue;
      const type = /^# TYPE ([a-z_:][a-z0-9_:]*) (counter|gauge|histogram|summary|untyped)$/.exec(line);
      if (type) {
        expect(typed.has(type[1] ?? ''), `${type[1]} is declared once`).toBe(false);
        typed.set(type[1] ?? '', type[2] ?? '');
        continue;
      }
      const label = '[a-z_][a-z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
      const sample = new RegExp(
        `^([a-z_:][a-z0-9_:]*)(\\{${label}(?:,${label})*\\})? (?:[-+]?\\d+(?:\\.\\d+)?(?:e[-+]?\\d+)?|NaN|[-+]Inf)$`,
        'i',
      ).exec(line);
      expect(sample, line).not.toBe(null);
      const series = `${sample?.[1]}${sample?.[2] ?? ''}`;
      expect(seen.has(series), `${series} is there once`).toBe(false);
      seen.add(series);
      const name = sample?.[1] ?? '';
      expect(
        typed.has(name) || typed.has(name.replace(/_(bucket|sum|count)$/, '')),
        `${name} has a type`,
      ).toBe(true);
    }
    expect(text).toMatch(/^holdfast_objects 1$/m);
    expect(text).toMatch(/^holdfast_nodes\{state="online"\} 6$/m);
    expect(text).toMatch(/^holdfast_s3_requests_total\{operation="PutObject",status="200"\} 1$/m);
  });

  test('answers GET and HEAD, refuses everything else, and says nothing of keys', async () => {
    const page = await fetch(server.statusPage);
    expect(page.status).toBe(200);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    const json = await (await fetch(`${server.statusPage}/status.json`)).text();
    expect(JSON.parse(json)).toMatchObject({ version });
    for (const text of [await page.text(), json]) {
      expect(text).not.toContain(server.secretAccessKey);
      expect(text).not.toContain(server.accessKeyId);
    }
    expect((await fetch(server.statusPage, { method: 'HEAD' })).status).toBe(200);
    expect((await fetch(`${server.statusPage}/nowhere`)).status).toBe(404);
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      for (const path of ['/', '/metrics', '/nodes/1/stop', '/scrub']) {
        const reply = await fetch(`${server.statusPage}${path}`, { method });
        expect([method, path, reply.status]).toEqual([method, path, 405]);
        expect(reply.headers.get('allow')).toBe('GET, HEAD');
      }
    }
  });
});
