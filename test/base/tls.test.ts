/** The transport between our own gateways and nodes: one way to connect, and everything else is refused (design/keys.md, "Transport"). */
import { spawnSync } from 'node:child_process';
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect, createServer, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { hasCode } from '../../src/base/errors.ts';
import { dialTls } from '../../src/base/tls/dial.ts';
import { type TlsIdentity, tlsIdentity } from '../../src/base/tls/identity.ts';
import {
  checkedTransport,
  clientContext,
  peerFingerprint,
  serverOptions,
} from '../../src/base/tls/options.ts';
import { listen } from '../../src/node/server/listener.ts';
import {
  attempt,
  ecdsaCertificate,
  identityOf,
  openssl,
  sClient,
  startServer,
  type TestServer,
} from './tlspeers.ts';

const skipped = openssl ? '' : ' (skipped: no openssl 3.5; HOLDFAST_TEST_OPENSSL may name one)';
const folder = mkdtempSync(join(tmpdir(), 'holdfast-tls-'));
let node: TlsIdentity;
let gateway: TlsIdentity;
let server: TestServer;
beforeAll(async () => {
  node = await identityOf('node');
  gateway = await identityOf('gateway');
  server = await startServer(serverOptions(node));
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

const ours = (identity: TlsIdentity): ConnectionOptions => ({ secureContext: clientContext(identity) });

/** Our options with something else in place of one of them. */
const but = (changes: ConnectionOptions): ConnectionOptions => {
  const { cert, key, minVersion, maxVersion, ecdhCurve, sigalgs, ciphers } = serverOptions(gateway);
  return { cert, key, minVersion, maxVersion, ecdhCurve, sigalgs, ciphers, ...changes } as ConnectionOptions;
};

describe('certificates', () => {
  it('carry an ML-DSA-87 key as RFC 9881 says, signed by itself', () => {
    const certificate = new X509Certificate(node.certificatePem);
    const algorithm = Buffer.from('300b0609608648016503040313', 'hex');
    const places = certificate.raw.toString('latin1').split(algorithm.toString('latin1')).length - 1;
    expect(places).toBe(3);
    expect(certificate.publicKey.asymmetricKeyType).toBe('ml-dsa-87');
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.checkPrivateKey(createPrivateKey(node.keyPem))).toBe(true);
    expect(certificate.validTo).toBe('Dec 31 23:59:59 9999 GMT');
  });

  it('are a vessel only: the fingerprint is that of the seed, whichever certificate carries it', async () => {
    const seed = Buffer.from(Array.from({ length: 32 }, (_, i) => i));
    const [first, second] = [await tlsIdentity(seed), await tlsIdentity(seed)];
    expect(first.certificatePem).not.toBe(second.certificatePem);
    expect(first.fingerprint).toEqual(second.fingerprint);
    const spki = new X509Certificate(first.certificatePem).publicKey.export({ type: 'spki', format: 'der' });
    expect(spki.length).toBe(2614);
    expect(first.fingerprint).toEqual(createHash('sha384').update(spki).digest());
    expect(first.fingerprint.toString('hex')).toBe(
      'c2b01ce5e9125381f5733f7935af8d24b272b30c8606bfd679849f9ee02b9a993da3110ea304ba2bcb4690ec412635da',
    );
  });

  it.skipIf(!openssl)(`are read and verified by openssl${skipped}`, () => {
    const path = join(folder, 'node.pem');
    writeFileSync(path, node.certificatePem);
    const run = (...args: string[]) => spawnSync(openssl!, args, { encoding: 'utf8' });
    const text = run('x509', '-in', path, '-noout', '-text').stdout;
    expect(text).toContain('Version: 3 (0x2)');
    expect(text).toContain('Signature Algorithm: ML-DSA-87');
    expect(text).toContain('ML-DSA-87 Public-Key');
    expect(text).toContain('Not After : Dec 31 23:59:59 9999 GMT');
    const verified = run('verify', '-check_ss_sig', '-CAfile', path, path);
    expect(verified.stdout).toContain(': OK');
    const strange = readFileSync(path, 'utf8').split('\n');
    strange[40] = [...strange[40]!].reverse().join('');
    writeFileSync(path, strange.join('\n'));
    expect(run('verify', '-check_ss_sig', '-CAfile', path, path).status).not.toBe(0);
  });
});

describe('a connection', () => {
  it('has the group, cipher and version that are required, and both identities', async () => {
    const seen = new Promise<Buffer | undefined>((resolve) =>
      server.server.once('secureConnection', (socket) => resolve(peerFingerprint(socket))),
    );
    const target = { host: '127.0.0.1', port: server.port, context: clientContext(gateway) };
    const { socket, transport, fingerprint } = await dialTls({ ...target, fingerprint: node.fingerprint });
    expect(transport).toBe('tls SecP384r1MLKEM1024');
    expect(fingerprint).toEqual(node.fingerprint);
    expect(await seen).toEqual(gateway.fingerprint);
    socket.destroy();
  });

  it('is not made to a node with another identity than the pinned one', async () => {
    const target = { host: '127.0.0.1', port: server.port, context: clientContext(gateway) };
    const error = await dialTls({ ...target, fingerprint: gateway.fingerprint }).catch((reason) => reason);
    expect(hasCode(error, 'IdentityMismatch')).toBe(true);
    expect(error.message).toMatch(/^node 127\.0\.0\.1:\d+: its identity is \S{47}, pinned is \S{47}$/);
  });

  it('is never resumed', async () => {
    const sessions: Buffer[] = [];
    const first = connect({
      host: '127.0.0.1',
      port: server.port,
      rejectUnauthorized: false,
      ...ours(gateway),
    });
    first.on('session', (session) => sessions.push(session));
    await new Promise((resolve) => first.resume().on('close', resolve));
    for (const session of sessions) {
      const again = connect({
        ...{ host: '127.0.0.1', port: server.port, rejectUnauthorized: false, session },
        ...ours(gateway),
      });
      await new Promise((resolve) => again.once('secureConnect', resolve));
      expect(again.isSessionReused()).toBe(false);
      await new Promise((resolve) => again.resume().on('close', resolve));
    }
  });

  it('fails with address and reason where nobody listens, and when given up', async () => {
    const target = { host: '127.0.0.1', context: clientContext(gateway), fingerprint: node.fingerprint };
    const closed = await startServer(serverOptions(node));
    await closed.close();
    await expect(dialTls({ ...target, port: closed.port })).rejects.toThrow(
      `node 127.0.0.1:${closed.port}: no TLS connection (connect ECONNREFUSED`,
    );
    const reason = new Error('enough');
    const controller = new AbortController();
    const dialling = dialTls({ ...target, port: server.port }, controller.signal);
    controller.abort(reason);
    await expect(dialling).rejects.toBe(reason);
  });
});

describe('a server refuses', () => {
  const refused: [string, () => ConnectionOptions][] = [
    ['X25519', () => but({ ecdhCurve: 'X25519' })],
    ['X25519MLKEM768', () => but({ ecdhCurve: 'X25519MLKEM768' })],
    ['P-384', () => but({ ecdhCurve: 'P-384' })],
    [
      'TLS 1.2',
      () => but({ minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', ciphers: 'DEFAULT', sigalgs: undefined }),
    ],
    ['AES-128', () => but({ ciphers: 'TLS_AES_128_GCM_SHA256' })],
    ['ChaCha20', () => but({ ciphers: 'TLS_CHACHA20_POLY1305_SHA256' })],
    [
      'a client that takes ECDSA signatures only',
      () => but({ sigalgs: 'ecdsa_secp384r1_sha384', cert: undefined, key: undefined }),
    ],
    [
      'a client that takes ML-DSA-65 only',
      () => but({ sigalgs: 'mldsa65', cert: undefined, key: undefined }),
    ],
  ];
  it.each(refused)('%s', async (_name, options) => {
    const accepted = server.accepted;
    const failures = server.failures.length;
    expect(await attempt(server.port, options())).toMatch(/^ERR_SSL_|^ECONNRESET$/);
    expect(server.accepted).toBe(accepted);
    expect(server.failures.length).toBe(failures + 1);
  });

  const withOpenssl: [string, string[]][] = [
    ['X25519', ['-tls1_3', '-groups', 'X25519']],
    ['X25519MLKEM768', ['-tls1_3', '-groups', 'X25519MLKEM768']],
    ['TLS 1.2', ['-tls1_2']],
    ['AES-128', ['-tls1_3', '-groups', 'SecP384r1MLKEM1024', '-ciphersuites', 'TLS_AES_128_GCM_SHA256']],
  ];
  it.skipIf(!openssl).each(withOpenssl)(`openssl s_client with %s${skipped}`, async (_name, args) => {
    const before = server.accepted;
    expect(await sClient(server.port, args)).toMatch(/alert (handshake failure|protocol version)/);
    expect(server.accepted).toBe(before);
  });

  it.skipIf(!openssl)(`nothing of openssl s_client with our parameters${skipped}`, async () => {
    writeFileSync(join(folder, 'g.pem'), gateway.certificatePem);
    writeFileSync(join(folder, 'g.key'), gateway.keyPem);
    const files = ['-cert', join(folder, 'g.pem'), '-key', join(folder, 'g.key')];
    const said = await sClient(server.port, ['-tls1_3', '-groups', 'SecP384r1MLKEM1024', ...files]);
    expect(said).toContain('Negotiated TLS1.3 group: SecP384r1MLKEM1024');
    expect(said).toContain('Peer signature type: mldsa87');
    expect(said).toContain('TLS_AES_256_GCM_SHA384');
    expect(said).toContain('welcome');
  });
});

describe('the listener of a node', () => {
  async function listening(admitted: Buffer) {
    const tls = createServer(serverOptions(node));
    const listener = await listen(
      {
        ...{ server: tls, transport: 'tls', connectionsMax: 10, clock: systemClock },
        fingerprintOf: peerFingerprint,
        openSession: ({ fingerprint }) =>
          fingerprint?.equals(admitted) ? { handle: () => 1, close: () => undefined } : undefined,
        onError: () => undefined,
      },
      { host: '127.0.0.1', port: 0 },
    );
    return { listener, port: (tls.address() as { port: number }).port };
  }

  it('serves who is pinned, and closes on an identity that is not, on an ECDSA certificate and on none', async () => {
    const { listener, port } = await listening(gateway.fingerprint);
    const replyTo = async (options: ConnectionOptions) => {
      const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options });
      socket.on('error', () => undefined);
      socket.write('*1\r\n$4\r\nPING\r\n');
      const reply = await new Promise<string>((resolve) => {
        socket.on('data', (chunk) => resolve(chunk.toString()));
        socket.on('close', () => resolve('closed'));
      });
      socket.destroy();
      return reply;
    };
    expect(await replyTo(ours(gateway))).toBe(':1\r\n');
    expect(await replyTo(ours(await identityOf('stranger')))).toBe('closed');
    expect(await replyTo(but({ cert: undefined, key: undefined }))).toBe('closed');
    const { certificate, key } = ecdsaCertificate();
    expect(await replyTo(but({ cert: certificate, key, sigalgs: undefined }))).toBe('closed');
    await listener.close();
  });

  it('lets a client through its handshake before it refuses it: only a reply says that it was admitted', async () => {
    const { listener, port } = await listening(gateway.fingerprint);
    const context = clientContext(await identityOf('stranger'));
    const { socket } = await dialTls({ host: '127.0.0.1', port, context, fingerprint: node.fingerprint });
    socket.on('error', () => undefined);
    socket.write('*1\r\n$4\r\nPING\r\n');
    expect(await firstReply(socket)).toBe('closed');
    await listener.close();
  });
});

function firstReply(socket: TLSSocket): Promise<string> {
  return new Promise((resolve) => {
    socket.on('data', (chunk) => resolve(chunk.toString()));
    socket.on('close', () => resolve('closed'));
  });
}

describe('a client refuses', () => {
  const weaker: [string, Record<string, unknown>][] = [
    ['a server with X25519MLKEM768', { ecdhCurve: 'X25519MLKEM768' }],
    ['a server with TLS 1.2', { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', ciphers: 'DEFAULT' }],
  ];
  it.each(weaker)('%s', async (_name, changes) => {
    const weak = await startServer({ ...serverOptions(node), ...changes });
    const target = { host: '127.0.0.1', port: weak.port, context: clientContext(gateway) };
    await expect(dialTls({ ...target, fingerprint: node.fingerprint })).rejects.toThrow('no TLS connection');
    expect(weak.accepted).toBe(0);
    await weak.close();
  });

  it('a server with an ECDSA certificate', async () => {
    const { certificate, key } = ecdsaCertificate();
    const weak = await startServer({ cert: certificate, key, ecdhCurve: 'SecP384r1MLKEM1024' });
    const target = { host: '127.0.0.1', port: weak.port, context: clientContext(gateway) };
    await expect(dialTls({ ...target, fingerprint: undefined })).rejects.toThrow('no TLS connection');
    expect(weak.accepted).toBe(0);
    await weak.close();
  });

  it('a connection whose group turns out to be another one, and says which', async () => {
    const weak = await startServer({ ...serverOptions(node), ecdhCurve: 'X25519MLKEM768' });
    const socket = connect({
      ...{ host: '127.0.0.1', port: weak.port, rejectUnauthorized: false },
      ...but({ ecdhCurve: 'X25519MLKEM768' }),
    });
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    expect(() => checkedTransport(socket)).toThrow(
      'the connection has TLSv1.3 X25519MLKEM768 TLS_AES_256_GCM_SHA384; only TLSv1.3 SecP384r1MLKEM1024',
    );
    socket.destroy();
    await weak.close();
  });
});
