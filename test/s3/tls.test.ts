/** S3 over TLS: serving, reloading, and refusing half a renewal. Certificates are made by openssl at test time. */
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, describe, expect, test } from 'vitest';
import { pattern } from '../objects/world.ts';
import { Endpoint } from './endpoint.ts';
import { type Harness, head, start } from './harness.ts';

function openssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const folder = mkdtempSync(join(tmpdir(), 'holdfast-tls-'));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);

function makePair(name: string): void {
  const args = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
  ];
  execFileSync(
    'openssl',
    [...args, '-subj', `/CN=${name}`, '-keyout', at(`${name}.key`), '-out', at(`${name}.crt`)],
    { stdio: 'ignore' },
  );
}

function install(cert: string, key: string): void {
  copyFileSync(at(`${cert}.crt`), at('server.crt'));
  copyFileSync(at(`${key}.key`), at('server.key'));
}

async function ask(harness: Harness): Promise<{ subject: string; text: string; protocol: string }> {
  const socket: TLSSocket = connect({ port: harness.port, host: '127.0.0.1', rejectUnauthorized: false });
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  const certificate = new X509Certificate(socket.getPeerCertificate().raw);
  const protocol = socket.getProtocol() ?? '';
  socket.write(head(harness, { method: 'GET', path: '/', headers: { connection: 'close' } }));
  let text = '';
  for await (const piece of socket) text += String(piece);
  return { subject: certificate.subject, text, protocol };
}

describe.skipIf(!openssl())('TLS (needs the openssl command)', () => {
  test('serves, takes a new pair on reload, keeps the old one when the new is not a pair', async () => {
    makePair('first');
    makePair('second');
    install('first', 'first');
    const harness = await start([], { tls: { certPath: at('server.crt'), keyPath: at('server.key') } });
    try {
      const first = await ask(harness);
      expect(first.subject).toBe('CN=first');
      expect(first.protocol).toBe('TLSv1.3');
      expect(first.text).toContain('<Buckets/>');
      install('second', 'first');
      await harness.server.reloadTls();
      expect((await ask(harness)).subject).toBe('CN=first');
      expect(harness.logLines.join('')).toContain('not reloaded');
      writeFileSync(at('server.crt'), 'half a certif');
      await harness.server.reloadTls();
      expect((await ask(harness)).subject).toBe('CN=first');
      install('second', 'second');
      await harness.server.reloadTls();
      expect((await ask(harness)).subject).toBe('CN=second');
    } finally {
      await harness.close();
    }
  });

  test('large bodies and answers go by TLS, none past it', async () => {
    makePair('large');
    const tls = { certPath: at('large.crt'), keyPath: at('large.key') };
    const endpoint = await Endpoint.start({ tls });
    try {
      const bytes = pattern(9 * 1024 * 1024 + 7);
      const port = endpoint.harness.port;
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
      socket.write(endpoint.putHead({ key: 'k', bytes }));
      socket.write(bytes);
      socket.write(endpoint.head('GET', '/bucket/absent'));
      await once(socket, 'data');
      await endpoint.idle();
      await endpoint.expectStored('k', bytes);
      socket.destroy();
      const reading = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
      reading.write(endpoint.head('GET', '/bucket/k', { connection: 'close' }));
      const answer = Buffer.concat(await reading.toArray());
      expect(answer.subarray(answer.indexOf('\r\n\r\n') + 4).equals(bytes)).toBe(true);
    } finally {
      await endpoint.close();
    }
  });

  test('files that are not there, or no pair, are a clear error at start', async () => {
    makePair('third');
    makePair('fourth');
    const missing = start([], { tls: { certPath: at('nowhere.crt'), keyPath: at('third.key') } });
    await expect(missing).rejects.toThrow('nowhere.crt cannot be read');
    const mixed = start([], { tls: { certPath: at('third.crt'), keyPath: at('fourth.key') } });
    await expect(mixed).rejects.toMatchObject({ code: 'ConfigInvalid' });
  });
});
