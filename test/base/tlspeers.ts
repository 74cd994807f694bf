/** Servers and clients for the tests of the transport, and an openssl that knows ML-DSA where the machine has one. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { type ConnectionOptions, connect, createServer, type Server, type TlsOptions } from 'node:tls';
import { AsnConvert } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  Certificate,
  Name,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
} from '@peculiar/asn1-x509';
import { type TlsIdentity, tlsIdentity } from '../../src/base/tls/identity.ts';

const OPENSSL_MINOR_MIN = 5;

/** HOLDFAST_TEST_OPENSSL names one; else that of the PATH, when it is 3.5 or later. */
export const openssl = findOpenssl();

function findOpenssl(): string | undefined {
  const command = process.env['HOLDFAST_TEST_OPENSSL'] ?? 'openssl';
  const { stdout } = spawnSync(command, ['version'], { encoding: 'utf8' });
  const [, major, minor] = /^OpenSSL (\d+)\.(\d+)/.exec(stdout ?? '') ?? [];
  const isNew = Number(major) > 3 || (Number(major) === 3 && Number(minor) >= OPENSSL_MINOR_MIN);
  return isNew ? command : undefined;
}

/** The identity of a seed that follows from a name. */
export function identityOf(name: string): Promise<TlsIdentity> {
  return tlsIdentity(createHash('sha256').update(name).digest());
}

export interface TestServer {
  readonly server: Server;
  readonly port: number;
  /** Handshake failures, in order. */
  readonly failures: string[];
  /** Connections that came through their handshake. */
  accepted: number;
  close(): Promise<void>;
}

/** Says "welcome" to whoever comes through the handshake. */
export async function startServer(options: TlsOptions): Promise<TestServer> {
  const server = createServer(options);
  const failures: string[] = [];
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const test: TestServer = {
    server,
    port: (server.address() as { port: number }).port,
    failures,
    accepted: 0,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
  server.on('tlsClientError', (error) =>
    failures.push((error as NodeJS.ErrnoException).code ?? error.message),
  );
  server.on('secureConnection', (socket) => {
    test.accepted += 1;
    socket.on('error', () => undefined);
    socket.end('welcome');
  });
  return test;
}

/** What a client with any options gets: the text before the end, or the code of the error. */
export function attempt(port: number, options: ConnectionOptions): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options });
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on('close', () => resolve(text));
  });
}

/** What `openssl s_client` says when it has connected, or could not. */
export function sClient(port: number, args: readonly string[]): Promise<string> {
  const child = spawn(openssl!, ['s_client', '-connect', `127.0.0.1:${port}`, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let said = '';
  child.stdout.on('data', (chunk) => {
    said += chunk.toString();
  });
  child.stderr.on('data', (chunk) => {
    said += chunk.toString();
  });
  return new Promise((resolve) => child.on('close', () => resolve(said)));
}

/** What is not of the transport: a self-signed certificate with ECDSA on P-384. */
export function ecdsaCertificate(): { readonly certificate: string; readonly key: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const signatureAlgorithm = new AlgorithmIdentifier({ algorithm: '1.2.840.10045.4.3.3' });
  const tbsCertificate = new TBSCertificate({
    serialNumber: Uint8Array.of(1).buffer,
    signature: signatureAlgorithm,
    issuer: new Name([]),
    subject: new Name([]),
    validity: new Validity({ notBefore: new Date('2025-01-01'), notAfter: new Date('2049-01-01') }),
    subjectPublicKeyInfo: AsnConvert.parse(
      publicKey.export({ type: 'spki', format: 'der' }),
      SubjectPublicKeyInfo,
    ),
  });
  const signature = sign('sha384', Buffer.from(AsnConvert.serialize(tbsCertificate)), privateKey);
  const signatureValue = Uint8Array.from(signature).buffer;
  const certificate = new Certificate({ tbsCertificate, signatureAlgorithm, signatureValue });
  const base64 = Buffer.from(AsnConvert.serialize(certificate)).toString('base64');
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${base64.match(/.{1,64}/g)?.join('\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
