/**
 * How records become durable: written, synced, and then a look whether file and identity are still there, because open descriptors
 * outlive `rm -rf`. A file may do all of it at once (disk.ts, `append`); otherwise, and when no thread can be had for that, it goes step by step.
 */
import { type Disk, type DiskFile, SyncFailed } from './disk.ts';

/**
 * Resolves to whether the file still has a name and `witnessPath` is there.
 * @throws SyncFailed when the data may not be durable: never retry. Any other error came before or after the sync
 */
export async function appendDurably(
  disk: Disk,
  file: DiskFile,
  buffers: readonly Uint8Array[],
  positionBytes: number,
  witnessPath: string,
  aligned: boolean,
): Promise<boolean> {
  const done = await file.append?.(buffers, positionBytes, witnessPath, aligned);
  if (done !== undefined) return done;
  await file.writev(buffers, positionBytes);
  const [, links, there] = await Promise.all([sync(file), file.linkCount(), disk.exists(witnessPath)]);
  return links > 0 && there;
}

async function sync(file: DiskFile): Promise<void> {
  try {
    await file.sync();
  } catch (error) {
    throw new SyncFailed(error);
  }
}
