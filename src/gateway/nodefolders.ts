/**
 * Folders of embedded nodes: whose they are, whether a disk could have come unmounted there, and making a node in one.
 */
import { mkdir, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { HoldfastError } from '../base/errors.ts';
import { type NodeRecord, RECORD_FORMAT } from '../metadata/records.ts';
import { EmbeddedNode } from '../node/embedded.ts';
import { IDENTITY_FILE, readIdentity } from '../node/identity.ts';
import type { NodeOptions } from '../node/store.ts';

/** Whether nothing is there, as opposed to something that cannot be looked at. */
export async function isAbsent(path: string): Promise<boolean> {
  try {
    await stat(path);
    return false;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR';
  }
}

export function hasNoIdentity(directory: string): Promise<boolean> {
  return isAbsent(join(directory, IDENTITY_FILE));
}

/** By the device of the directory, or of the nearest parent that is there. */
export async function isOnFilesystemOf(dataDirectory: string, directory: string): Promise<boolean> {
  const data = await stat(dataDirectory);
  for (let at = directory; ; at = dirname(at)) {
    const found = await stat(at).catch(() => undefined);
    if (found !== undefined) return found.dev === data.dev;
    if (at === dirname(at)) return false;
  }
}

/** Relative when it lies below the data directory, so that this can be moved. */
export function recordPath(dataDirectory: string, folder: string): string {
  const below = relative(dataDirectory, resolve(folder));
  return below.startsWith('..') || isAbsolute(below) ? resolve(folder) : below;
}

/** Asked before a directory is opened, which would change it. @throws NodeUnavailable, FormatTooNew */
export async function assertOwnFolder(options: NodeOptions, nodeUuid: string): Promise<void> {
  const found = await readIdentity(options.disk, options.directory);
  if (found.nodeUuid === nodeUuid) return;
  throw new HoldfastError('NodeUnavailable', {
    detail: `it holds the data of another node (${found.nodeUuid} instead of ${nodeUuid})`,
  });
}

/**
 * Makes a node in a folder that is missing or empty, or adopts an empty one there that never got its record; closed again.
 * @throws DataDirectoryInvalid
 */
export async function makeNode(dataDirectory: string, options: NodeOptions): Promise<NodeRecord> {
  const { directory, clock } = options;
  const invalid = (why: string, cause?: unknown) =>
    new HoldfastError('DataDirectoryInvalid', { detail: `node folder ${directory}: ${why}`, cause });
  const node = new EmbeddedNode(options);
  try {
    await mkdir(dirname(directory), { recursive: true, mode: 0o700 });
    await node.start(true);
    const { nodeUuid, fragmentCount } = await node.hello();
    if (fragmentCount > 0)
      throw invalid(`it holds ${fragmentCount} fragments of a node that this grid does not know`);
    return {
      v: RECORD_FORMAT,
      nodeUuid,
      path: recordPath(dataDirectory, directory),
      onDataFilesystem: await isOnFilesystemOf(dataDirectory, directory),
      farm: nodeUuid,
      state: 'active',
      addedMs: clock.nowMs(),
    };
  } catch (cause) {
    if (cause instanceof HoldfastError && cause.code === 'DataDirectoryInvalid') throw cause;
    throw invalid(cause instanceof Error ? cause.message : String(cause), cause);
  } finally {
    await node.stop();
  }
}
