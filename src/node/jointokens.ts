/**
 * Join tokens that a node has given out and nobody has used, one file each under `join/` in its data directory, so that they can be made
 * beside a running daemon:
 *
 *   join/<hash of the secret, 96 hex digits>.json   { "product": "holdfast", "kind": "join-token", "format": 1, "expiresAt": ms, "gridId": …16 }
 *
 * `gridId` is there when the token is for that grid only. The secret itself is kept nowhere. A token is used up when the pins say so
 * (pins.ts), in the same durable write as the pin; its file goes afterwards, and again at the next look when a crash came between.
 */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { encodeDocument, hexField, invalidFile, parseDocument } from '../base/document.ts';
import { createFileDurably } from '../base/durablefile.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { encodeJoinToken, JOIN_SECRET_BYTES, joinSecretHash } from '../base/tls/jointoken.ts';
import { DAY_MS } from '../base/units.ts';
import { GRID_ID_BYTES } from './pins.ts';

const FOLDER = 'join';
const KIND = 'join-token';
const FORMAT = 1;
const LIFETIME_MS = DAY_MS;
export const JOIN_TOKENS_MAX = 64;
const NAME_PATTERN = /^([0-9a-f]{96})\.json$/;

export interface OpenToken {
  /** joinSecretHash, in hex. */
  readonly hash: string;
  /** Wall clock. */
  readonly expiresAtMs: number;
  /** When it is for this grid only. */
  readonly gridId: Buffer | undefined;
}

export interface NewToken {
  /** The data directory of the node. */
  readonly directory: string;
  /** Of the node. */
  readonly fingerprint: Buffer;
  readonly clock: Clock;
  readonly random: Random;
  /** Only a gateway of this grid may use it, also as a further gateway of a grid that is pinned already. */
  readonly gridId?: Buffer;
  /** A day unless given. */
  readonly lifetimeMs?: number;
}

/**
 * Makes a token and returns its text, which is to be shown once. Expired ones are removed.
 * @throws InvalidRequest when 64 are open, DataDirectoryInvalid when it cannot be kept
 */
export async function makeJoinToken(parts: NewToken): Promise<string> {
  const { directory, fingerprint, clock, random, gridId, lifetimeMs = LIFETIME_MS } = parts;
  const nowMs = clock.nowMs();
  const tokens = await readJoinTokens(directory);
  for (const { hash } of tokens.filter(({ expiresAtMs }) => expiresAtMs <= nowMs)) {
    await removeJoinToken(directory, hash);
  }
  if (tokens.filter(({ expiresAtMs }) => expiresAtMs > nowMs).length >= JOIN_TOKENS_MAX) {
    throw new HoldfastError('InvalidRequest', {
      detail: `${JOIN_TOKENS_MAX} join tokens are open; remove some from ${join(directory, FOLDER)}`,
    });
  }
  const secret = random.bytes(JOIN_SECRET_BYTES);
  const path = pathOf(directory, joinSecretHash(secret).toString('hex'));
  const text = encodeDocument(KIND, FORMAT, {
    expiresAt: nowMs + lifetimeMs,
    ...(gridId && { gridId: gridId.toString('hex') }),
  });
  try {
    await mkdir(join(directory, FOLDER), { recursive: true, mode: 0o700 });
    await createFileDurably(path, text, 0o600);
  } catch (cause) {
    throw invalidFile(path, `cannot be written (${(cause as Error).message})`, cause);
  }
  return encodeJoinToken({ fingerprint, secret });
}

/** Those that are kept, expired ones too; at most 64 of each kind, since making one removes what has expired. */
export async function readJoinTokens(directory: string): Promise<readonly OpenToken[]> {
  let names: string[];
  try {
    names = await readdir(join(directory, FOLDER));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw invalidFile(join(directory, FOLDER), `cannot be read (${(cause as Error).message})`, cause);
  }
  const hashes = names.flatMap((name) => NAME_PATTERN.exec(name)?.[1] ?? []);
  const tokens = await Promise.all(hashes.map((hash) => readToken(directory, hash)));
  return tokens.filter((token) => token !== undefined);
}

export async function removeJoinToken(directory: string, hash: string): Promise<void> {
  await rm(pathOf(directory, hash), { force: true });
}

async function readToken(directory: string, hash: string): Promise<OpenToken | undefined> {
  const path = pathOf(directory, hash);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw invalidFile(path, `cannot be read (${(cause as Error).message})`, cause);
  }
  const { expiresAt, gridId } = parseDocument(text, path, KIND, FORMAT);
  if (!Number.isSafeInteger(expiresAt)) throw invalidFile(path, '"expiresAt" is not a time in milliseconds');
  return {
    hash,
    expiresAtMs: Number(expiresAt),
    gridId: gridId === undefined ? undefined : hexField(gridId, GRID_ID_BYTES, 'gridId', path),
  };
}

function pathOf(directory: string, hash: string): string {
  return join(directory, FOLDER, `${hash}.json`);
}
