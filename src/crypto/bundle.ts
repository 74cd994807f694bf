/**
 * The gateway bundle (design/keys.md, "Hierarchy"): the secrets from which a gateway derives everything else. A file of
 * JSON with hex fields in the data directory, mode 0600, made once and never replaced: who loses it loses the data.
 *
 *   { "product": "holdfast", "kind": "gateway-bundle", "format": 1, "gridId": …16, "generation": 1, "gridSecret": …32,
 *     "identitySeed": …32, "recipients": [], "bootstrap": { "names": [ …32, …32 ], "key": …32 } }
 *
 * `bootstrap` is absent until recovery words exist, and recipients (public keys of buckets) come with them. A file that
 * everybody may read is refused; one that its group may read is a warning, since some volume drivers insist on that.
 */
import { readFile } from 'node:fs/promises';
import { createFileDurably, fileExposure } from '../base/durablefile.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { ID_BYTES, KEY_BYTES } from './context.ts';

export const BUNDLE_FORMAT = 1;
const BUNDLE_MODE = 0o600;
const FIRST_GENERATION = 1;
const GENERATION_MAX = 2 ** 16 - 1;
const RECIPIENTS_MAX = 1024;

export interface Bootstrap {
  /** Names of the two slots of the sealed bootstrap record. */
  readonly names: readonly [Buffer, Buffer];
  readonly key: Buffer;
}

export interface GatewayBundle {
  /** 16 random bytes, made once. */
  readonly gridId: Buffer;
  /** Key generation, 1 … 65,535: trailers hold it as u16. */
  readonly generation: number;
  /** G of design/keys.md, 32 bytes. */
  readonly gridSecret: Buffer;
  /** Seed of the gateway's ML-DSA-87 identity, 32 bytes. */
  readonly identitySeed: Buffer;
  readonly recipients: readonly Buffer[];
  readonly bootstrap?: Bootstrap;
}

/** `createFileDurably`, or what stands in for it. Fails with EEXIST when the file is there. */
export type BundleWriter = (path: string, text: string, mode: number) => Promise<void>;

export function newBundle(random: Random): GatewayBundle {
  return {
    gridId: random.bytes(ID_BYTES),
    generation: FIRST_GENERATION,
    gridSecret: random.bytes(KEY_BYTES),
    identitySeed: random.bytes(KEY_BYTES),
    recipients: [],
  };
}

