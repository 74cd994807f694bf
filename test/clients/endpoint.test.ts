/**
 * The endpoint as a newcomer, an operator and plain tools meet it: credentials from the environment, the printed commands, virtual-host
 * style, TLS with a certificate that is replaced under the running server, probes, presigned URLs and 100-continue with curl.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { connect } from 'node:tls';
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type RunningServer,
  runCommand,
  startServer,
  temporaryDirectory,
  waitUntil,
} from '../harness/server.ts';
import { awsEnvironment, client, has, missing } from './matrix.ts';

const DOMAIN = 'storage.example.test';
const noCurl = missing({ curl: has('curl') });
const noOpenssl = missing({ openssl: has('openssl', ['version']), aws: has('aws') });
const noClients = missing({ aws: has('aws'), rclone: has('rclone', ['version']) });
const why = (reason: string | undefined) => (reason === undefined ? '' : ` (${reason})`);

describe('an endpoint with keys from the environment', () => {
  const environment = { HOLDFAST_ACCESS_KEY: 'newcomer', HOLDFAST_SECRET_KEY: 'a secret of the newcomer' };
  let server: RunningServer;
  let s3: S3Client;
  beforeAll(async () => {
    server = await startServer({ environment, flags: ['--s3-domain', DOMAIN, '--log-level', 'warn'] });
    s3 = sdk(server, server.endpoint, true);
    await s3.send(new CreateBucketCommand({ Bucket: 'by-hand' }));
  });
  afterAll(async () => {
    s3?.destroy();
    expect(await server?.stop()).toBe(0);
  });

  test('the keys are taken and never written down', async () => {
    const { Buckets } = await s3.send(new ListBucketsCommand({}));
    expect(Buckets?.map(({ Name }) => Name)).toEqual(['by-hand']);
    expect(existsSync(join(server.data, 'credentials.json'))).toBe(false);
    expect(server.output()).not.toContain(environment.HOLDFAST_SECRET_KEY);
  });

  test.skipIf(noClients !== undefined)(`the printed commands work when pasted${why(noClients)}`, async () => {
    const commands = server.output().match(/^ {2}\S*(AWS|RCLONE)_.*$/gm) ?? [];
    expect(commands).toHaveLength(2);
    for (const command of commands) await client('bash', ['-c', command], environment);
    const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket: 'first-bucket' }));
    expect(Contents?.map(({ Key }) => Key)).toEqual(['README.md']);
  });

  test('probes answer without a signature, everything else is refused', async () => {
    for (const path of ['/minio/health/live', '/minio/health/ready', '/health/live', '/health/ready']) {
      expect((await fetch(server.endpoint + path)).status, path).toBe(200);
    }
    for (const [method, path] of [
      ['GET', '/'],
      ['GET', '/by-hand'],
      ['GET', '/by-hand/key'],
      ['PUT', '/by-hand/key'],
      ['DELETE', '/by-hand'],
    ] as const) {
      const reply = await fetch(server.endpoint + path, { method });
      expect(reply.status, `${method} ${path}`).toBe(403);
      expect(await reply.text()).toContain('<Code>AccessDenied</Code>');
    }
  });

  for (const host of ['localhost', DOMAIN, `s3.${DOMAIN}`]) {
    test(`virtual-host style below ${host}`, async () => {
      const virtual = sdk(server, `http://${host}:${server.port}`, false);
      const Bucket = `bucket-of-${host}`;
      await virtual.send(new CreateBucketCommand({ Bucket }));
      await virtual.send(new PutObjectCommand({ Bucket, Key: 'a/b c', Body: host }));
      const reply = await virtual.send(new GetObjectCommand({ Bucket, Key: 'a/b c' }));
      expect(await reply.Body?.transformToString()).toBe(host);
      expect(reply.$metadata.httpStatusCode).toBe(200);
      const same = await s3.send(new GetObjectCommand({ Bucket, Key: 'a/b c' }));
      expect(await same.Body?.transformToString()).toBe(host);
      virtual.destroy();
    });
  }

  test.skipIf(noCurl !== undefined)(
    `curl: presigned PUT that waits for 100-continue, presigned GET${why(noCurl)}`,
    async () => {
      const file = join(temporaryDirectory(), 'body');
      const body = randomBytes(9_000_000);
      writeFileSync(file, body);
      const where = { Bucket: 'by-hand', Key: 'by curl' };
      const put = await getSignedUrl(s3, new PutObjectCommand(where), { expiresIn: 60 });
      const expecting = ['-sS', '-v', '-H', 'Expect: 100-continue', '--expect100-timeout', '30'];
      const sent = await client('curl', [...expecting, '-f', '-T', file, put]);
      expect(sent.stderr).toMatch(/< HTTP\/1\.1 100 Continue[\s\S]*< HTTP\/1\.1 200 OK/);
      const get = await getSignedUrl(s3, new GetObjectCommand(where), { expiresIn: 60 });
      await client('curl', ['-sSf', '-o', `${file}.back`, get]);
      expect(readFileSync(`${file}.back`).equals(body)).toBe(true);
      const refused = await runCommand('curl', [...expecting, '-T', file, put.replace('curl', 'hand')]);
      expect(refused.stdout).toContain('<Code>SignatureDoesNotMatch</Code>');
      expect(refused.stderr).not.toContain('100 Continue');
    },
  );
});

describe(`an endpoint with TLS and MinIO's variables${why(noOpenssl)}`, () => {
  const environment = { MINIO_ROOT_USER: 'minioadmin', MINIO_ROOT_PASSWORD: 'minioadmin-secret' };

  test.skipIf(noOpenssl !== undefined)(
    'the AWS CLI trusts its certificate; SIGHUP takes a new one up, and no broken one',
    async () => {
      const folder = temporaryDirectory();
      const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
      await makeCertificate(cert, key);
      const flags = ['--tls-cert', cert, '--tls-key', key, '--log-level', 'warn'];
      const server = await startServer({ environment, flags });
      try {
        expect(server.endpoint).toMatch(/^https:/);
        const aws = (...args: string[]) =>
          client('aws', ['--endpoint-url', server.endpoint, '--ca-bundle', cert, 's3', ...args], {
            ...awsEnvironment(server),
          });
        await aws('mb', 's3://over-tls');
        await aws('cp', '--no-progress', key, 's3://over-tls/file');
        const first = await servedCertificate(server.port);

        writeFileSync(cert, 'half a certificate');
        server.process.kill('SIGHUP');
        await waitUntil(() => /not a valid pair/.test(server.output()), 10_000, server.output);
        expect(await servedCertificate(server.port)).toBe(first);

        await makeCertificate(cert, key);
        server.process.kill('SIGHUP');
        await waitUntil(async () => (await servedCertificate(server.port)) !== first, 10_000, server.output);
        expect((await aws('ls', 's3://over-tls')).stdout).toContain('file');
      } finally {
        expect(await server.stop()).toBe(0);
      }
    },
  );
});

/** Every name leads to this machine, whatever its resolver makes of subdomains of localhost. */
function sdk(server: RunningServer, endpoint: string, forcePathStyle: boolean): S3Client {
  const httpAgent = new Agent({
    lookup: (_host, options, callback) =>
      options.all === true
        ? callback(null, [{ address: '127.0.0.1', family: 4 }])
        : callback(null, '127.0.0.1', 4),
  });
  const { accessKeyId, secretAccessKey } = server;
  return new S3Client({
    ...{ endpoint, forcePathStyle, region: 'us-east-1', requestHandler: { httpAgent } },
    credentials: { accessKeyId, secretAccessKey },
  });
}

/** Writes both files beside their places first, as certificate tools do. */
async function makeCertificate(cert: string, key: string): Promise<void> {
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const subject = ['-subj', '/CN=holdfast', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
  await client('openssl', [...request, ...subject, '-keyout', `${key}.new`, '-out', `${cert}.new`]);
  renameSync(`${key}.new`, key);
  renameSync(`${cert}.new`, cert);
}

/** SHA-256 of the certificate that a new connection is shown. */
function servedCertificate(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}
