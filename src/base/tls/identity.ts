/**
 * Who a node or a gateway is on the wire: an ML-DSA-87 key pair, kept as its 32-byte seed (design/keys.md, "Signatures and identities").
 * What others pin is its fingerprint, the SHA-384 of the public key's SubjectPublicKeyInfo (2,614 bytes of DER).
 *
 * A node keeps its seed in a file of its own, mode 0600, made once and never replaced:
 *
 *   { "product": "holdfast", "kind": "identity", "format": 1, "seed": …32 in hex }
 *
 * A gateway's seed is in its bundle. A file that everybody may read is refused; one that its group may read is a warning.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { encodeDocument, hexField, invalidFile, parseDocument } from '../document.ts';
import { createFileDurably, fileExposure } from '../durablefile.ts';
import type { Random } from '../random.ts';

export const SEED_BYTES = 32;
const IDENTITY_FORMAT = 1;
const IDENTITY_MODE = 0o600;
const KIND = 'identity';

export interface TlsIdentity {
  readonly certificatePem: string;
  /** PKCS #8. Secret. */
  readonly keyPem: string;
  /** 48 bytes. */
  readonly fingerprint: Buffer;
}

/** SHA-384 of the SubjectPublicKeyInfo: 48 bytes. */
export function fingerprintOf(publicKey: KeyObject): Buffer {
  return createHash('sha384')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest();
}

/** The key pair of a 32-byte seed, and a fresh certificate for it. What makes certificates is loaded at the first call (35 ms). */
export async function tlsIdentity(seed: Uint8Array): Promise<TlsIdentity> {
  const { selfSignedCertificate } = await import('./certificate.ts');
  const key = createPrivateKey({
    key: Buffer.from(seed.buffer, seed.byteOffset, seed.byteLength),
    format: 'raw-seed',
    asymmetricKeyType: 'ml-dsa-87',
  });
  return {
    certificatePem: selfSignedCertificate(key),
    keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    fingerprint: fingerprintOf(createPublicKey(key)),
  };
}

export interface IdentityFile {
  readonly seed: Buffer;
  readonly warnings: readonly string[];
}

/** @throws DataDirectoryInvalid naming the file, FormatTooNew; undefined when there is none */
export async function loadIdentityFile(path: string): Promise<IdentityFile | undefined> {
  let text: string;
  let exposure: Awaited<ReturnType<typeof fileExposure>>;
  try {
    exposure = await fileExposure(path);
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw invalidFile(path, `cannot be read (${message})`, cause);
  }
  if (exposure === 'others') {
    throw invalidFile(
      path,
      `holds a secret key and is open to every user of this machine; run chmod 600 ${path}`,
    );
  }
  const warnings =
    exposure === 'group'
      ? [`${path} holds a secret key and is open to its group; chmod 600 would close it`]
      : [];
  const { seed } = parseDocument(text, path, KIND, IDENTITY_FORMAT);
  return { seed: hexField(seed, SEED_BYTES, 'seed', path), warnings };
}

/** Makes a new seed and keeps it; durable when it resolves. @throws DataDirectoryInvalid when the file exists or cannot be written */
export async function createIdentityFile(path: string, random: Random): Promise<IdentityFile> {
  const seed = random.bytes(SEED_BYTES);
  const text = encodeDocument(KIND, IDENTITY_FORMAT, { seed: seed.toString('hex') });
  try {
    await createFileDurably(path, text, IDENTITY_MODE);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why =
      code === 'EEXIST' ? 'is already there and is never replaced' : `cannot be written (${message})`;
    throw invalidFile(path, why, cause);
  }
  return { seed, warnings: [] };
}
