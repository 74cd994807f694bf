/**
 * The root credentials of the S3 endpoint: from the environment (HOLDFAST_ACCESS_KEY and HOLDFAST_SECRET_KEY; where those are absent
 * MINIO_ROOT_USER and MINIO_ROOT_PASSWORD, so that people coming from MinIO need to change nothing), else from
 * `credentials.json`, which is made at the first start, mode 0600.
 */
import { readFile } from 'node:fs/promises';
import { createFileDurably } from '../base/durablefile.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { KIB } from '../base/units.ts';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** For the banner: where a person finds them. Never the secret itself. */
  readonly source: string;
}

const pairs = [
  ['HOLDFAST_ACCESS_KEY', 'HOLDFAST_SECRET_KEY'],
  ['MINIO_ROOT_USER', 'MINIO_ROOT_PASSWORD'],
] as const;
const SECRET_CHARACTERS_MIN = 8;
const FIELD_CHARACTERS_MAX = KIB;

/** @throws ConfigInvalid or DataDirectoryInvalid naming the variable, or the file and field */
export async function loadCredentials(
  file: string,
  environment: Readonly<Record<string, string | undefined>>,
  random: Random,
): Promise<Credentials> {
  for (const [accessName, secretName] of pairs) {
    const accessKeyId = environment[accessName] || undefined;
    const secretAccessKey = environment[secretName] || undefined;
    if (accessKeyId === undefined && secretAccessKey === undefined) continue;
    if (accessKeyId === undefined || secretAccessKey === undefined) {
      const missing = accessKeyId === undefined ? accessName : secretName;
      throw new HoldfastError('ConfigInvalid', {
        detail: `environment ${missing} is not set, but its other half is`,
      });
    }
    const problem = check(accessKeyId, secretAccessKey);
    if (problem)
      throw new HoldfastError('ConfigInvalid', {
        detail: `environment ${accessName}, ${secretName}: ${problem}`,
      });
    return { accessKeyId, secretAccessKey, source: `the environment (${accessName}, ${secretName})` };
  }
  return (await readCredentials(file)) ?? (await makeCredentials(file, random));
}

function check(accessKeyId: unknown, secretAccessKey: unknown): string | undefined {
  if (typeof accessKeyId !== 'string' || !/^[!-.0-~]{3,128}$/.test(accessKeyId)) {
    return 'the access key needs 3 to 128 printable ASCII characters without space and "/"';
  }
  if (typeof secretAccessKey !== 'string' || secretAccessKey.length < SECRET_CHARACTERS_MIN) {
    return `the secret key needs at least ${SECRET_CHARACTERS_MIN} characters`;
  }
  return secretAccessKey.length > FIELD_CHARACTERS_MAX ? 'the secret key is too long' : undefined;
}

async function readCredentials(file: string): Promise<Credentials | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new HoldfastError('DataDirectoryInvalid', {
      detail: `${file}: ${(cause as Error).message}`,
      cause,
    });
  }
  let fields: { accessKeyId?: unknown; secretAccessKey?: unknown };
  try {
    fields = (JSON.parse(text) ?? {}) as typeof fields;
  } catch {
    throw new HoldfastError('DataDirectoryInvalid', { detail: `${file}: is not JSON` });
  }
  const problem = check(fields.accessKeyId, fields.secretAccessKey);
  if (problem) throw new HoldfastError('DataDirectoryInvalid', { detail: `${file}: ${problem}` });
  return {
    accessKeyId: String(fields.accessKeyId),
    secretAccessKey: String(fields.secretAccessKey),
    source: file,
  };
}

async function makeCredentials(file: string, random: Random): Promise<Credentials> {
  const accessKeyId = `HF${base32(random.bytes(11)).slice(0, 18)}`;
  const secretAccessKey = random.bytes(30).toString('base64url');
  await createFileDurably(file, `${JSON.stringify({ accessKeyId, secretAccessKey }, null, 2)}\n`, 0o600);
  return { accessKeyId, secretAccessKey, source: file };
}

/** RFC 4648 base32 without padding. */
function base32(bytes: Uint8Array): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  let bits = 0n;
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte);
  let text = '';
  for (let i = Math.ceil((bytes.length * 8) / 5) - 1; i >= 0; i--)
    text += alphabet[Number((bits >> BigInt(i * 5)) & 31n)];
  return text;
}
