/**
 * S3 over TLS: reads certificate and key, and checks that they fit before they are used, so that a reload with half a
 * renewal on disk leaves the old pair in place. TLS 1.2 and later; node offers the hybrid post-quantum groups first.
 */
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { HoldfastError } from '../base/errors.ts';

export interface TlsFiles {
  /** PEM, the server's certificate first, then its chain. */
  readonly certPath: string;
  /** PEM. */
  readonly keyPath: string;
}

export interface TlsPair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** @throws ConfigInvalid that names the file */
export async function readTlsPair(files: TlsFiles): Promise<TlsPair> {
  const cert = await readPem(files.certPath, 'certificate');
  const key = await readPem(files.keyPath, 'key');
  try {
    createSecureContext({ cert, key });
  } catch (cause) {
    throw new HoldfastError('ConfigInvalid', {
      detail: `The TLS certificate ${files.certPath} and the key ${files.keyPath} are not a valid pair.`,
      cause,
    });
  }
  return { cert, key };
}

async function readPem(path: string, what: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new HoldfastError('ConfigInvalid', { detail: `The TLS ${what} ${path} cannot be read.`, cause });
  }
}