export function encodeBundle(bundle: GatewayBundle): string {
  const hex = (bytes: Buffer) => bytes.toString('hex');
  const { bootstrap } = bundle;
  const document = {
    product: 'holdfast',
    kind: 'gateway-bundle',
    format: BUNDLE_FORMAT,
    gridId: hex(bundle.gridId),
    generation: bundle.generation,
    gridSecret: hex(bundle.gridSecret),
    identitySeed: hex(bundle.identitySeed),
    recipients: bundle.recipients.map(hex),
    ...(bootstrap && { bootstrap: { names: bootstrap.names.map(hex), key: hex(bootstrap.key) } }),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/**
 * `where` names the file in errors, which never show a value.
 * @throws FormatTooNew for a later format, DataDirectoryInvalid saying which field is wrong
 */
export function parseBundle(text: string, where: string): GatewayBundle {
  const document = parseObject(text, where);
  if (document['product'] !== 'holdfast' || document['kind'] !== 'gateway-bundle') {
    throw invalid(where, 'is not a gateway bundle of Holdfast');
  }
  const format = document['format'];
  if (!Number.isInteger(format) || Number(format) < 1) throw invalid(where, '"format" is not a whole number');
  if (Number(format) > BUNDLE_FORMAT) {
    throw new HoldfastError('FormatTooNew', {
      detail: `${where}: format ${format} was written by a newer Holdfast; this one reads up to ${BUNDLE_FORMAT}`,
    });
  }
  const generation = Number(document['generation']);
  if (!Number.isInteger(generation) || generation < FIRST_GENERATION || generation > GENERATION_MAX) {
    throw invalid(where, `"generation" is not between ${FIRST_GENERATION} and ${GENERATION_MAX}`);
  }
  const bootstrap = document['bootstrap'];
  return {
    gridId: hexField(document['gridId'], ID_BYTES, 'gridId', where),
    generation,
    gridSecret: hexField(document['gridSecret'], KEY_BYTES, 'gridSecret', where),
    identitySeed: hexField(document['identitySeed'], KEY_BYTES, 'identitySeed', where),
    recipients: parseRecipients(document['recipients'], where),
    ...(bootstrap !== undefined && { bootstrap: parseBootstrap(bootstrap, where) }),
  };
}

/** @throws DataDirectoryInvalid or FormatTooNew naming the file and what is wrong with it */
export async function loadBundle(
  path: string,
): Promise<{ readonly bundle: GatewayBundle; readonly warnings: readonly string[] }> {
  let text: string;
  let exposure: Awaited<ReturnType<typeof fileExposure>>;
  try {
    exposure = await fileExposure(path);
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw unreadable(path, cause);
  }
  if (exposure === 'others') {
    throw invalid(path, `holds the keys and is open to every user of this machine; run chmod 600 ${path}`);
  }
  const warnings =
    exposure === 'group' ? [`${path} holds the keys and is open to its group; chmod 600 would close it`] : [];
  return { bundle: parseBundle(text, path), warnings };
}

/** Makes a new bundle. @throws DataDirectoryInvalid when the file exists or cannot be written */
export async function createBundle(
  path: string,
  random: Random,
  write: BundleWriter = createFileDurably,
): Promise<GatewayBundle> {
  const bundle = newBundle(random);
  try {
    await write(path, encodeBundle(bundle), BUNDLE_MODE);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why =
      code === 'EEXIST' ? 'is already there and is never replaced' : `cannot be written (${message})`;
    throw invalid(path, why, cause);
  }
  return bundle;
}

function invalid(where: string, why: string, cause?: unknown): HoldfastError {
  return new HoldfastError('DataDirectoryInvalid', { detail: `${where}: ${why}`, cause });
}

function unreadable(path: string, cause: unknown): HoldfastError {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code !== 'ENOENT') return invalid(path, `cannot be read (${message})`, cause);
  return invalid(path, 'is missing; without it nothing can be read, so put it back from a copy', cause);
}

function parseObject(text: string, where: string): Record<string, unknown> {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    // The parser's message quotes the text, and the text holds secrets.
    throw invalid(where, 'is not JSON');
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw invalid(where, 'is not a JSON object');
  }
  return document as Record<string, unknown>;
}

/** Bytes outside of the buffer pool. `lengthBytes` undefined: any length but none. */
function hexField(value: unknown, lengthBytes: number | undefined, name: string, where: string): Buffer {
  const digits = lengthBytes === undefined ? undefined : lengthBytes * 2;
  if (
    typeof value !== 'string' ||
    !/^(?:[0-9a-f]{2})+$/.test(value) ||
    (digits ?? value.length) !== value.length
  ) {
    const what = digits === undefined ? 'lower-case hexadecimal' : `${digits} lower-case hexadecimal digits`;
    throw invalid(where, `"${name}" is not ${what}`);
  }
  const bytes = Buffer.alloc(value.length / 2);
  bytes.write(value, 'hex');
  return bytes;
}

function parseRecipients(value: unknown, where: string): Buffer[] {
  if (!Array.isArray(value) || value.length > RECIPIENTS_MAX) {
    throw invalid(where, `"recipients" is not a list of at most ${RECIPIENTS_MAX} public keys`);
  }
  return value.map((recipient) => hexField(recipient, undefined, 'recipients', where));
}

function parseBootstrap(value: unknown, where: string): Bootstrap {
  const { names, key } = (value ?? {}) as { names?: unknown; key?: unknown };
  if (!Array.isArray(names) || names.length !== 2) throw invalid(where, '"bootstrap.names" is not two names');
  return {
    names: [
      hexField(names[0], KEY_BYTES, 'bootstrap.names', where),
      hexField(names[1], KEY_BYTES, 'bootstrap.names', where),
    ],
    key: hexField(key, KEY_BYTES, 'bootstrap.key', where),
  };
}
