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
import { createFileDurably, fileExposure } from '../durablefile.ts';
import { HoldfastError } from '../errors.ts';
import type { Random } from '../random.ts';

export const SEED_BYTES = 32;
const IDENTITY_FORMAT = 1;
const IDENTITY_MODE = 0o600;
const SEED_PATTERN = new RegExp(`^[0-9a-f]{${SEED_BYTES * 2}}$`);

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
    throw invalid(path, `cannot be read (${message})`, cause);
  }
  if (exposure === 'others') {
    throw invalid(
      path,
      `holds a secret key and is open to every user of this machine; run chmod 600 ${path}`,
    );
  }
  const warnings =
    exposure === 'group'
      ? [`${path} holds a secret key and is open to its group; chmod 600 would close it`]
      : [];
  return { seed: parseIdentity(text, path), warnings };
}

/** Makes a new seed and keeps it; durable when it resolves. @throws DataDirectoryInvalid when the file exists or cannot be written */
export async function createIdentityFile(path: string, random: Random): Promise<IdentityFile> {
  const seed = random.bytes(SEED_BYTES);
  const document = {
    product: 'holdfast',
    kind: 'identity',
    format: IDENTITY_FORMAT,
    seed: seed.toString('hex'),
  };
  try {
    await createFileDurably(path, `${JSON.stringify(document, null, 2)}\n`, IDENTITY_MODE);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why =
      code === 'EEXIST' ? 'is already there and is never replaced' : `cannot be written (${message})`;
    throw invalid(path, why, cause);
  }
  return { seed, warnings: [] };
}

function parseIdentity(text: string, path: string): Buffer {
  let document: Record<string, unknown>;
  try {
    document = Object(JSON.parse(text));
  } catch {
    // The parser's message quotes the text, and the text holds a secret.
    throw invalid(path, 'is not JSON');
  }
  const { product, kind, format, seed } = document;
  if (product !== 'holdfast' || kind !== 'identity') throw invalid(path, 'is not an identity of Holdfast');
  if (!Number.isInteger(format) || Number(format) < 1) throw invalid(path, '"format" is not a whole number');
  if (Number(format) > IDENTITY_FORMAT) {
    throw new HoldfastError('FormatTooNew', {
      detail: `${path}: format ${format} was written by a newer Holdfast; this one reads up to ${IDENTITY_FORMAT}`,
    });
  }
  if (typeof seed !== 'string' || !SEED_PATTERN.test(seed)) {
    throw invalid(path, `"seed" is not ${SEED_BYTES * 2} lower-case hexadecimal digits`);
  }
  const bytes = Buffer.alloc(SEED_BYTES);
  bytes.write(seed, 'hex');
  return bytes;
}

function invalid(path: string, why: string, cause?: unknown): HoldfastError {
  return new HoldfastError('DataDirectoryInvalid', { detail: `${path}: ${why}`, cause });
}
