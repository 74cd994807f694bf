/**
 * Who a node is: `node.json` in its directory, made once. A directory that is empty, foreign or newer is refused with the
 * reason unless the caller asks to initialise an empty one: an unmounted disk looks like an empty directory, and must be
 * taken for offline, never for lost (design/commits.md, "Nodes").
 */
import { dirname } from 'node:path';
import { HoldfastError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import type { Disk } from './disk.ts';
import { LOCK_SOCKET } from './lock.ts';

export const IDENTITY_FILE = 'node.json';
const TEMPORARY_FILE = 'node.json.new';
const IDENTITY_FORMAT = 1;
const UUID_PATTERN = /^[0-9a-f]{32}$/;
const DIRECTORY_MODE = 0o700;
/** What a fresh file system puts into its root, and what an interrupted initialisation leaves. */
const IGNORED_FILES = new Set([LOCK_SOCKET, 'lost+found', TEMPORARY_FILE]);

export interface NodeIdentity {
  /** 16 bytes in hex. */
  readonly nodeUuid: string;
}

export function identityPath(directory: string): string {
  return `${directory}/${IDENTITY_FILE}`;
}

/**
 * @throws NodeUnavailable when there is no directory, no identity or a foreign one
 * @throws FormatTooNew when a newer version wrote it
 */
export async function readIdentity(disk: Disk, directory: string): Promise<NodeIdentity> {
  const path = identityPath(directory);
  let text: string;
  try {
    text = (await disk.readFile(path)).toString('utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const reason = code === 'ENOENT' || code === 'ENOTDIR' ? 'is missing' : `cannot be read (${code})`;
    throw new HoldfastError('NodeUnavailable', {
      detail: `node directory ${directory}: ${IDENTITY_FILE} ${reason}`,
      cause: error,
    });
  }
  return parseIdentity(text, path);
}

function parseIdentity(text: string, path: string): NodeIdentity {
  const foreign = () =>
    new HoldfastError('NodeUnavailable', { detail: `${path} is not the identity of a Holdfast node` });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw foreign();
  }
  if (typeof value !== 'object' || value === null || !('kind' in value) || value.kind !== 'holdfast-node') {
    throw foreign();
  }
  if (!('format' in value) || typeof value.format !== 'number') throw foreign();
  if (value.format > IDENTITY_FORMAT) {
    throw new HoldfastError('FormatTooNew', {
      detail: `${path} has format ${value.format}; this version knows ${IDENTITY_FORMAT}`,
    });
  }
  if (!('nodeUuid' in value) || typeof value.nodeUuid !== 'string' || !UUID_PATTERN.test(value.nodeUuid)) {
    throw foreign();
  }
  return { nodeUuid: value.nodeUuid };
}

/** Makes an identity in a directory that is missing or empty; durable, its parents included, when it resolves. */
export async function initialiseIdentity(
  disk: Disk,
  directory: string,
  random: Random,
): Promise<NodeIdentity> {
  const strangers = (await disk.exists(directory))
    ? (await disk.list(directory)).filter((name) => !IGNORED_FILES.has(name))
    : [];
  if (strangers.length > 0) {
    throw new HoldfastError('NodeUnavailable', {
      detail: `node directory ${directory} is not empty (${strangers[0]}) and has no ${IDENTITY_FILE}`,
    });
  }
  await makeDurableDirectory(disk, directory);
  const identity = { nodeUuid: random.bytes(16).toString('hex') };
  const document = { kind: 'holdfast-node', format: IDENTITY_FORMAT, ...identity };
  await replaceFile(disk, directory, IDENTITY_FILE, Buffer.from(`${JSON.stringify(document, null, 2)}\n`));
  return identity;
}

/** Makes a directory, and syncs the names of all that was made. */
export async function makeDurableDirectory(disk: Disk, directory: string): Promise<void> {
  const parents = [dirname(directory)];
  for (let at = directory; !(await disk.exists(dirname(at))); at = dirname(at))
    parents.push(dirname(dirname(at)));
  await disk.makeDirectory(directory, DIRECTORY_MODE);
  for (const parent of parents.reverse()) await disk.syncDirectory(parent);
}

/** Puts `content` under `name` so that a crash leaves the old file or the new one, whole. */
export async function replaceFile(
  disk: Disk,
  directory: string,
  name: string,
  content: Uint8Array,
): Promise<void> {
  const temporary = `${directory}/${name}.new`;
  if (await disk.exists(temporary)) await disk.remove(temporary);
  const file = await disk.open(temporary, 'create');
  try {
    await file.writev([content], 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, `${directory}/${name}`);
  await disk.syncDirectory(directory);
}
