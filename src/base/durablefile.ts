/**
 * Small files that must be whole or absent after a crash: keys, credentials, formats. The content goes to a temporary
 * file beside the target, is synced, takes the target's name, and the directory is synced; a reader sees the old file
 * or the new one. Used at startup only, on the real file system; nodes write through src/node/disk.ts instead.
 *
 * A crash can leave `<path>.<pid>.<n>.tmp` behind, with the mode of the target; nothing reads it.
 */
import { link, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

let temporaryFiles = 0;

/** Writes or replaces `path`. On any error the old content is still there. @throws the system's error */
export async function writeFileDurably(
  path: string,
  content: string | Uint8Array,
  mode: number,
): Promise<void> {
  await publish(path, content, mode, rename);
}

/**
 * As writeFileDurably, but never over an existing file: a second writer fails with EEXIST, also when both race. A file
 * system without hard links is refused (EPERM, ENOTSUP) rather than served without that promise.
 */
export async function createFileDurably(
  path: string,
  content: string | Uint8Array,
  mode: number,
): Promise<void> {
  await publish(path, content, mode, async (temporary, target) => {
    await link(temporary, target);
    await rm(temporary);
  });
}

async function publish(
  path: string,
  content: string | Uint8Array,
  mode: number,
  take: (temporary: string, target: string) => Promise<void>,
): Promise<void> {
  const temporary = `${path}.${process.pid}.${temporaryFiles++}.tmp`;
  try {
    await writeSynced(temporary, content, mode);
    await take(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

async function writeSynced(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    // The umask took bits from the mode given to open.
    await file.chmod(mode);
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Who besides the owner may read or write the file: `others` includes everybody on the machine. */
export async function fileExposure(path: string): Promise<'none' | 'group' | 'others'> {
  const { mode } = await stat(path);
  if ((mode & 0o007) !== 0) return 'others';
  return (mode & 0o070) !== 0 ? 'group' : 'none';
}
